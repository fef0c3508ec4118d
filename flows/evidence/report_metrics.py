"""The metrics that the report shows against those in the files."""

import json
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from flows.evidence.problem import Problem

SCRIPT_ID = "metrics"
SCRIPT_TYPE = "application/json"
DATA = "data/"


class _ScriptFinder(HTMLParser):
    """Collects the text of `<script type="application/json" id="metrics">`; a script's text is raw, as in browsers."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._inside = False
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin to collect at the script that is looked for."""
        named = dict(attrs)
        if tag == "script" and named.get("id") == SCRIPT_ID and named.get("type") == SCRIPT_TYPE:
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Stop at its end."""
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Collect."""
        if self._inside:
            self.texts[-1] += data


def read_shown(page: bytes) -> dict[str, Any] | None:
    """The metrics that a page embeds, by their paths below data/; None if it embeds none.

    ValueError if what it embeds is no such table.
    """
    finder = _ScriptFinder()
    finder.feed(page.decode("utf-8"))
    if not finder.texts:
        return None
    if len(finder.texts) > 1:
        raise ValueError(f"{len(finder.texts)} scripts with the id {SCRIPT_ID}; allowed: one")
    shown = json.loads(finder.texts[0])
    if not isinstance(shown, dict):
        raise ValueError(f"the script {SCRIPT_ID} holds no JSON object")
    return shown


def compare_shown(page: str, shown: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[Problem]:
    """Where a page shows other metrics than the files hold.  files: path in the project -> its parsed JSON."""
    for key, value in shown.items():
        path = next((path for path in _paths(key) if path in files), None)
        if path is None:
            yield Problem(page, f"shows metrics of {key}, a file that the bundle does not hold")
        elif not _equal(files[path], value):
            yield Problem(page, f"{path}: {_first_difference(value, files[path])}")


def _equal(one: Any, two: Any) -> bool:
    """As JSON text: NaN equals NaN, and 1 is neither 1.0 nor true."""
    return json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)


def _paths(key: str) -> tuple[str, ...]:
    return key, f"{DATA}{key}", f"{DATA}{key}/metrics.json"


def _first_difference(shown: Any, held: Any, key: str = "") -> str:
    if isinstance(shown, dict) and isinstance(held, dict):
        for name in sorted({*shown, *held}):
            if not _equal(shown.get(name), held.get(name)):
                return _first_difference(shown.get(name), held.get(name), f"{key}.{name}" if key else name)
    return f"{key or 'all of it'}: the page shows {shown!r:.80}, the file holds {held!r:.80}"
