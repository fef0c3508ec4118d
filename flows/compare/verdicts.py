"""Which acceptance criteria flipped."""

from collections.abc import Mapping
from typing import Any

from flows.compare.document import Section
from flows.compare.sources import Source
from flows.compare.words import tell_number
from flows.errors import FlowError
from flows.gates_command import GATES, parse_gates, tell_found


def compare_verdicts(old: Source, new: Source) -> Section:
    """Which acceptance criteria flipped."""
    section = Section("Acceptance criteria")
    sides = [_read_verdicts(side) for side in (old, new)]
    for side, verdicts in zip((old, new), sides, strict=True):
        if verdicts is None:
            section.say(f"{side.name} holds no verdicts ({GATES}).")
    before, after = (verdicts or {} for verdicts in sides)
    rows = []
    for name in dict.fromkeys([*after, *before]):
        words = [side[name]["verdict"] if name in side else "no criterion" for side in (before, after)]
        asked = [_tell_asked(side.get(name)) for side in (before, after)]
        if words[0] != words[1] or asked[0] != asked[1]:
            found = [tell_found(side[name]) if name in side else "" for side in (before, after)]
            rows.append((name, *words, *found, *asked))
    if None not in sides:
        flipped = sum(row[1] != row[2] for row in rows)
        section.say(f"{flipped} of {len(after)} criteria have another verdict.")
    section.show(("criterion", "A", "B", "found in A", "found in B", "asked for in A", "asked for in B"), rows)
    return section


def _read_verdicts(side: Source) -> dict[str, dict[str, Any]] | None:
    text = side.read(GATES.as_posix())
    if text is None:
        return None
    try:
        return {each["id"]: each for each in parse_gates(text)}
    except ValueError as error:
        raise FlowError(f"{side.name}: {GATES}: {error}; restore it and try again") from error


def _tell_asked(criterion: Mapping[str, Any] | None) -> str:
    return f"{criterion.get('comparison')} {tell_number(criterion.get('bar'))}" if criterion else ""
