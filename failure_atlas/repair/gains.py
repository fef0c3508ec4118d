"""Means over two things drawn at random at once: every trained network is asked about every image."""

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE, NAN, Estimate

POWER = 0.8  # chance with which an effect as large as `find_detectable` says is told from 0


def cross_mean(values: np.ndarray) -> Estimate:
    """Mean over networks and images, [S, I], with its 95 % interval; n: the images.

    The variance is that of the networks' means over S plus that of the images' means over I; what stands in both, the
    interaction over S I, is not subtracted (multiway clustering: Cameron, Gelbach and Miller 2011). It holds the true
    mean in 93 to 97 % of cases with 3 to 8 networks; in 92 % with 3 if images hardly count.  Student's quantile, for
    networks are few (Satterthwaite 1946).  Of one network, or one image, nothing is known but the mean.
    """
    images = values.shape[1]
    if not values.size:
        return Estimate(NAN, n=images)
    centre = float(values.mean())
    half = find_error(values)[1]
    return Estimate(centre, centre - half, centre + half, images)


def find_error(values: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of [S, I], and half the width of its 95 % interval."""
    if min(values.shape) < 2:
        return NAN, NAN
    parts = [(values.mean(axis=1 - axis).var(ddof=1) / n, n - 1) for axis, n in enumerate(values.shape)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0, 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    error = float(np.sqrt(variance))
    return error, error * float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))


def find_detectable(values: np.ndarray) -> float:
    """The smallest true mean of such values that is told from 0 with a chance of 80 %."""
    error, half = find_error(values)
    return half + error * float(stats.norm.ppf(POWER))
