"""How a verdict follows from numbers: an interval on one side of a bar decides, one that straddles it does not."""

from collections.abc import Sequence

from stages.check_claims.estimates import Estimate

HOLDS, FAILS, NOT_DECIDED = "holds", "fails", "not decided"
VERDICTS = (HOLDS, FAILS, NOT_DECIDED)


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
