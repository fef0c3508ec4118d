"""Resampling the samples that a curve rests on, so that points that share samples vary together."""

import numpy as np

from stages.common.intervals import CONFIDENCE


def draw_counts(n: int, replicates: int, stream: np.random.Generator) -> np.ndarray:
    """How often each of n samples is drawn in each bootstrap replicate: float32 [R, n]; every row adds up to n."""
    return np.stack([np.bincount(stream.integers(0, n, n), minlength=n) for _ in range(replicates)]).astype(np.float32)


def resample_means(values: np.ndarray, member: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over each point's samples in each replicate: float64 [R, T].

    values: [T, N].  member: bool [T, N], the samples of each point.  counts: [R, N] of `draw_counts`.
    A replicate that holds no sample of a point takes the point's own mean.
    """
    inside = np.where(member, values, 0).astype(np.float32)
    # Sums of counts and of counts times -1, 0 or 1 are exact in float32 up to 2^24 samples.
    drawn = (counts @ member.T.astype(np.float32)).astype(np.float64)
    sums = (counts @ inside.T).astype(np.float64)
    own = inside.sum(axis=1) / np.maximum(member.sum(axis=1), 1)
    return np.where(drawn > 0, sums / np.maximum(drawn, 1), own)


def find_band(
    mean: np.ndarray, error: np.ndarray, replicates: np.ndarray, replicate_errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % simultaneous band around means [T]: (low, high), which hold the whole curve at once (sup-t).

    error: [T], standard error of each point, above 0.  replicates, replicate_errors: [R, T], the same of each.
    The half-width is one multiple of the standard errors, the one within which 95 % of the replicates stay at every
    point (Montiel Olea and Plagborg-Moller 2019), each in units of its own errors: that covers where shares are near 1.
    """
    farthest = (np.abs(replicates - mean) / replicate_errors).max(axis=1)
    factor = float(np.quantile(farthest, CONFIDENCE))
    return mean - factor * error, mean + factor * error
