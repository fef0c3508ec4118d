"""Does a curve fall? One-sided tests against no trend, and rises between neighbouring points."""

import numpy as np
from scipy import stats

from failure_atlas.curves.curve import Curve, weigh_slope


def check_bins(curve: Curve) -> float:
    """P-value of the Cochran-Armitage test that accuracy falls with x (Armitage 1955), for bins of different samples.

    H0: no linear trend of the share over x.  NaN without two different x; 0.5 where all samples have one outcome.
    """
    if len(curve.x) < 2 or np.ptp(curve.x) == 0:
        return float("nan")
    total = curve.n.sum()
    share = curve.n @ curve.accuracy / total
    deviation = curve.x - curve.n @ curve.x / total
    variance = share * (1 - share) * (curve.n @ deviation**2)
    z = (curve.n * (curve.accuracy - share)) @ deviation / np.sqrt(variance) if variance > 1e-12 else 0.0
    return float(stats.norm.cdf(z))


def check_steps(x: np.ndarray, correct: np.ndarray) -> float:
    """P-value of the t test that the samples' own slopes are negative on average, for steps that share samples.

    x: [T].  correct: bool [T, N].  H0: their mean is 0.  The slope is that of `measure_shift_slope`, one for each
    sample, so that a sample counts once however many steps it takes.  NaN for less than two samples or steps; 0.5
    where no sample has a slope.
    """
    if len(x) < 2 or correct.shape[1] < 2:
        return float("nan")
    each = weigh_slope(x, np.ones(len(x))) @ correct
    spread = each.std(ddof=1) / np.sqrt(len(each))
    if spread < 1e-12:  # all samples fall alike
        return 0.5 if abs(each.mean()) < 1e-12 else float(each.mean() > 0)
    return float(stats.t.cdf(each.mean() / spread, len(each) - 1))


def count_rises(curve: Curve) -> int:
    """How often the next point lies above a point with its whole interval above that point's whole interval.

    Two 95 % intervals lie apart one way by chance in about 0.3 % of cases, so that less than one in 20 flat curves of
    ten points shows a rise.
    """
    return int(np.count_nonzero(curve.low[1:] > curve.high[:-1]))
