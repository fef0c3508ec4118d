"""Two runs side by side: what changed, which numbers moved and whether beyond their intervals, what follows."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flows.compare_differences import (
    APART_BY_CHANCE,
    TOP,
    Change,
    Direction,
    Locked,
    Move,
    Moved,
    Number,
    diff_directions,
    diff_flat,
    diff_numbers,
    flatten,
    iterate_moves,
    read_lock,
    read_names,
    read_numbers,
    top_directions,
)
from flows.compare_document import Section
from flows.compare_sources import LOCK, PARAMS, Source
from flows.errors import FlowError
from flows.gates_command import GATES, parse_gates, tell_found

HASH_LENGTH = 8  # characters of a hash that are shown
VALUE_LENGTH = 80  # characters of a param or command that are shown
ENVIRONMENT = "environment.json"
RANKING, NAMES = ("rank_dimensions", "*", "ranking.csv"), "data/name_directions/{}/directions.csv"
GENERATOR, POPULATION = "generator.safetensors", "population.zarr"
PAIRED = "paired"
MOVED_HEADER = ("metric", "A", "n", "B", "n")


def compare(old: Source, new: Source, *, show_all: bool = False) -> list[Section]:
    """The sections of the comparison; show_all: list the metrics that moved within their intervals, too."""
    locks = [read_lock(side.read_yaml(LOCK)) for side in (old, new)]
    return [
        compare_verdicts(old, new),
        compare_metrics(old, new, show_all=show_all),
        compare_pairs(new, *locks),
        compare_directions(old, new, *locks),
        compare_inputs(old, new, *locks),
        compare_params(old, new, *locks),
        compare_code(old, new, *locks),
        compare_environments(old, new),
    ]


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


def compare_metrics(old: Source, new: Source, *, show_all: bool) -> Section:
    """Which metrics moved, and whether beyond their intervals."""
    section = Section("Metrics")
    before, after = _read_numbers(old), _read_numbers(new)
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


def compare_pairs(new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Paired differences: is the population the same, and what the new side measured on its own one."""
    section = Section("Paired comparison")
    frozen = [_hash_of(lock, POPULATION) for lock in (old_lock, new_lock)]
    if None in frozen:
        section.say("At least one side records no population.")
    elif frozen[0] == frozen[1]:
        section.say(
            f"Both rest on the same population ({_short(frozen[0])}): what moved on it is the classifiers', not the "
            "sample's."
        )
    else:
        section.say(
            f"The populations differ ({_short(frozen[0])} and {_short(frozen[1])}): what moved may be the sample's as "
            "well as the classifiers'."
        )
    paired = {key: number for key, number in _read_numbers(new).items() if f".{PAIRED}." in f".{_key_of(key)}"}
    if paired:
        section.say("Differences between classifiers on the same samples of one population, as measured in B:")
        section.show(
            ("metric", "B", "n", "interval"),
            ((key, _tell(number), _count(number), _tell_zero(number)) for key, number in paired.items()),
        )
    return section


def compare_directions(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which directions entered or left the leading ones of each global ranking."""
    section = Section(f"Top {TOP} directions")
    generators = [_hash_of(lock, GENERATOR) for lock in (old_lock, new_lock)]
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


def compare_inputs(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which data from outside changed, and which results with it."""
    section = Section("Inputs and results")
    for side, lock in ((old, old_lock), (new, new_lock)):
        if not lock.results:
            section.say(f"{side.name} holds no {LOCK}, or an empty one.")
    inputs = diff_flat(old_lock.inputs, new_lock.inputs)
    section.say(
        f"Inputs from outside that changed: {len(inputs)}."
        if inputs
        else f"No input from outside changed, of {len(new_lock.inputs)} that {LOCK} records; files that params pin by "
        "their hash stand under Params."
    )
    section.show(("input", "A", "B"), (_tell_change(each, _short) for each in inputs))
    results = diff_flat(old_lock.results, new_lock.results)
    section.say(f"{len(results)} of {len({**old_lock.results, **new_lock.results})} recorded results have other bytes.")
    section.show(("result", "A", "B"), (_tell_change(each, _short) for each in results))
    return section


def compare_params(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which params changed, and whether they are those that the results were made with."""
    section = Section("Params")
    sides = [flatten(side.read_yaml(PARAMS)) for side in (old, new)]
    changes = diff_flat(*sides)
    section.say(f"Params that changed: {len(changes)}." if changes else f"No param changed ({PARAMS}).")
    section.show(("param", "A", "B"), (_tell_change(each, _value) for each in changes))
    for side, params, lock in zip((old, new), sides, (old_lock, new_lock), strict=True):
        newer = [each.key for each in diff_flat(lock.params, params) if each.key in lock.params]
        if newer:
            section.say(f"{side.name}: its results were made with other values of {', '.join(newer)}.")
    return section


def compare_code(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which modules that made the results changed, which commands, and whether the results are older than the code."""
    section = Section("Code")
    code = diff_flat(old_lock.code, new_lock.code)
    section.say(
        f"Modules that the results were made with and that changed: {len(code)}."
        if code
        else f"No module that the results were made with changed, of {len(new_lock.code)} that {LOCK} records."
    )
    section.show(("module", "A", "B"), (_tell_change(each, _short) for each in code))
    commands = diff_flat(old_lock.commands, new_lock.commands)
    section.show(("command of stage", "A", "B"), (_tell_change(each, _value) for each in commands))
    for side, lock in ((old, old_lock), (new, new_lock)):
        newer = [path for path, recorded in lock.code.items() if _is_newer(side, path, recorded)]
        if newer:
            section.say(f"{side.name}: its results were made with other versions of {', '.join(newer)}.")
    return section


def compare_environments(old: Source, new: Source) -> Section:
    """What differs between machines and packages; only bundles record them."""
    section = Section("Environment")
    if not (old.has_environment and new.has_environment):
        without = [side.name for side in (old, new) if not side.has_environment]
        section.say(f"Not compared, since only evidence bundles record it; no bundle: {', '.join(without)}.")
        return section
    found = [side.find(ENVIRONMENT) for side in (old, new)]
    if not all(found):
        section.say(f"Not compared: a bundle without {ENVIRONMENT}.")
        return section
    sides = [flatten(side.read_json(paths[0])) for side, paths in zip((old, new), found, strict=True)]
    changes = diff_flat(*sides)
    section.say(f"Entries that changed: {len(changes)}." if changes else f"The same, in all {len(sides[1])} entries.")
    section.show(("entry", "A", "B"), (_tell_change(each, _value) for each in changes))
    return section


def _read_verdicts(side: Source) -> dict[str, dict[str, Any]] | None:
    text = side.read_text(GATES.as_posix())
    if text is None:
        return None
    try:
        return {each["id"]: each for each in parse_gates(text)}
    except ValueError as error:
        raise FlowError(f"{side.name}: {GATES}: {error}; restore it and try again") from error


def _read_numbers(side: Source) -> dict[str, Number]:
    """All metrics of a side, as `rank_dimensions/clean: population_accuracy`."""
    return {
        f"{name}: {key}": number
        for name, content in sorted(side.read_metrics().items())
        for key, number in read_numbers(content).items()
    }


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


def _is_newer(side: Source, path: str, recorded: str) -> bool:
    """Whether a module is another than the one that made the results; a bundle need not hold it."""
    content = side.read(path)
    return content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != recorded


def _hash_of(lock: Locked, ending: str) -> str | None:
    return next((held for path, held in lock.results.items() if path.endswith(ending)), None)


def _show_moved(section: Section, title: str, moved: Iterable[Moved]) -> None:
    rows = [(each.key, _tell(each.old), _count(each.old), _tell(each.new), _count(each.new)) for each in moved]
    if rows:
        section.say(title)
        section.show(MOVED_HEADER, rows)


def _tell(number: Number) -> str:
    value = _number(number.value)
    return f"{value} [{_number(number.low)}, {_number(number.high)}]" if number.has_interval else value


def _count(number: Number) -> str:
    return f"{number.n:,}" if number.n is not None else ""


def _tell_zero(number: Number) -> str:
    if number.low is None or number.high is None:
        return "unknown"
    if number.low > 0:
        return "above 0"
    return "below 0" if number.high < 0 else "holds 0"


def _tell_asked(criterion: Mapping[str, Any] | None) -> str:
    return f"{criterion.get('comparison')} {_number(criterion.get('bar'))}" if criterion else ""


def _tell_direction(each: Direction) -> str:
    return f"{each.dimension}{'+' if each.direction > 0 else '-'}"


def _tell_change(change: Change, tell: Callable[[Any], str]) -> tuple[str, str, str]:
    return change.key, tell(change.old), tell(change.new)


def _short(held: Any) -> str:
    return " and ".join(part[:HASH_LENGTH] for part in held.split(" and ")) if held else "none"


def _value(held: Any) -> str:
    text = "none" if held is None else str(held)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}..."


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "unknown"


def _key_of(name: str) -> str:
    return name.partition(": ")[2]


def _stages_of(keys: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(": ")[0] for key in keys))
