"""What is said of two runs, section by section: verdicts, metrics, directions, and what lies behind the differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from flows.compare.differences import (
    APART_BY_CHANCE,
    TOP,
    Flat,
    Leading,
    Locked,
    Move,
    Number,
    diff_flat,
    flatten,
    read_leading,
    read_lock,
    read_numbers,
    tell_hash,
    tell_move,
    tell_number,
    tell_value,
)
from flows.compare.document import Section
from flows.compare.sources import LOCK, PARAMS, Source
from flows.errors import FlowError
from flows.gates_command import GATES, parse_gates, tell_found

LEADING = "name_directions/*/leading.csv"
GENERATOR, POPULATION = "generator.safetensors", "population.zarr"
ENVIRONMENT = "environment.json"
NO_CRITERION = ("no criterion", "", "")
PAIRED = "paired"  # the group of metrics that holds differences on the same samples

Sides = tuple[Source, Source]
Locks = tuple[Locked, Locked]


def compare(old: Source, new: Source, *, show_all: bool = False) -> list[Section]:
    """The sections of the comparison; show_all: list the metrics that moved within their intervals, too."""
    sides = old, new
    before, after = (read_lock(side.read_mapping(LOCK)) for side in sides)
    locks, numbers = (before, after), (_read_numbers(old), _read_numbers(new))
    return [
        _compare_verdicts(sides),
        _compare_metrics(sides, numbers, show_all=show_all),
        _compare_pairs(numbers[1], locks),
        _compare_directions(sides, locks),
        _compare_inputs(sides, locks),
        _compare_params(sides, locks),
        _compare_code(sides, locks),
        _compare_environments(sides),
    ]


def _compare_verdicts(sides: Sides) -> Section:
    """Which acceptance criteria flipped, or ask for something else."""
    section = Section("Acceptance criteria")
    held = [_read_verdicts(side) for side in sides]
    section.say(
        *(f"{side.name} holds no verdicts ({GATES})." for side, found in zip(sides, held, strict=True) if not found)
    )
    before, after = held
    pairs = {name: (before.get(name, NO_CRITERION), after.get(name, NO_CRITERION)) for name in {**after, **before}}
    if before and after:
        flipped = sum(old[0] != new[0] for old, new in pairs.values())
        section.say(f"{flipped} of {len(after)} criteria have another verdict.")
    section.show(
        ("criterion", "A", "B", "asked for in A", "asked for in B", "found in A", "found in B"),
        [(name, *chain(*zip(*both, strict=True))) for name, both in pairs.items() if both[0][:2] != both[1][:2]],
    )
    return section


def _read_verdicts(side: Source) -> dict[str, tuple[str, str, str]]:
    """Verdict, what is asked for and what was found, by criterion."""
    text = side.read(GATES.as_posix())
    try:
        criteria = [] if text is None else parse_gates(text)
    except ValueError as error:
        raise FlowError(f"{side.name}: {GATES}: {error}; restore it and try again") from error
    asked = {each["id"]: f"{each.get('comparison')} {tell_number(each.get('bar'))}" for each in criteria}
    return {each["id"]: (each["verdict"], asked[each["id"]], tell_found(each)) for each in criteria}


def _compare_metrics(sides: Sides, numbers: tuple[dict[str, Number], ...], *, show_all: bool) -> Section:
    """Which metrics moved, and whether beyond their intervals."""
    section = Section("Metrics")
    section.say(*(f"{side.name} holds no metrics." for side, held in zip(sides, numbers, strict=True) if not held))
    before, after = numbers
    shared = [key for key in after if key in before]
    moved = {key: tell_move(before[key], after[key]) for key in shared if before[key] != after[key]}
    with_interval = sum(before[key].has_interval and after[key].has_interval for key in shared)
    counts = {kind: list(moved.values()).count(kind) for kind in Move}
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
    for kind in Move:
        if not counts[kind]:
            continue
        if kind is Move.WITHIN and not show_all:
            section.say(f"--all lists the {counts[kind]} that moved within their intervals.")
            continue
        section.say(kind)
        rows = [(key, *before[key].tell(), *after[key].tell()) for key, how in moved.items() if how is kind]
        section.show(("metric", "A", "n", "B", "n"), rows)
    for words, one, other in (("B only", after, before), ("A only", before, after)):
        alone = [key for key in one if key not in other]
        if alone and other:
            stages = dict.fromkeys(key.partition(": ")[0] for key in alone)
            section.say(f"In {words}: {len(alone)} metrics, of {', '.join(stages)}.")
    return section


def _read_numbers(side: Source) -> dict[str, Number]:
    """All metrics of a side, as `rank_dimensions/clean: population_accuracy`."""
    return {
        f"{name}: {key}": number
        for name, content in sorted(side.read_metrics().items())
        for key, number in read_numbers(content).items()
    }


def _compare_pairs(numbers: Mapping[str, Number], locks: Locks) -> Section:
    """Paired differences: is the population the same, and what the new side measured on its own one."""
    section = Section("Paired comparison")
    old, new = (lock.find_result(POPULATION) for lock in locks)
    if old is None or new is None:
        section.say("At least one side records no population.")
    elif old == new:
        section.say(
            f"Both rest on the same population ({tell_hash(old)}): what moved on it is the classifiers', not the "
            "sample's."
        )
    else:
        section.say(
            f"The populations differ ({tell_hash(old)} and {tell_hash(new)}): what moved may be the sample's as well "
            "as the classifiers'."
        )
    rows = [
        (name, *number.tell(), number.tell_zero())
        for name, number in numbers.items()
        if PAIRED in name.partition(": ")[2].split(".")[:-1]
    ]
    if rows:
        section.say("Differences between classifiers on the same samples of one population, as measured in B:")
    section.show(("metric", "B", "n", "interval"), rows)
    return section


def _compare_directions(sides: Sides, locks: Locks) -> Section:
    """Which directions entered or left the leading ones of each global ranking."""
    section = Section(f"Top {TOP} directions")
    if locks[0].find_result(GENERATOR) != locks[1].find_result(GENERATOR):
        section.say(
            "The generators differ, so that a dimension's number names another thing on either side; compare the words."
        )
    held = [_read_rankings(side) for side in sides]
    rankings = list({**held[1], **held[0]})
    if not rankings:
        section.say("Neither side holds a ranking.")
    for name in rankings:
        if any(name not in side for side in held):
            section.say(f"{name}: ranked in {'B' if name in held[1] else 'A'} only.")
            continue
        before, after = (side[name] for side in held)
        rows = [(name, *row) for row in _tell_directions(before, after)]
        if not rows:
            order = "the same" if list(before) == list(after) else "another"
            section.say(f"{name}: the same directions in {order} order.")
        section.show(("ranking", "what", "direction", "name", "rank in A", "rank in B"), rows)
    return section


def _read_rankings(side: Source) -> dict[str, Leading]:
    """Leading directions by classifier."""
    rankings = {}
    for path in side.find(LEADING):
        try:
            rankings[path.split("/")[-2]] = read_leading(side.read(path) or b"")
        except (KeyError, ValueError, TypeError) as error:
            raise FlowError(f"{side.name}: {path}: no ranking ({error}); make it again or restore it") from error
    return rankings


def _tell_directions(before: Leading, after: Leading) -> Iterable[tuple[str, ...]]:
    """Directions that entered the leading ones, that left them, and that stayed but turned round."""
    entered = [dimension for dimension in after if dimension not in before]
    left = [dimension for dimension in before if dimension not in after]
    turned = [each for each in after if each in before and before[each].sign != after[each].sign]
    for what, dimensions, side in (
        ("entered", entered, after),
        ("left", left, before),
        ("turned round", turned, after),
    ):
        for dimension in dimensions:
            ranks = [str(held[dimension].rank) if dimension in held else f"beyond {TOP}" for held in (before, after)]
            sign = "+" if side[dimension].sign > 0 else "-"
            yield what, f"{dimension}{sign}", side[dimension].name, *ranks


def _compare_inputs(sides: Sides, locks: Locks) -> Section:
    """Which data from outside changed, and which results with it."""
    section = Section("Inputs and results")
    section.say(
        *(
            f"{side.name} holds no {LOCK}, or an empty one."
            for side, lock in zip(sides, locks, strict=True)
            if not lock.results
        )
    )
    old, new = locks
    none = f"No input from outside changed, of {len(new.inputs)} that {LOCK} records"
    none += "; files that params pin by their hash stand under Params."
    _show_changes(section, "input", (old.inputs, new.inputs), "Inputs from outside", none, tell_hash)
    recorded = f"Of {len({**old.results, **new.results})} recorded results those"
    _show_changes(
        section, "result", (old.results, new.results), recorded, "All results have the same bytes.", tell_hash
    )
    return section


def _compare_params(sides: Sides, locks: Locks) -> Section:
    """Which params changed, and whether they are those that the results were made with."""
    section = Section("Params")
    held = [flatten(side.read_mapping(PARAMS)) for side in sides]
    _show_changes(section, "param", held, "Params", f"No param changed ({PARAMS}).")
    for side, params, lock in zip(sides, held, locks, strict=True):
        newer = [each.key for each in diff_flat(lock.params, params) if each.key in lock.params]
        if newer:
            section.say(f"{side.name}: its results were made with other values of {', '.join(newer)}.")
    return section


def _compare_code(sides: Sides, locks: Locks) -> Section:
    """Which code that made the results changed, which commands, and whether the results are older than the code."""
    section = Section("Code")
    old, new = locks
    none = f"No code that the results were made with changed, of {len(new.code)} folders and modules in {LOCK}."
    made = f"Of {len(new.code)} folders and modules that the results were made with, those"
    _show_changes(section, "code", (old.code, new.code), made, none, tell_hash)
    _show_changes(section, "command of stage", (old.commands, new.commands), "Commands", "No command changed.")
    for side, lock in zip(sides, locks, strict=True):
        # A bundle need not hold the code.
        newer = [path for path, recorded in lock.code.items() if side.hash(path) not in (None, recorded)]
        if newer:
            section.say(f"{side.name}: its results were made with other versions of {', '.join(newer)}.")
    return section


def _compare_environments(sides: Sides) -> Section:
    """What differs between machines and packages; only bundles record them."""
    section = Section("Environment")
    without = [side.name for side in sides if not side.has_environment]
    found = [path for side in sides for path in side.find(ENVIRONMENT)[:1]]
    if without:
        section.say(f"Not compared, since only evidence bundles record it; no bundle: {', '.join(without)}.")
    elif len(found) < len(sides):
        section.say(f"Not compared: a bundle without {ENVIRONMENT}.")
    else:
        held = [flatten(side.read_mapping(path)) for side, path in zip(sides, found, strict=True)]
        _show_changes(section, "entry", held, "Entries", f"The same, in all {len(held[1])} entries.")
    return section


def _show_changes(
    section: Section,
    what: str,
    held: Sequence[Flat],
    changed: str,
    none: str,
    tell: Callable[[Any], str] = tell_value,
) -> None:
    """How many entries of two flat mappings differ, and a table of them; none: the sentence if none does."""
    changes = diff_flat(*held)
    section.say(f"{changed} that changed: {len(changes)}." if changes else none)
    section.show((what, "A", "B"), [(each.key, tell(each.old), tell(each.new)) for each in changes])
