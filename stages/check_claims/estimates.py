"""Numbers with their uncertainty, and differences of two of them."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


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
    low = difference - float(np.hypot(first.value - first.low, second.high - second.value))
    high = difference + float(np.hypot(first.high - first.value, second.value - second.low))
    known = [each.n for each in (first, second) if each.n is not None]
    return Estimate(difference, low, high, min(known) if known else None)


def widen(value: float, margin: float, n: int) -> Estimate:
    """A statistic in [0, 1] that lies within `margin` of its true value in 95 % of cases."""
    if np.isnan(value) or np.isnan(margin):
        return Estimate(float("nan"), n=n)
    return Estimate(value, max(0.0, value - margin), min(1.0, value + margin), n)
