"""The ratio of two means of repeats, with an interval."""

from typing import Any

import numpy as np
from scipy import stats

from stages.common.intervals import CONFIDENCE


def divide_means(numerators: np.ndarray, denominators: np.ndarray) -> dict[str, Any]:
    """mean(numerators) / mean(denominators) of independent, positive repeats: {value, low, high}.

    The interval is symmetric on the logarithm (delta method), with Student's quantile at the degrees of freedom of
    Welch and Satterthwaite. Its bounds are NaN where either side has one repeat only or a mean that is not positive.
    """
    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(tops.mean() / bottoms.mean()) if bottoms.mean() > 0 else float("nan")
    if min(tops.size, bottoms.size) < 2 or tops.mean() <= 0 or bottoms.mean() <= 0:
        return {"value": value, "low": float("nan"), "high": float("nan")}
    variances = np.array([(side.std(ddof=1) / side.mean()) ** 2 / side.size for side in (tops, bottoms)])
    if variances.sum() == 0:
        return {"value": value, "low": value, "high": value}
    freedom = variances.sum() ** 2 / (variances**2 / np.array([tops.size - 1, bottoms.size - 1])).sum()
    factor = float(np.exp(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variances.sum())))
    return {"value": value, "low": value / factor, "high": value * factor}
