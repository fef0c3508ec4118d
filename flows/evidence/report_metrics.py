"""The metrics and verdicts that the report shows against those in the files."""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from failure_atlas.acceptance import Verdict
from flows.evidence.parsing import parse_json
from flows.evidence.problem import Problem
from flows.evidence.reading import tell

DATA = "data/"
# In bytes and each in one pass: a page may be large, and a stranger's.
_OPEN = re.compile(rb"<script\b[^>]*>", re.IGNORECASE)
_CLOSE = re.compile(rb"</script", re.IGNORECASE)
_ID = re.compile(rb"\sid\s*=\s*[\"']?metrics[\"'\s>]", re.IGNORECASE)
_TYPE = re.compile(rb"\stype\s*=\s*[\"']?application/json[\"'\s>]", re.IGNORECASE)
# A criterion's row: its name in the head, its verdict as the badge of the next cell.
_ROW = re.compile(rb'<th scope="row">([^<]*)</th><td><span class="badge [a-z]+">([^<]*)</span>')


def read_shown(page: bytes) -> dict[str, Any] | None:
    """The metrics that a page embeds (`<script type="application/json" id="metrics">`), by their paths below data/.

    None if it embeds none; ValueError if what it embeds is no such table.
    """
    found = []
    place = 0
    while begin := _OPEN.search(page, place):
        end = _CLOSE.search(page, begin.end())
        if end is None:
            raise ValueError("a script that does not end")
        if _ID.search(begin[0]) and _TYPE.search(begin[0]):
            found.append(page[begin.end() : end.start()])
        place = end.end()
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{len(found)} scripts with the id metrics; allowed: one")
    shown = parse_json(found[0])
    if not isinstance(shown, dict):
        raise ValueError("the script metrics holds no JSON object")
    return shown


def compare_verdicts(name: str, page: bytes, verdicts: Sequence[Verdict]) -> Iterator[Problem]:
    """Where the row that a page shows of a criterion tells another verdict than the metrics give, or is not there."""
    rows: dict[str, set[str]] = {}
    for head, badge in _ROW.findall(page):
        rows.setdefault(html.unescape(head.decode()), set()).add(badge.decode())
    for verdict in verdicts:
        shown = rows.get(f"{verdict.criterion.id} ({verdict.criterion.metric})", set())
        if shown != {verdict.verdict}:
            told = ", ".join(sorted(shown)) or "no verdict"
            yield Problem(name, f"shows {told} for {verdict.criterion.id}; the metrics give: {verdict.verdict}")


def compare_shown(page: str, shown: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[Problem]:
    """Where a page shows other metrics than the files hold.  files: path in the project -> its parsed JSON."""
    for key, value in shown.items():
        path = next((path for path in name_files(key) if path in files), None)
        if path is None:
            yield Problem(page, f"shows metrics of {key}, a file that the bundle does not hold")
        elif not _equal(files[path], value):
            yield Problem(page, f"{path}: {_first_difference(value, files[path])}")


def _equal(one: Any, two: Any) -> bool:
    """As JSON text: NaN equals NaN, and 1 is neither 1.0 nor true."""
    return json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)


def name_files(key: str) -> tuple[str, ...]:
    """The paths in the project that a key of the embedded metrics may stand for."""
    return key, f"{DATA}{key}", f"{DATA}{key}/metrics.json"


def _first_difference(shown: Any, held: Any, key: str = "") -> str:
    if isinstance(shown, dict) and isinstance(held, dict):
        for name in sorted({*shown, *held}):
            if not _equal(shown.get(name), held.get(name)):
                return _first_difference(shown.get(name), held.get(name), f"{key}.{name}" if key else name)
    return f"{key or 'all of it'}: the page shows {tell(shown)}, the file holds {tell(held)}"
