"""Which metrics the stages write, so that a criterion that names none is refused before any of them runs.

known_metrics.yaml lists them; a test holds the list to the metrics of the default run.
"""

import json
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

RESULTS = Path("data")
PARTS = ("value", "low", "high", "n")
OF_RUN = (
    "qualify_generator",
    "train_judges",
    "measure_attributes",
    "compute_curves",
)  # the other stages have results of each classifier
Tree = dict[str, "Tree | None"]


def _grow(held: Any) -> Tree:
    """A group as known_metrics.yaml writes it: names in a text, groups by name, or a list of both; null for any."""
    if isinstance(held, list):
        return {name: inner for each in held for name, inner in _grow(each).items()}
    if isinstance(held, dict):
        return {name: _grow(inner) for name, inner in held.items()}
    return dict.fromkeys(held.split() if held else "*")


KNOWN = _grow(YAML(typ="safe").load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")))


def check_metric(room: str, name: str, key: str, entries: Collection[str], under_test: Collection[str]) -> str:
    """What is allowed instead, if a criterion names no metric that a run will write; empty if it names one.

    room, name, key: of a metric `room/name: key`; name is empty where there is none.  entries: classifiers that the
    room has results of.  under_test: those that compute_curves measures.
    """
    if room not in KNOWN:
        return f"before the colon one of {', '.join(KNOWN)}"
    if (room in OF_RUN) == bool(name):
        return f"before the colon {room if room in OF_RUN else f'{room}/NAME, NAME a classifier'}"
    if name and name not in entries:
        return f"before the colon {' or '.join(f'{room}/{entry}' for entry in entries) or 'another folder'}"
    tree = KNOWN[room] or {}
    if room == "compute_curves":
        pairs = [f"{second}_minus_{first}" for first, second in combinations(under_test, 2)]
        paired: Tree = dict.fromkeys(pairs, (tree["paired"] or {})["*"])
        tree = {**dict.fromkeys(under_test, tree["*"]), "paired": paired}
    there = _find_unknown(tree, key.split("."))
    return there and ("" if _was_written(Path(room, name), key) else f"after the colon {there}")


def _find_unknown(tree: "Tree | None", names: list[str]) -> str:
    """The names that are known where the way of a key ends too early, or nowhere; empty if it ends at a number."""
    if not tree:
        parts = ", ".join(f".{part}" for part in PARTS)
        return "" if not names or (len(names) == 1 and names[0] in PARTS) else f"nothing below a number but {parts}"
    if not names:
        return f"one of its parts: {', '.join(tree)}"
    if names[0] in tree:
        return _find_unknown(tree[names[0]], names[1:])
    interval = names[0].removesuffix("_interval")
    if interval in tree and tree[interval] is None:
        return _find_unknown(None, names[1:])
    if "*" in tree:  # a class may have dots in its name
        ends = [_find_unknown(tree["*"], names[place:]) for place in range(1, len(names) + 1)]
        return "" if "" in ends else ends[0]
    return ", ".join(tree)


def _was_written(folder: Path, key: str) -> bool:
    """Whether an earlier run wrote it, as a stage of one's own may."""
    try:
        held: Any = json.loads((RESULTS / folder / "metrics.json").read_text(encoding="utf-8"))
        for name in key.split("."):
            held = held[name]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not isinstance(held, dict) or "value" in held
