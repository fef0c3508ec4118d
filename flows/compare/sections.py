"""What is said of two runs, section by section: verdicts, metrics, directions, and what lies behind the differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from flows.compare import differences, modes
from flows.compare.differences import TOP, Flat, Leading, Move, Number, tell_hash, tell_value
from flows.compare.document import Section
from flows.compare.modes import Fate
from flows.compare.sources import LOCK, PARAMS, Source
from flows.dag import DAG_FILE
from flows.errors import FlowError
from flows.gates_command import GATES, parse_gates, tell_found

LEADING, MODES, OTHERS = "name_directions/*/leading.csv", "find_modes/*/modes.csv", "find_modes/*/others.csv"
STUDY = "study/"
DISTANCE = "find_failures/{}: median_distance_std"
QUALITY = "qualify_generator"  # whose groups are kinds of images, some called as classifiers are
GENERATOR, POPULATION = "generator.safetensors", "population.zarr"
ENVIRONMENT = "environment.json"
NO_CRITERION = ("no criterion", "", "")
PAIRED = "paired"  # the group of metrics that holds differences on the same samples

Held = TypeVar("Held")


class Pair(NamedTuple):
    """A classifier of A, and the one of B that it is compared with."""

    old: str
    new: str

    @property
    def label(self) -> str:
        """How the two are called."""
        return self.old if self.old == self.new else f"{self.old} -> {self.new}"


class Run:
    """One side: where it is read, its name as the user calls it, and what is compared of it.

    leading, modes, others: by classifier.  compared: of its numbers, those that are held against the other side's.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name
        self.lock = differences.read_lock(source.read_mapping(LOCK), source.read_mapping(DAG_FILE))
        self.numbers = self.compared = _read_numbers(source)
        self.leading = _read_tables(source, LEADING, "ranking", differences.read_leading)
        self.modes = _read_tables(source, MODES, "modes", modes.read_kinds)
        self.others = _read_tables(source, OTHERS, "rates", modes.read_others)
        self.params = differences.flatten(source.read_mapping(PARAMS))

    @property
    def classifiers(self) -> list[str]:
        """Names of those that have results of their own."""
        folders = [key.partition(": ")[0].split("/") for key in self.numbers]
        return sorted({folder[-1] for folder in folders if len(folder) > 1} | {*self.modes, *self.leading})

    def narrow(self, names: Sequence[tuple[str, str]]) -> None:
        """Compare the numbers of some classifiers alone; names: each with the label that takes its place in keys."""
        renamed = ((_rename(key, *each), number) for each in names for key, number in self.numbers.items())
        self.compared = {key: number for key, number in renamed if key}


def compare(old: Source, new: Source, *, renamed: Sequence[str] = (), show_all: bool = False) -> list[Section]:
    """The sections of the comparison; show_all: list the metrics that moved within their intervals, too.

    renamed: `OLD=NEW`, a classifier of A and the one of B that it is compared with. What goes by classifier is then
    told of these alone.
    """
    before, after = Run(old), Run(new)
    pairs = [_read_pair(each, before, after) for each in dict.fromkeys(renamed)]
    if pairs:
        before.narrow([(pair.old, pair.label) for pair in pairs])
        after.narrow([(pair.new, pair.label) for pair in pairs])
    else:
        pairs = [Pair(name, name) for name in dict.fromkeys([*after.classifiers, *before.classifiers])]
    fates = {pair: _follow(pair, before, after) for pair in pairs}
    return [
        _tell_in_short(before, after, fates),
        _compare_verdicts(old, new),
        _compare_modes(before, after, fates),
        _compare_metrics(before, after, show_all=show_all),
        _compare_pairs(before, after),
        _compare_directions(before, after, pairs),
        _compare_inputs(before, after),
        _compare_params(before, after),
        _compare_code(before, after),
        _compare_environments(old, new),
    ]


def _read_pair(given: str, old: Run, new: Run) -> Pair:
    """The classifiers in `OLD=NEW`; FlowError that tells which there are."""
    pair = Pair(*given.partition("=")[::2])
    for side, run, name in (("A", old, pair.old), ("B", new, pair.new)):
        if name not in run.classifiers:
            known = ", ".join(run.classifiers) or "no classifier"
            raise FlowError(
                f"--renamed: got '{given}'; allowed: OLD=NEW, a classifier of A and one of B; {side} has {known}"
            )
    return pair


def _rename(key: str, name: str, label: str) -> str:
    """A classifier's metric (`find_failures/NAME: x`, `compute_curves: NAME.x`) under a label; empty if of another."""
    folder, _, rest = key.partition(": ")
    stage, _, owner = folder.rpartition("/")
    if owner == name:
        return f"{stage}/{label}: {rest}"
    parts = rest.split(".")
    if stage or folder == QUALITY or name not in parts:
        return ""
    return f"{folder}: {'.'.join(label if part == name else part for part in parts)}"


def _follow(pair: Pair, old: Run, new: Run) -> list[Fate] | None:
    """What became of each kind of input; None if one side has none that can be compared."""
    before, after = old.modes.get(pair.old), new.modes.get(pair.new)
    if before is None or after is None or any(kind.bounds is None for kind in (*before, *after)):
        return None
    # A run of B that also has A's classifier, and finds the same of it, tells what each does in the other's kinds.
    others = new.others if before and new.modes.get(pair.old) == before else {}
    in_old, in_new = others.get(pair.old, {}).get(pair.new, {}), others.get(pair.new, {}).get(pair.old, {})
    return modes.follow(before, after, in_old, in_new)


def _tell_in_short(old: Run, new: Run, fates: Mapping[Pair, list[Fate] | None]) -> Section:
    """What became of each classifier, in a few words."""
    section = Section("In short")
    for pair, found in fates.items():
        distances = (side.compared.get(DISTANCE.format(pair.label)) for side in (old, new))
        told = [
            modes.count_fates(found or ()),
            modes.tell_worst(old.modes.get(pair.old, ()), new.modes.get(pair.new, ())),
            modes.tell_distance(*distances),
        ]
        if any(told):
            section.say(f"{pair.label}: {'; '.join(filter(None, told))}.")
    if not section.parts:
        section.say("Of no classifier both sides hold failure modes or a distance to failure.")
    return section


def _compare_modes(old: Run, new: Run, fates: Mapping[Pair, list[Fate] | None]) -> Section:
    """Which kinds of input are gone, new or stay, and how often they are misread."""
    section = Section("Failure modes")
    for pair, found in fates.items():
        before, after = old.modes.get(pair.old), new.modes.get(pair.new)
        if before is None or after is None:
            if before is not after:
                section.say(f"{pair.label}: modes in {'B' if before is None else 'A'} only.")
        elif found is None:
            aged = [side for side, held in (("A", before), ("B", after)) if any(kind.bounds is None for kind in held)]
            told = f"those of {' and '.join(aged)} are of an older version, which tells them in words alone"
            section.say(f"{pair.label}: modes are not compared: {told}.")
        elif before == after:
            section.say(f"{pair.label}: the same kinds of input ({len(after)}), with the same rates.")
        else:
            section.say(f"{pair.label}: kinds of input: {len(before)} in A, {len(after)} in B.")
            section.show(modes.HEADER, [fate.tell() for fate in found])
    if any(not isinstance(part, str) for part in section.parts):
        section.say(modes.EXPLAINED)
    if not section.parts:
        section.say("Neither side holds modes.")
    return section


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
    before, after = old.compared, new.compared
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


def _compare_directions(old: Run, new: Run, pairs: Sequence[Pair]) -> Section:
    """Which directions entered or left the leading ones of each global ranking."""
    section = Section(f"Top {TOP} directions")
    if old.lock.find_result(GENERATOR) != new.lock.find_result(GENERATOR):
        section.say(
            "The generators differ, so that a dimension's number names another thing on either side; compare the words."
        )
    if not old.leading and not new.leading:
        section.say("Neither side holds a ranking.")
    for pair in pairs:
        name, before, after = pair.label, old.leading.get(pair.old), new.leading.get(pair.new)
        if before is None or after is None:
            if before is not after:
                section.say(f"{name}: ranked in {'B' if before is None else 'A'} only.")
            continue
        rows = [(name, *row) for row in _tell_directions(before, after)]
        if not rows:
            order = "the same" if list(before) == list(after) else "another"
            section.say(f"{name}: the same directions in {order} order.")
        section.show(("ranking", "what", "direction", "name", "rank in A", "rank in B"), rows)
    return section


def _read_tables(side: Source, paths: str, what: str, read: Callable[[bytes], Held]) -> dict[str, Held]:
    """What the tables of a stage hold, by classifier; the studies are another project, in the same commit."""
    found = {}
    for path in (each for each in side.find(paths) if not each.startswith(STUDY)):
        try:
            found[path.split("/")[-2]] = read(side.read(path) or b"")
        except (KeyError, ValueError, TypeError) as error:
            raise FlowError(f"{side.name}: {path}: no {what} ({error}); make it again or restore it") from error
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
