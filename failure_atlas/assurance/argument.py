"""The argument for a classifier in the Goal Structuring Notation, made from criteria, verdicts, hazards and modes.

GSN Community Standard, version 3 (SCSC-141C, 2021). Rules: a solution is a criterion that passed, with its metric,
value, interval, count, and the SHA-256 of the file. What was not assessable leaves its goal undeveloped; what failed
defeats its goal by a counter solution. A goal is supported only if all below it are, and its text says how many are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from failure_atlas.assurance.hazards import Hazard
from failure_atlas.assurance.stages import STAGES, Stage, find_letters, place_criterion
from failure_atlas.decisions.acceptance import FAIL, PASS
from failure_atlas.decisions.summary import Mode, names_classifier, tell_percent
from failure_atlas.statistics.estimates import read_estimate

GOAL, STRATEGY, SOLUTION, CONTEXT, ASSUMPTION, JUSTIFICATION, COUNTER = "G", "S", "Sn", "C", "A", "J", "CSn"
SUPPORTED, UNDEVELOPED, REFUTED = "supported", "undeveloped", "refuted"
TOP = "G-top"
MODES_TOLD = 3  # of a hazard, in words; the others are counted


@dataclass(frozen=True)
class Node:
    """One element.  id: `KIND-NAME`.  status: supported | undeveloped | refuted, of goals and strategies.

    challenges: the goal that a counter solution defeats.  facts: what else is told of it, as layers of gsn2x.
    """

    id: str
    text: str
    supported_by: tuple[str, ...] = ()
    in_context_of: tuple[str, ...] = ()
    challenges: str = ""
    status: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """G, S, Sn, C, A, J or CSn."""
        return self.id.partition("-")[0]


@dataclass(frozen=True)
class Basis:
    """All that an argument rests on.

    criteria: entries of gates.json.  modes: by classifier.  digests: SHA-256 by path, of each metrics.json that a
    criterion names and of each modes.csv.  contexts: what holds of domain, data and generator, by a short name.
    """

    criteria: Sequence[Mapping[str, Any]]
    hazards: Sequence[Hazard]
    modes: Mapping[str, Sequence[Mode]]
    digests: Mapping[str, str]
    contexts: Mapping[str, str]
    classifiers: Sequence[str]

    @property
    def subjects(self) -> list[str]:
        """The classifiers that a criterion names; nothing is argued of the others."""
        told = [str(each["metric"]) for each in self.criteria]
        return [name for name in self.classifiers if any(names_classifier(metric, name) for metric in told)]


@dataclass(frozen=True)
class Argument:
    """Elements by id, in the order in which they are read; the first is the top goal."""

    nodes: Mapping[str, Node]

    def select(self, status: str, kind: str = GOAL) -> list[Node]:
        """The elements of a kind that have a status."""
        return [node for node in self.nodes.values() if node.kind == kind and node.status == status]

    def tell(self) -> str:
        """How many goals have which status, in one line."""
        return ", ".join(f"{len(self.select(each))} {each}" for each in (SUPPORTED, UNDEVELOPED, REFUTED))


def build_argument(basis: Basis) -> Argument:
    """The whole argument, in the same order for the same basis."""
    subjects = " and ".join(basis.subjects) or "No classifier that a criterion names"
    contexts = [Node(f"{CONTEXT}-{name}", text) for name, text in basis.contexts.items()]
    others = [name for name in basis.classifiers if name not in basis.subjects]
    words = "Hazards and requirements are those of params.yaml; nothing here shows that they are all."
    if others:
        words += f" Nothing is argued of {', '.join(others)}: no criterion names it."
    rule = (
        "A criterion passes where its whole 95 % interval meets the bar, fails where none of it does; else, or where "
        "samples are too few or the generator did not pass, it is not assessable and its goal stays undeveloped."
    )
    beside = [*contexts, Node(f"{ASSUMPTION}-hazards", words), Node(f"{JUSTIFICATION}-verdicts", rule)]
    stages = [node for stage in STAGES for node in _argue_stage(stage, basis)]
    skeleton = Node(
        f"{STRATEGY}-amlas", "Argue over the six stages of AMLAS; letters are those of its artefacts.",
        tuple(f"{GOAL}-{stage.id}" for stage in STAGES),
    )  # fmt: skip
    claim = f"{subjects}: as safe a component as its requirements ask, in the operating domain stated."
    top = Node(TOP, claim, (skeleton.id,), tuple(node.id for node in beside))
    nodes = [top, *beside, skeleton, *stages]
    return Argument(_conclude({node.id: node for node in nodes}))


def _argue_stage(stage: Stage, basis: Basis) -> list[Node]:
    """A stage's goal, and below it what criteria support and what stays open."""
    placed = {str(each["id"]): place_criterion(each) for each in basis.criteria}
    own = [name for name, places in placed.items() if stage.id in places]
    nodes, below = [], []
    supports = [find_letters(str(each["supports"])) for each in basis.criteria if each["id"] in own]
    named = [letter for letter in stage.letters if letter in set[str]().union(*supports)]
    if own:
        claim = f"{stage.claim} {_bracket(named)}".strip()
        goal = Node(f"{GOAL}-{stage.id}-met", claim, tuple(f"{GOAL}-{name}" for name in own))
        argued = [each for each in basis.criteria if placed[str(each["id"])][-1] == stage.id]
        nodes += [goal, *(node for each in argued for node in _argue_criterion(each, basis))]
        below.append(goal.id)
    if stage.id == "requirements":
        hazards = _argue_hazards(basis)
        nodes += hazards
        below.append(hazards[0].id)
    bare = [letter for letter in stage.letters if letter not in named]
    told = f"{stage.open_claim} {_bracket([*bare, *stage.open_letters])}"
    left = Node(f"{GOAL}-{stage.id}-open", told, status=UNDEVELOPED)
    number = STAGES.index(stage) + 1
    whole = Node(f"{GOAL}-{stage.id}", f"AMLAS stage {number} is assured: {stage.name.lower()}.", (*below, left.id))
    return [whole, *nodes, left]


def _argue_criterion(each: Mapping[str, Any], basis: Basis) -> list[Node]:
    """A goal that says no more than metric and bar, and what was found."""
    name, verdict, found = str(each["id"]), str(each["verdict"]), read_estimate(each["found"])
    asked = f"{each['metric']} {each['comparison']} {each['bar']:g}"
    path = f"data/{str(each['metric']).partition(': ')[0]}/metrics.json"
    facts = {
        "metric": str(each["metric"]), "found": found.tell(), "verdict": verdict, "file": path,
        "sha256": basis.digests.get(path, "unknown"), "clause": str(each["supports"]),
    }  # fmt: skip
    why = f"{verdict}: {each.get('because', '')}".removesuffix(": ")
    if verdict == PASS:
        goal = Node(f"{GOAL}-{name}", asked, (f"{SOLUTION}-{name}",), facts=facts)
        told = f"{found.tell()}; {why}; {path} sha256 {facts['sha256'][:16]}"
        return [goal, Node(f"{SOLUTION}-{name}", told, facts=facts)]
    if verdict == FAIL:
        told = f"{found.tell()}; {why}; {path} sha256 {facts['sha256'][:16]}"
        goal = Node(f"{GOAL}-{name}", asked, status=REFUTED, facts=facts)
        return [goal, Node(f"{COUNTER}-{name}", told, challenges=goal.id, facts=facts)]
    return [Node(f"{GOAL}-{name}", f"{asked}\nfound {found.tell()}; {why}", status=UNDEVELOPED, facts=facts)]


def _argue_hazards(basis: Basis) -> list[Node]:
    """The strategy over hazards, or an undeveloped goal where none is stated."""
    if not basis.hazards:
        told = "Every hazard has a requirement. params.yaml states no hazard."
        return [Node(f"{GOAL}-hazards", told, status=UNDEVELOPED)]
    nodes = [
        Node(f"{STRATEGY}-hazards", f"Argue over each of {len(basis.hazards)} stated hazards.",
             tuple(f"{GOAL}-hazard-{each.id}" for each in basis.hazards))
    ]  # fmt: skip
    for hazard in basis.hazards:
        met = [
            (name, mode, place)
            for name in basis.subjects
            for place, mode in enumerate(basis.modes.get(name, ()), start=1)
            if hazard.meets(mode)
        ]
        told = "; ".join(f"{name} {_tell_mode(mode)}" for name, mode, _ in met[:MODES_TOLD]) or "none was found"
        more = f"; and {len(met) - MODES_TOLD} more" if len(met) > MODES_TOLD else ""
        text = f"Kinds of input that may lead to it: {told}{more}."
        files = {name: f"data/find_modes/{name}/modes.csv" for name, _, _ in met}
        facts = {
            "modes": ", ".join(f"{name} {place}" for name, _, place in met) or "none",
            "sha256": ", ".join(f"{path} {basis.digests.get(path, 'unknown')}" for path in files.values()) or "none",
        }
        claim = f"{hazard.requirement} Hazard: {hazard.confusion}, {hazard.severity}."
        below = tuple(f"{GOAL}-{name}" for name in hazard.criteria)
        beside = Node(f"{CONTEXT}-hazard-{hazard.id}", text, facts=facts)
        nodes += [Node(f"{GOAL}-hazard-{hazard.id}", claim, below, (beside.id,)), beside]
    return nodes


def _tell_mode(mode: Mode) -> str:
    real = f"real images: {mode.verdict}"
    return f"{mode.texts['sentence']} ({tell_percent(mode.estimates['rate'])}; {real})"


def _conclude(nodes: dict[str, Node]) -> dict[str, Node]:
    """Give each goal and strategy its status, from below; the text of a goal says how many of its parts have which."""
    done: dict[str, str] = {node.id: node.status for node in nodes.values() if node.status}

    def decide(name: str) -> str:
        if name not in done:
            node = nodes[name]
            below = [decide(each) for each in node.supported_by]
            worst = next((status for status in (REFUTED, UNDEVELOPED) if status in below), SUPPORTED)
            done[name] = SUPPORTED if node.kind == SOLUTION else worst
        return done[name]

    found = {}
    for name, node in nodes.items():
        if node.kind not in (GOAL, STRATEGY):
            found[name] = node
            continue
        status, text = decide(name), node.text
        parts = [each for each in node.supported_by if nodes[each].kind != SOLUTION]
        if node.kind == GOAL and parts:
            count = Counter(decide(each) for each in parts)
            told = ", ".join(f"{count[each]} {each}" for each in (SUPPORTED, UNDEVELOPED, REFUTED) if count[each])
            text = f"{text}\n{status}: {told}"
        found[name] = replace(node, status=status, text=text)
    return found


def _bracket(letters: Sequence[str]) -> str:
    return " ".join(f"[{letter}]" for letter in letters)
