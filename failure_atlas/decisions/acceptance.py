"""Criteria against what was measured: an interval on one side of the bar decides, one that straddles it does not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from failure_atlas.core.fields import Section, Text
from failure_atlas.statistics.estimates import FAILS, HOLDS, NOT_DECIDED, Estimate
from failure_atlas.statistics.estimates import decide as decide_bar

PASS, FAIL, NOT_ASSESSABLE = "pass", "fail", "not assessable"
VERDICTS = {HOLDS: PASS, FAILS: FAIL, NOT_DECIDED: NOT_ASSESSABLE}
METRIC_FORM = r"^[\w@-]+(/[\w@-]+)*: \S+(\.\S+)*$"


class Criterion(Section):
    """One metric held against a bar; params.yaml tells what each key means."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
    metric: Annotated[str, StringConstraints(pattern=METRIC_FORM, max_length=300)]
    comparison: Literal[">=", "<=", ">", "<"]
    bar: float
    reason: Text
    supports: Text
    min_samples: int = Field(default=1, ge=1, le=1_000_000_000)
    gate: Literal["generator"] | None = None
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
class Verdict:
    """A criterion, what was found, and what follows; because: why, in words."""

    criterion: Criterion
    found: Estimate
    verdict: str
    because: str

    def as_dict(self) -> dict[str, Any]:
        """The entry of gates.json."""
        return {
            "id": self.criterion.id,
            "verdict": self.verdict,
            "because": self.because,
            "metric": self.criterion.metric,
            "found": self.found.as_dict(),
            **self.criterion.model_dump(include={"comparison", "bar", "min_samples", "gate"}),
            "needs_generator": self.criterion.depends_on_generator,
            "reason": self.criterion.reason,
            "supports": self.criterion.supports,
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


def decide_all(criteria: Sequence[Criterion], found: Mapping[str, Estimate]) -> list[Verdict]:
    """Verdicts in the given order; found: what was measured, by the criterion's id.

    A gate must pass for what depends on it to be assessed: a generator that failed, or of which nobody can tell, draws
    images that say nothing about the classifier.
    """
    alone = [decide(criterion, found[criterion.id]) for criterion in criteria]
    closed = [each.criterion.id for each in alone if each.criterion.gate and each.verdict != PASS]
    because = f"the generator did not pass: {', '.join(closed)}"
    return [
        Verdict(each.criterion, each.found, NOT_ASSESSABLE, because)
        if closed and each.criterion.depends_on_generator
        else each
        for each in alone
    ]


def decide(criterion: Criterion, found: Estimate) -> Verdict:
    """The verdict on one criterion by itself.

    Pass: the whole 95 % interval meets the bar; fail: none of it does; else, or with fewer than min_samples samples,
    not assessable. An unknown bound of an interval (a median that was not reached) never meets a bar.
    """
    stated = f"{criterion.comparison} {criterion.bar:g}"
    if all(map(math.isnan, (found.value, found.low, found.high))):
        verdict, because = NOT_ASSESSABLE, "not measured: the stage found nothing to measure it on"
    elif criterion.min_samples > 1 and (found.n is None or found.n < criterion.min_samples):
        held = "states no sample count" if found.n is None else f"rests on {found.n:,} samples"
        verdict, because = NOT_ASSESSABLE, f"{held}, at least {criterion.min_samples:,} are asked for"
    else:
        verdict = VERDICTS[decide_bar(found, criterion.bar, criterion.comparison)]
        because = {
            PASS: f"the whole interval is {stated}" if found.has_interval else f"the number is {stated}",
            FAIL: f"none of the interval is {stated}" if found.has_interval else f"the number is not {stated}",
            NOT_ASSESSABLE: f"the interval straddles the bar of {criterion.bar:g}",
        }[verdict]
    return Verdict(criterion, found, verdict, because)


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many criteria have each verdict, and whether the generator passed; null where no criterion asks that."""
    gates = [verdict.verdict == PASS for verdict in verdicts if verdict.criterion.gate]
    counts = {
        name.replace(" ", "_"): sum(verdict.verdict == name for verdict in verdicts) for name in VERDICTS.values()
    }
    return {"criteria": len(verdicts), **counts, "generator_passed": all(gates) if gates else None}
