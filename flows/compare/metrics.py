"""Which metrics moved, and whether beyond their intervals."""

from collections.abc import Iterable, Sequence

from flows.compare.differences import APART_BY_CHANCE, Move, Moved, Number, diff_numbers, iterate_moves, read_numbers
from flows.compare.document import Section
from flows.compare.sources import Source
from flows.compare.words import tell_count, tell_interval

MOVED_HEADER = ("metric", "A", "n", "B", "n")


def compare_metrics(old: Source, new: Source, *, show_all: bool) -> Section:
    """Which metrics moved, and whether beyond their intervals."""
    section = Section("Metrics")
    before, after = read_all_numbers(old), read_all_numbers(new)
    for side, numbers in ((old, before), (new, after)):
        if not numbers:
            section.say(f"{side.name} holds no metrics.")
    moved = diff_numbers(before, after)
    shared = [key for key in after if key in before]
    with_interval = sum(before[key].has_interval and after[key].has_interval for key in shared)
    counts = {kind: sum(each.move is kind for each in moved) for kind in Move}
    if shared:
        section.say(
            f"{len(shared) - len(moved)} of {len(shared)} metrics are equal. Of the {with_interval} with a 95 % "
            f"interval on both sides, {counts[Move.BEYOND]} moved beyond their intervals (these lie apart) and "
            f"{counts[Move.WITHIN]} within them (they overlap). {counts[Move.UNKNOWN]} moved that state no interval."
        )
    if moved:
        section.say(
            "By chance alone, two intervals of one value from independent samples lie apart in "
            f"{100 * APART_BY_CHANCE:.1f} % of cases: about {with_interval * APART_BY_CHANCE:.0f} of these "
            f"{with_interval}. Numbers that overlap may still differ; a paired comparison on the same samples tells "
            "finer."
        )
    _show_moved(section, "Beyond their intervals:", iterate_moves(moved, Move.BEYOND))
    _show_moved(section, "Without an interval:", iterate_moves(moved, Move.UNKNOWN))
    if show_all:
        _show_moved(section, "Within their intervals:", iterate_moves(moved, Move.WITHIN))
    elif counts[Move.WITHIN]:
        section.say(f"--all lists the {counts[Move.WITHIN]} that moved within their intervals.")
    for words, one, other in (("B only", after, before), ("A only", before, after)):
        alone = [key for key in one if key not in other]
        if alone and other:
            section.say(f"In {words}: {len(alone)} metrics, of {', '.join(_stages_of(alone))}.")
    return section


def read_all_numbers(side: Source) -> dict[str, Number]:
    """All metrics of a side, as `rank_dimensions/clean: population_accuracy`."""
    return {
        f"{name}: {key}": number
        for name, content in sorted(side.read_metrics().items())
        for key, number in read_numbers(content).items()
    }


def _show_moved(section: Section, title: str, moved: Iterable[Moved]) -> None:
    rows = [
        (each.key, tell_interval(each.old), tell_count(each.old), tell_interval(each.new), tell_count(each.new))
        for each in moved
    ]
    if rows:
        section.say(title)
        section.show(MOVED_HEADER, rows)


def _stages_of(keys: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(": ")[0] for key in keys))
