"""Which directions entered or left the leading ones of each global ranking."""

from flows.compare.differences import TOP, Direction, Locked, diff_directions, hash_of, read_names, top_directions
from flows.compare.document import Section
from flows.compare.sources import Source
from flows.errors import FlowError

RANKING, NAMES = ("rank_dimensions", "*", "ranking.csv"), "data/name_directions/{}/directions.csv"
GENERATOR = "generator.safetensors"


def compare_directions(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which directions entered or left the leading ones of each global ranking."""
    section = Section(f"Top {TOP} directions")
    generators = [hash_of(lock, GENERATOR) for lock in (old_lock, new_lock)]
    if generators[0] != generators[1]:
        section.say(
            "The generators differ, so that a dimension's number names another thing on either side; compare the words."
        )
    sides = [_read_rankings(side) for side in (old, new)]
    rankings = list(dict.fromkeys([*sides[1], *sides[0]]))
    if not rankings:
        section.say("Neither side holds a ranking.")
    for name in rankings:
        if any(name not in side for side in sides):
            section.say(f"{name}: ranked in {'B' if name in sides[1] else 'A'} only.")
            continue
        before, after = sides[0][name], sides[1][name]
        entered, left, turned = diff_directions(before, after)
        if before == after:
            section.say(f"{name}: the same directions in the same order.")
        elif not (entered or left or turned):
            section.say(f"{name}: the same directions in another order.")
        words = [_read_words(side, name) for side in (old, new)]
        places = [{each.dimension: place for place, each in enumerate(side, 1)} for side in (before, after)]
        kinds = (("entered", entered, words[1]), ("left", left, words[0]), ("turned round", turned, words[1]))
        section.show(
            ("ranking", "what", "direction", "name", "rank in A", "rank in B"),
            (
                (
                    name, what, _tell_direction(each), named.get(each.dimension, ""),
                    *(str(place.get(each.dimension, f"beyond {TOP}")) for place in places),
                )
                for what, directions, named in kinds
                for each in directions
            ),
        )  # fmt: skip
    return section


def _read_rankings(side: Source) -> dict[str, list[Direction]]:
    """Leading directions by classifier."""
    rankings = {}
    for path in side.find(*RANKING):
        try:
            rankings[path.split("/")[-2]] = top_directions(side.read_text(path) or "")
        except (KeyError, ValueError, TypeError) as error:
            raise FlowError(f"{side.name}: {path}: no ranking ({error}); make it again or restore it") from error
    return rankings


def _read_words(side: Source, classifier: str) -> dict[int, str]:
    text = side.read_text(NAMES.format(classifier))
    return read_names(text) if text else {}


def _tell_direction(each: Direction) -> str:
    return f"{each.dimension}{'+' if each.direction > 0 else '-'}"
