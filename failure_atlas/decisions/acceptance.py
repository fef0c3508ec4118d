"""Criteria against what was measured: an interval on one side of the bar decides, one that straddles it does not."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PASS, FAIL, NOT_ASSESSABLE = "pass", "fail", "not assessable"
VERDICTS = (PASS, FAIL, NOT_ASSESSABLE)
OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
PARTS = ("value", "low", "high")
NAN = float("nan")


@dataclass(frozen=True)
class Criterion:
    """One metric held against a bar; params.yaml tells what each key means."""

    id: str
    metric: str
    comparison: str
    bar: float
    reason: str
    supports: str
    min_samples: int = 1
    gate: str | None = None
    needs_generator: bool = True

    @property
    def folder(self) -> str:
        """Result folder that holds the metric: `STAGE`, or `STAGE/CLASSIFIER`."""
        return self.metric.partition(": ")[0]

    @property
    def key(self) -> str:
        """Key in the folder's metrics.json, names joined by dots."""
        return self.metric.partition(": ")[2]

    @property
    def depends_on_generator(self) -> bool:
        """Whether the generator must have passed; a gate says itself whether it has."""
        return self.gate is None and self.needs_generator


@dataclass(frozen=True)
class Measure:
    """A number as it was measured; NaN where the stage knew none.

    has_interval: whether the stage states one.  Without it (a count, a p-value, a bound such as `accuracy.low`) the
    number alone decides.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int | None = None
    has_interval: bool = False

    def as_dict(self) -> dict[str, Any]:
        """{value, low, high, n}."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True)
class Verdict:
    """A criterion, what was found, and what follows; because: why, in words."""

    criterion: Criterion
    found: Measure
    verdict: str
    because: str

    def as_dict(self) -> dict[str, Any]:
        """The entry of gates.json."""
        criterion = self.criterion
        return {
            "id": criterion.id,
            "verdict": self.verdict,
            "because": self.because,
            "metric": criterion.metric,
            "found": self.found.as_dict(),
            "comparison": criterion.comparison,
            "bar": criterion.bar,
            "min_samples": criterion.min_samples,
            "gate": criterion.gate,
            "needs_generator": criterion.depends_on_generator,
            "reason": criterion.reason,
            "supports": criterion.supports,
        }


def check_together(criteria: Sequence[Criterion]) -> None:
    """ValueError unless every id stands once, and a gate stands where one is needed."""
    ids = [criterion.id for criterion in criteria]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"criteria with ids of their own; used twice: {', '.join(twice)}")
    needing = [criterion.id for criterion in criteria if criterion.depends_on_generator]
    if needing and not any(criterion.gate for criterion in criteria):
        raise ValueError(
            f"criteria with needs_generator ({', '.join(needing)}) only beside one with `gate: generator`; "
            "add it, or set needs_generator: false"
        )


def find_measure(metrics: Mapping[str, Any], key: str) -> Measure:
    """Find a metric by its names joined by dots.

    An interval is kept as `{value, low, high, n}` or as a number with `<key>_interval` beside it. One part of it can be
    asked for by name (`accuracy.low`, `median_shift_std.low`) and comes without an interval but with its n.
    Raises KeyError with the names that are there, TypeError if what is found is no number.
    """
    group, name = _descend(metrics, key)
    if name in PARTS and name not in group:
        # A part of an interval that stands beside its number.
        owner = key.rpartition(".")[0]
        group, name = _descend(metrics, f"{owner}_interval.{name}" if name != "value" else owner)
    if name not in group:
        raise KeyError(", ".join(sorted(group)))
    held = group[name]
    if isinstance(held, Mapping) and {"value", "low", "high"} <= held.keys():
        value, low, high = (_read_number(held[part]) for part in PARTS)
        return Measure(value, low, high, _read_count(held.get("n")), has_interval=True)
    value = _read_number(held)
    interval = group.get(f"{name}_interval")
    if isinstance(interval, Mapping):
        low, high = (_read_number(interval.get(part)) for part in ("low", "high"))
        return Measure(value, low, high, _read_count(interval.get("n")), has_interval=True)
    return Measure(value, n=_read_count(group.get("n")) if name in PARTS else None)


def decide_all(criteria: Sequence[Criterion], found: Mapping[str, Measure]) -> list[Verdict]:
    """Verdicts in the given order; found: what was measured, by the criterion's id.

    A gate must pass for what depends on it to be assessed: a generator that failed, or of which nobody can tell, draws
    images that say nothing about the classifier.
    """
    alone = {criterion.id: decide(criterion, found[criterion.id]) for criterion in criteria}
    closed = [name for name, verdict in alone.items() if verdict.criterion.gate and verdict.verdict != PASS]
    return [
        Verdict(criterion, found[criterion.id], NOT_ASSESSABLE, f"the generator did not pass: {', '.join(closed)}")
        if criterion.depends_on_generator and closed
        else alone[criterion.id]
        for criterion in criteria
    ]


def decide(criterion: Criterion, found: Measure) -> Verdict:
    """The verdict on one criterion by itself.

    Pass: the whole 95 % interval meets the bar; fail: none of it does; else, or with fewer than min_samples samples,
    not assessable. An unknown bound of an interval (a median that was not reached) never meets a bar.
    """
    verdict, because = _decide(criterion, found)
    return Verdict(criterion, found, verdict, because)


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many criteria have each verdict, and whether the generator passed; null where no criterion asks that."""
    gates = [verdict.verdict for verdict in verdicts if verdict.criterion.gate]
    counts = {name.replace(" ", "_"): sum(verdict.verdict == name for verdict in verdicts) for name in VERDICTS}
    passed = all(verdict == PASS for verdict in gates) if gates else None
    return {"criteria": len(verdicts), **counts, "generator_passed": passed}


def _decide(criterion: Criterion, found: Measure) -> tuple[str, str]:
    if all(map(math.isnan, (found.value, found.low, found.high))):
        return NOT_ASSESSABLE, "not measured: the stage found nothing to measure it on"
    if criterion.min_samples > 1 and (found.n is None or found.n < criterion.min_samples):
        held = "states no sample count" if found.n is None else f"rests on {found.n:,} samples"
        return NOT_ASSESSABLE, f"{held}, at least {criterion.min_samples:,} are asked for"
    meets, bar = OPERATORS[criterion.comparison], criterion.bar
    stated = f"{criterion.comparison} {bar:g}"
    if not found.has_interval:
        return (PASS, f"the number is {stated}") if meets(found.value, bar) else (FAIL, f"the number is not {stated}")
    # What is hardest to meet decides on a pass, what is easiest on a fail.
    hardest, easiest = (found.low, found.high) if criterion.comparison in (">=", ">") else (found.high, found.low)
    if meets(hardest, bar):
        return PASS, f"the whole interval is {stated}"
    if not math.isnan(easiest) and not meets(easiest, bar):
        return FAIL, f"none of the interval is {stated}"
    return NOT_ASSESSABLE, f"the interval straddles the bar of {bar:g}"


def _descend(metrics: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
    """The group that holds the last name of a key, and that name; KeyError with the names where the way ends."""
    node = metrics
    *names, last = key.split(".")
    for place, name in enumerate(names):
        inner = node.get(name)
        if not isinstance(inner, Mapping):
            if place == len(names) - 1 and last in PARTS and name in node:
                return {}, last  # a plain number, whose parts stand beside it
            raise KeyError(", ".join(sorted(node)))
        node = inner
    return node, last


def _read_number(held: Any) -> float:
    if held is None:
        return NAN
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        raise TypeError(type(held).__name__)
    return float(held)


def _read_count(held: Any) -> int | None:
    if held is not None and (isinstance(held, bool) or not isinstance(held, int)):
        raise TypeError(f"n, which is a {type(held).__name__}")
    return held
