"""Resampling the samples that a curve rests on, so that points that share samples vary together."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE


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


@dataclass(frozen=True)
class Resampling:
    """Bootstrap replicates that all curves share: counts [R, N] of the samples, draw_counts [R, G] of random draws."""

    counts: np.ndarray
    draw_counts: np.ndarray

    def select(self, rows: np.ndarray | slice) -> "Resampling":
        """Those of some samples; rows: bool [N]."""
        return Resampling(self.counts[:, rows], self.draw_counts)


def find_band(
    mean: np.ndarray,
    error: np.ndarray,
    replicates: np.ndarray,
    replicate_errors: np.ndarray,
    freedom: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % simultaneous band around means [T]: (low, high), which hold the whole curve at once (sup-t).

    error: [T], standard error of each point, above 0.  replicates, replicate_errors: [R, T], the same of each.
    The half-width is one multiple of the standard errors, the one within which 95 % of the replicates stay at every
    point (Montiel Olea and Plagborg-Moller 2019), each in units of its own errors: that covers where shares are near 1.
    It is never below that of a single point, which replicates without spread would allow: Student's with `freedom`.
    """
    if not mean.size:
        return mean, mean
    farthest = (np.abs(replicates - mean) / replicate_errors).max(axis=1)
    least = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    factor = max(float(np.quantile(farthest, CONFIDENCE)), least)
    return mean - factor * error, mean + factor * error


def find_share_error(share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of shares of n samples, those of two successes and two failures more (Agresti and Coull 1998).

    So that no point claims to be certain.  share: [..., T].  n: [T], above 0.
    """
    total = n + 4
    p = (share * n + 2) / total
    return np.asarray(np.sqrt(p * (1 - p) / total))


def find_matched_error(gained: np.ndarray, lost: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of the share of n matched pairs gained minus the share lost, so that none claims to be certain.

    With half a pair added to each of the four outcomes (Agresti and Min 2005).
    """
    total = n + 2
    gained, lost = (gained * n + 0.5) / total, (lost * n + 0.5) / total
    return np.asarray(np.sqrt((gained + lost - (gained - lost) ** 2) / total))


def band_shares(share: np.ndarray, n: np.ndarray, replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The band of a curve of shares [T], within [0, 1]; n: [T].  replicates: [R, T], within [0, 1]."""
    low, high = find_band(share, find_share_error(share, n), replicates, find_share_error(replicates, n))
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def resample_influence(share: np.ndarray, influence: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A curve of shares [T] in each replicate, to first order: [R, T], within [0, 1].

    influence: [T, N], what one sample more adds to each point.  counts: [R, N].
    """
    return np.asarray(np.clip(share + counts @ influence.T, 0, 1))


def band_draws(
    shares: np.ndarray, n: np.ndarray, influence: np.ndarray, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """The band of the mean curve of G random draws, over both the draws and the samples, within [0, 1].

    shares: [G, T], of each draw.  n: [T], samples behind each point in all draws.  influence: [T, N], what one sample
    more adds to the mean.  The two parts add up.  That draws are few is allowed for by the factor that their variance
    lacks and by Student's quantile; the error is no less than that of n independent samples.
    """
    draws, mean = len(shares), shares.mean(axis=0)
    apart = (shares - mean) * np.sqrt(draws / max(draws - 1, 1)) / draws
    error = np.sqrt(np.square(influence).sum(axis=1) + np.square(apart).sum(axis=0))
    error = np.maximum(error, find_share_error(mean, n))
    replicates = resample_influence(mean, influence, resampling.counts) + resampling.draw_counts @ apart
    low, high = find_band(mean, error, replicates, np.broadcast_to(error, replicates.shape), max(draws - 1, 1))
    return np.clip(low, 0, 1), np.clip(high, 0, 1)
