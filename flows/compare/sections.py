"""What is said of two runs, section by section: verdicts, metrics, directions, and what lies behind the differences."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from flows.compare import differences
from flows.compare.differences import TOP, Flat, Leading, Move, Number, tell_hash, tell_value
from flows.compare.document import Section
from flows.compare.sources import LOCK, PARAMS, Source
from flows.dag import DAG_FILE
from flows.errors import FlowError
from flows.gates_command import GATES, parse_gates, tell_found

LEADING = "name_directions/*/leading.csv"
GENERATOR, POPULATION = "generator.safetensors", "population.zarr"
ENVIRONMENT = "environment.json"
NO_CRITERION = ("no criterion", "", "")
PAIRED = "paired"  # the group of metrics that holds differences on the same samples


class Run:
    """One side: where it is read, its name as the user calls it, and what is compared of it; leading: by classifier."""

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name
        self.lock = differences.read_lock(source.read_mapping(LOCK), source.read_mapping(DAG_FILE))
        self.numbers, self.leading = _read_numbers(source), _read_leading(source)
        self.params = differences.flatten(source.read_mapping(PARAMS))


def compare(old: Source, new: Source, *, show_all: bool = False) -> list[Section]:
    """The sections of the comparison; show_all: list the metrics that moved within their intervals, too."""
    before, after = Run(old), Run(new)
    return [
        _compare_verdicts(old, new),
        _compare_metrics(before, after, show_all=show_all),
        _compare_pairs(before, after),
        _compare_directions(before, after),
        _compare_inputs(before, after),
        _compare_params(before, after),
        _compare_code(before, after),
        _compare_environments(old, new),
    ]


def _compare_verdicts(old: Source, new: Source) -> Section:
    """Which acceptance criteria flipped, or ask for something else."""
    section = Section("Acceptance criteria")
    before, after = _read_verdicts(old), _read_verdicts(new)
    empty = [side.name for side, held in ((old, before), (new, after)) if not held]
    section.say(*(f"{name} holds no verdicts ({GATES})." for name in empty))
    pairs = {name: (before.get(name, NO_CRITERION), after.get(name, NO_CRITERION)) for name in {**after, **before}}
    if before and after:
        flipped = sum(one[0] != other[0] for one, other in pairs.values())
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
    asked = {each["id"]: f"{each.get('comparison')} {differences.tell_number(each.get('bar'))}" for each in criteria}
    return {each["id"]: (each["verdict"], asked[each["id"]], tell_found(each)) for each in criteria}


def _compare_metrics(old: Run, new: Run, *, show_all: bool) -> Section:
    """Which metrics moved, and whether beyond their intervals."""
    section = Section("Metrics")
    section.say(*(f"{side.name} holds no metrics." for side in (old, new) if not side.numbers))
    before, after = old.numbers, new.numbers
    shared = [key for key in after if key in before]
    moved = {key: differences.tell_move(before[key], after[key]) for key in shared if before[key] != after[key]}
    with_interval = sum(before[key].has_interval and after[key].has_interval for key in shared)
    counts = {kind: list(moved.values()).count(kind) for kind in Move}
    if shared:
        section.say(
            f"{len(shared) - len(moved)} of {len(shared)} metrics are equal. Of the {with_interval} with a 95 % "
            f"interval on both sides, {counts[Move.BEYOND]} moved beyond their intervals (these lie apart) and "
            f"{counts[Move.WITHIN]} within them (they overlap). {counts[Move.UNKNOWN]} moved that state no interval."
        )
    if moved:
        share = differences.APART_BY_CHANCE
        section.say(
            f"By chance alone, two intervals of one value from independent samples lie apart in {100 * share:.1f} % of "
            f"cases: about {with_interval * share:.0f} of these {with_interval}. Numbers that overlap may still "
            "differ; a paired comparison on the same samples tells finer."
        )
    for kind in Move:
        if kind is Move.WITHIN and counts[kind] and not show_all:
            section.say(f"--all lists the {counts[kind]} that moved within their intervals.")
        elif counts[kind]:
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
        for key, number in differences.read_numbers(content).items()
    }


def _compare_pairs(old: Run, new: Run) -> Section:
    """Paired differences: is the population the same, and what the new side measured on its own one."""
    section = Section("Paired comparison")
    one, other = (side.lock.find_result(POPULATION) for side in (old, new))
    told = f"{tell_hash(one)} and {tell_hash(other)}"
    if one is None or other is None:
        said = "At least one side records no population."
    elif one == other:
        said = f"Both rest on the same population ({tell_hash(one)}): what moved is the classifiers', not the sample's."
    else:
        said = f"The populations differ ({told}): what moved may be the sample's as well as the classifiers'."
    section.say(said)
    rows = [
        (name, *number.tell(), number.tell_zero())
        for name, number in new.numbers.items()
        if PAIRED in name.partition(": ")[2].split(".")[:-1]
    ]
    if rows:
        section.say("Differences between classifiers on the same samples of one population, as measured in B:")
    section.show(("metric", "B", "n", "interval"), rows)
    return section


def _compare_directions(old: Run, new: Run) -> Section:
    """Which directions entered or left the leading ones of each global ranking."""
    section = Section(f"Top {TOP} directions")
    if old.lock.find_result(GENERATOR) != new.lock.find_result(GENERATOR):
        section.say(
            "The generators differ, so that a dimension's number names another thing on either side; compare the words."
        )
    if not old.leading and not new.leading:
        section.say("Neither side holds a ranking.")
    for name in {**new.leading, **old.leading}:
        before, after = old.leading.get(name), new.leading.get(name)
        if before is None or after is None:
            section.say(f"{name}: ranked in {'B' if before is None else 'A'} only.")
            continue
        rows = [(name, *row) for row in _tell_directions(before, after)]
        if not rows:
            order = "the same" if list(before) == list(after) else "another"
            section.say(f"{name}: the same directions in {order} order.")
        section.show(("ranking", "what", "direction", "name", "rank in A", "rank in B"), rows)
    return section


def _read_leading(side: Source) -> dict[str, Leading]:
    """Leading directions by classifier."""
    found = {}
    for path in side.find(LEADING):
        try:
            found[path.split("/")[-2]] = differences.read_leading(side.read(path) or b"")
        except (KeyError, ValueError, TypeError) as error:
            raise FlowError(f"{side.name}: {path}: no ranking ({error}); make it again or restore it") from error
    return found


def _tell_directions(before: Leading, after: Leading) -> Iterable[tuple[str, ...]]:
    """Directions that entered the leading ones, that left them, and that stayed but turned round."""
    entered = [("entered", each) for each in after if each not in before]
    left = [("left", each) for each in before if each not in after]
    turned = [("turned round", each) for each in after if each in before and before[each].sign != after[each].sign]
    for what, dimension in (*entered, *left, *turned):
        held = after.get(dimension) or before[dimension]
        ranks = [str(side[dimension].rank) if dimension in side else f"beyond {TOP}" for side in (before, after)]
        yield what, f"{dimension}{'+' if held.sign > 0 else '-'}", held.name, *ranks


def _compare_inputs(old: Run, new: Run) -> Section:
    """Which data from outside changed, and which results with it."""
    section = Section("Inputs and results")
    section.say(*(f"{side.name} holds no {LOCK}, or an empty one." for side in (old, new) if not side.lock.results))
    before, after = old.lock, new.lock
    none = f"No input from outside changed, of {len(after.inputs)} that {LOCK} records; files that params pin by their "
    none += "hash stand under Params."
    _show_changes(section, "input", before.inputs, after.inputs, "Inputs from outside", none, tell_hash)
    changed = f"Of {len({**before.results, **after.results})} recorded results those"
    none = "All results have the same bytes."
    _show_changes(section, "result", before.results, after.results, changed, none, tell_hash)
    return section


def _compare_params(old: Run, new: Run) -> Section:
    """Which params changed, and whether they are those that the results were made with."""
    section = Section("Params")
    _show_changes(section, "param", old.params, new.params, "Params", f"No param changed ({PARAMS}).")
    for side in (old, new):
        made = side.lock.params
        newer = [each.key for each in differences.diff_flat(made, side.params) if each.key in made]
        if newer:
            section.say(f"{side.name}: its results were made with other values of {', '.join(newer)}.")
    return section


def _compare_code(old: Run, new: Run) -> Section:
    """Which code that made the results changed, which commands, and whether the results are older than the code."""
    section = Section("Code")
    before, after = old.lock, new.lock
    changed = f"Of {len(after.code)} folders and modules that the results were made with, those"
    none = f"No code that the results were made with changed, of {len(after.code)} folders and modules in {LOCK}."
    _show_changes(section, "code", before.code, after.code, changed, none, tell_hash)
    _show_changes(section, "stage", before.commands, after.commands, "Commands of stages", "No command changed.")
    for side in (old, new):
        # A bundle need not hold the code.
        newer = [path for path, held in side.lock.code.items() if side.source.hash(path) not in (None, held)]
        if newer:
            section.say(f"{side.name}: its results were made with other versions of {', '.join(newer)}.")
    return section


def _compare_environments(old: Source, new: Source) -> Section:
    """What differs between machines and packages; only bundles record them."""
    section = Section("Environment")
    without = [side.name for side in (old, new) if not side.has_environment]
    if without:
        section.say(f"Not compared, since only evidence bundles record it; no bundle: {', '.join(without)}.")
        return section
    before, after = (differences.flatten(side.read_mapping(ENVIRONMENT)) for side in (old, new))
    if not (before and after):
        section.say(f"Not compared: a bundle without {ENVIRONMENT}.")
    else:
        _show_changes(section, "entry", before, after, "Entries", f"The same, in all {len(after)} entries.")
    return section


def _show_changes(
    section: Section, what: str, old: Flat, new: Flat, changed: str, none: str, tell: Callable[[Any], str] = tell_value
) -> None:
    """How many entries of two flat mappings differ, and a table of them; none: the sentence if none does."""
    changes = differences.diff_flat(old, new)
    section.say(f"{changed} that changed: {len(changes)}." if changes else none)
    section.show((what, "A", "B"), [(each.key, tell(each.old), tell(each.new)) for each in changes])
