"""Numbers with their 95 % intervals, and what an interval decides: one form, one set of intervals, one decision."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

CONFIDENCE = 0.95
TAIL = 0.5 - CONFIDENCE / 2  # on each side
Z = float(special.ndtri(1 - TAIL))  # standard errors on each side of an estimate that varies normally: 1.96
HOLDS, FAILS, NOT_DECIDED = "holds", "fails", "not decided"
VERDICTS = (HOLDS, FAILS, NOT_DECIDED)
OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and sample count; NaN where it, or a bound, is not known.

    has_interval: whether one was stated. Without it (a count, a p-value, a bound by itself) the number alone decides.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int | None = None
    has_interval: bool = field(default=True, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """{value, low, high, n}, as metrics.json holds it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def tell(self) -> str:
        """In one line, such as `0.96 [0.946, 0.97], n=1,000`."""
        value, low, high = (
            "unknown" if math.isnan(each) else f"{each:.3g}" for each in (self.value, self.low, self.high)
        )
        interval = "" if math.isnan(self.low) and math.isnan(self.high) else f" [{low}, {high}]"
        return f"{value}{interval}" + (f", n={self.n:,}" if self.n is not None else "")


def read_estimate(held: Any) -> Estimate:
    """What metrics.json holds: `{value, low, high, n}`, a plain number, or null.

    Raises TypeError that names the type of what is none of these.
    """
    if isinstance(held, Mapping) and "value" in held:
        value, low, high = (_read_number(held.get(part)) for part in ("value", "low", "high"))
        return Estimate(value, low, high, _read_count(held.get("n")), has_interval={"low", "high"} <= held.keys())
    return Estimate(_read_number(held), has_interval=False)


def wilson(successes: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % Wilson score interval of a proportion, elementwise (Wilson 1927).

    successes, n: same shape. Returns (low, high); NaN where n is 0.
    """
    successes, n = np.asarray(successes, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / n
        centre = p + Z**2 / (2 * n)
        half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        scale = 1 + Z**2 / n
        low, high = (centre - half) / scale, (centre + half) / scale
    # At the edges one bound is exactly 0 or 1; rounding must carry it neither past them nor short of them.
    low = np.where((successes == 0) & (n > 0), 0.0, np.clip(low, 0, 1))
    high = np.where((successes == n) & (n > 0), 1.0, np.clip(high, 0, 1))
    return low, high


def estimate_share(successes: int, n: int) -> Estimate:
    """A share of independent cases with its Wilson interval; NaN of none."""
    low, high = wilson(np.array(successes), np.array(n))
    return Estimate(successes / n if n else NAN, float(low), float(high), n)


def proportion(correct: np.ndarray) -> dict[str, Any]:
    """Share of true entries with its Wilson interval: `{value, low, high, n}`."""
    return estimate_share(int(np.count_nonzero(correct)), int(np.size(correct))).as_dict()


def mean(values: np.ndarray, n: int | None = None) -> dict[str, Any]:
    """Mean of independent repeats with its 95 % Student interval: `{value, low, high, n}`.

    n: the sample count to state, where it is not the number of repeats.
    """
    values = np.asarray(values, float)
    centre, half = float(values.mean()), NAN
    if values.size > 1:
        half = float(special.stdtrit(values.size - 1, 1 - TAIL) * values.std(ddof=1) / np.sqrt(values.size))
    return Estimate(centre, centre - half, centre + half, values.size if n is None else n).as_dict()


def percentile(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    return float(low), float(high)


def flatten(name: str, estimate: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate `{value, low, high, n}` as two metrics: `name`, a plain number, and `name_interval` with the rest."""
    return {name: estimate["value"], f"{name}_interval": {key: estimate[key] for key in ("low", "high", "n")}}


def subtract(first: Estimate, second: Estimate) -> Estimate:
    """`first` minus `second` with the interval of two independent estimates; n: the smaller one's.

    From the two intervals alone (MOVER: Newcombe 1998, Zou and Donner 2008): low = d - sqrt((a - low_a)^2 +
    (high_b - b)^2), and high alike.  Estimates of the same samples that vary together are closer than it says, so a
    verdict errs towards `not decided`.
    """
    difference = first.value - second.value
    low = difference - math.hypot(first.value - first.low, second.high - second.value)
    high = difference + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(difference, low, high, min((n for n in (first.n, second.n) if n is not None), default=None))


def find_p_value(estimate: Estimate, bar: float, freedom: float | None = None) -> float:
    """Two-sided p-value of the true value being `bar`, from the interval (Altman and Bland 2011); NaN without one.

    As if the estimate varied like Student's t, with the width that the interval has on the side of the bar: below 0.05
    exactly where the bar lies outside.  freedom: its degrees, where they are not n - 1.
    """
    half = estimate.value - estimate.low if estimate.value > bar else estimate.high - estimate.value
    distance = abs(estimate.value - bar)
    if math.isnan(half) or half == 0:
        return float(distance == 0) if half == 0 else NAN
    freedom = freedom or max((estimate.n or math.inf) - 1, 1)
    return float(2 * special.stdtr(freedom, -special.stdtrit(freedom, 1 - TAIL) * distance / half))


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """P-values [M] that allow for their number, whatever they share (Holm 1979); a NaN is no test and stays one."""
    order = np.argsort(p_values)  # NaN last
    tests = np.count_nonzero(~np.isnan(p_values))
    adjusted = np.empty(len(p_values))
    factors = np.arange(tests, tests - len(p_values), -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return adjusted


def widen(value: float, margin: float, n: int) -> Estimate:
    """A statistic in [0, 1] that lies within `margin` of its true value in 95 % of cases."""
    if math.isnan(value) or math.isnan(margin):
        return Estimate(NAN, n=n)
    return Estimate(value, max(0.0, value - margin), min(1.0, value + margin), n)


def decide(estimate: Estimate | Mapping[str, Any], bar: float, comparison: str = ">=") -> str:
    """Whether something meets a bar: `holds` if its whole interval does, `fails` if none does, else `not decided`.

    comparison: >= | <= | > | <.  An unknown bound meets no bar and misses none; without an interval the number decides.
    """
    if isinstance(estimate, Mapping):
        low, high = estimate["low"], estimate["high"]
    else:
        low, high = (estimate.low, estimate.high) if estimate.has_interval else (estimate.value, estimate.value)
    meets = OPERATORS[comparison]
    # What is hardest to meet decides for it, what is easiest against it.
    hardest, easiest = (low, high) if comparison in (">=", ">") else (high, low)
    if meets(hardest, bar):
        return HOLDS
    return NOT_DECIDED if math.isnan(easiest) or meets(easiest, bar) else FAILS


def negate(verdict: str) -> str:
    """The verdict on the opposite claim."""
    return {HOLDS: FAILS, FAILS: HOLDS}.get(verdict, NOT_DECIDED)


def combine(verdicts: Sequence[str]) -> str:
    """The verdict on all of several: one that fails decides, else one that is not decided; none: not decided."""
    if FAILS in verdicts:
        return FAILS
    return HOLDS if verdicts and set(verdicts) == {HOLDS} else NOT_DECIDED


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
