"""Numbers with their uncertainty, differences of two of them, and the verdicts that follow from an interval."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

HOLDS, FAILS, NOT_DECIDED = "holds", "fails", "not decided"
VERDICTS = (HOLDS, FAILS, NOT_DECIDED)
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and sample count; NaN where a number has no interval, such as a p-value."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """{value, low, high, n}."""
        return asdict(self)


def subtract(first: Estimate, second: Estimate) -> Estimate:
    """`first` minus `second` with the interval of two independent estimates; n: the smaller one's.

    From the two intervals alone (MOVER: Newcombe 1998, Zou and Donner 2008): low = d - sqrt((a - low_a)^2 +
    (high_b - b)^2), and high alike.  Estimates of the same samples that vary together are closer than it says, so a
    verdict errs towards `not decided`.
    """
    difference = first.value - second.value
    low = difference - math.hypot(first.value - first.low, second.high - second.value)
    high = difference + math.hypot(first.high - first.value, second.value - second.low)
    known = [each.n for each in (first, second) if each.n is not None]
    return Estimate(difference, low, high, min(known) if known else None)


def widen(value: float, margin: float, n: int) -> Estimate:
    """A statistic in [0, 1] that lies within `margin` of its true value in 95 % of cases."""
    if math.isnan(value) or math.isnan(margin):
        return Estimate(float("nan"), n=n)
    return Estimate(value, max(0.0, value - margin), min(1.0, value + margin), n)


def estimate_share(successes: int, n: int) -> Estimate:
    """A share of independent cases with its Wilson score interval (Wilson 1927); NaN of none."""
    if not n:
        return Estimate(float("nan"), n=n)
    share, scale = successes / n, 1 + _Z**2 / n
    centre = share + _Z**2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    # At the edges one bound is exactly 0 or 1; rounding must carry it neither past them nor short of them.
    low = max((centre - half) / scale, 0.0) if successes else 0.0
    high = min((centre + half) / scale, 1.0) if successes < n else 1.0
    return Estimate(share, low, high, n)


def is_above(estimate: Estimate, bar: float) -> str:
    """Holds if the whole interval is above the bar, fails if it is below; not decided without an interval."""
    if estimate.low > bar:
        return HOLDS
    return FAILS if estimate.high < bar else NOT_DECIDED


def is_below(estimate: Estimate, bar: float) -> str:
    """Holds if the whole interval is below the bar, fails if it is above; not decided without an interval."""
    if estimate.high < bar:
        return HOLDS
    return FAILS if estimate.low > bar else NOT_DECIDED


def falls(p_value: float, rises: int, significance: float) -> str:
    """Holds if the trend falls and no point rises; fails if one does, or if the trend rises; NaN: not decided.

    p_value: one-sided, small where the curve falls.  rises: points beyond the interval of the point before.
    """
    if rises > 0 or p_value > 1 - significance:
        return FAILS
    return HOLDS if p_value < significance else NOT_DECIDED


def negate(verdict: str) -> str:
    """The verdict on the opposite claim."""
    return {HOLDS: FAILS, FAILS: HOLDS}.get(verdict, NOT_DECIDED)


def combine(verdicts: Sequence[str]) -> str:
    """The verdict on all of several: one that fails decides, else one that is not decided; none: not decided."""
    if FAILS in verdicts:
        return FAILS
    return HOLDS if verdicts and set(verdicts) == {HOLDS} else NOT_DECIDED


def tell_multiplicity(claims: int) -> str:
    """What has to be said of many verdicts, each of which is reached by itself."""
    return (
        f"Each of the {claims} verdicts rests on its own 95 % intervals or test; there is no correction for their "
        "number, so that a verdict or two may be due to chance."
    )
