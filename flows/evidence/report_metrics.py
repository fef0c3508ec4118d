"""The metrics and verdicts that the report shows against those in the files."""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from failure_atlas.decisions.acceptance import Verdict
from flows.evidence.parsing import parse_json
from flows.evidence.problem import Problem
from flows.evidence.reading import tell

DATA = "data/"
LEVELS = 4  # of a metrics file that a difference is looked for in
MOST, LONGEST = 10, 10_000  # verdicts of one criterion, and bytes of a cell, that are looked at
# In bytes and each in one pass: a page may be large, and a stranger's.
_OPEN = re.compile(rb"<script\b", re.IGNORECASE)
_CLOSE = re.compile(rb"</script", re.IGNORECASE)
_ID = re.compile(rb"\sid\s*=\s*[\"']?metrics[\"'\s>]", re.IGNORECASE)
_TYPE = re.compile(rb"\stype\s*=\s*[\"']?application/json[\"'\s>]", re.IGNORECASE)
# A criterion's row: its name in the head, its verdict as the badge of the next cell.
_ROW = re.compile(rb'<th scope="row">([^<]*)</th><td><span class="badge [a-z]+">([^<]*)</span>')


def read_shown(page: bytes, parse: Callable[[bytes], Any] = parse_json) -> dict[str, Any] | None:
    """The metrics that a page embeds (`<script type="application/json" id="metrics">`), by their paths below data/.

    None if it embeds none; ValueError if what it embeds is no such table.
    """
    found = []
    place = 0
    while begin := _OPEN.search(page, place):
        start = page.find(b">", begin.end()) + 1
        end = _CLOSE.search(page, start) if start else None
        if end is None:
            raise ValueError("a script that does not end")
        if _ID.search(page, begin.end(), start) and _TYPE.search(page, begin.end(), start):
            found.append(page[start : end.start()])
        place = end.end()
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{len(found)} scripts with the id metrics; allowed: one")
    shown = parse(found[0])
    if not isinstance(shown, dict):
        raise ValueError("the script metrics holds no JSON object")
    return shown


def compare_verdicts(name: str, page: bytes, verdicts: Sequence[Verdict]) -> Iterator[Problem]:
    """Where the row that a page shows of a criterion tells another verdict than the metrics give, or is not there."""
    heads = [f"{verdict.criterion.id} ({verdict.criterion.metric})" for verdict in verdicts]
    rows: dict[str, set[str]] = {head: set() for head in heads}
    for row in _ROW.finditer(page):
        seen = rows.get(html.unescape(row[1][:LONGEST].decode(errors="replace")))
        if seen is not None and len(seen) < MOST:
            seen.add(row[2][:LONGEST].decode(errors="replace"))
    for head, verdict in zip(heads, verdicts, strict=True):
        shown = rows[head]
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


def _first_difference(shown: Any, held: Any) -> str:
    """Goes down where the two are unlike, at most LEVELS deep: each level is compared as a whole."""
    path: list[str] = []
    while isinstance(shown, dict) and isinstance(held, dict) and len(path) < LEVELS:
        name = next(name for name in sorted({*shown, *held}) if not _equal(shown.get(name), held.get(name)))
        path.append(name)
        shown, held = shown.get(name), held.get(name)
    return f"{'.'.join(path) or 'all of it'}: the page shows {tell(shown)}, the file holds {tell(held)}"
