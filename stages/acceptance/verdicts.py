"""How a verdict follows: an interval on one side of the bar decides, one that straddles it does not."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.acceptance.measures import Measure
from stages.acceptance.params import Criterion

PASS, FAIL, NOT_ASSESSABLE = "pass", "fail", "not assessable"
VERDICTS = (PASS, FAIL, NOT_ASSESSABLE)
OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


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


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many criteria have each verdict, and whether the generator passed; null where no criterion asks that."""
    gates = [verdict.verdict for verdict in verdicts if verdict.criterion.gate]
    counts = {name.replace(" ", "_"): sum(verdict.verdict == name for verdict in verdicts) for name in VERDICTS}
    passed = all(verdict == PASS for verdict in gates) if gates else None
    return {"criteria": len(verdicts), **counts, "generator_passed": passed}
