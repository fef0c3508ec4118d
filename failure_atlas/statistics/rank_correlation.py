"""Rank correlation over a handful of classifiers, and what so few can bear.

Ten classifiers are few: a Spearman correlation of 0.9 over ten has a 95 % interval from about 0.6 to 0.98, and the
bootstrap is narrower than the truth near 1, because a perfect order stays perfect however it is drawn. So three
intervals stand beside each other: over classifiers, over samples (errors of measurement alone), and in closed form.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE, Z

Correlate = Callable[[np.ndarray, np.ndarray], np.ndarray]

LEAST_CLASSIFIERS = 5  # the closed form of Kendall's interval needs more than four


def correlate_spearman(measures: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row with each row: [..., A, K] and [..., B, K] to [..., A, B].

    Ties share their mean rank; NaN where a row is constant.
    """
    ranks = (stats.rankdata(values, axis=-1) for values in (measures, reals))
    return _divide_products(*(rank - rank.mean(axis=-1, keepdims=True) for rank in ranks))


def correlate_kendall(measures: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each row with each row: [..., A, K] and [..., B, K] to [..., A, B]; NaN for a constant row."""
    first, second = np.triu_indices(measures.shape[-1], 1)
    signs = [np.sign(values[..., first] - values[..., second]) for values in (measures, reals)]
    return _divide_products(*signs)


COEFFICIENTS: dict[str, Correlate] = {"spearman": correlate_spearman, "kendall": correlate_kendall}


def bootstrap_classifiers(
    correlate: Correlate, measures: np.ndarray, reals: np.ndarray, replicates: int, random: np.random.Generator
) -> np.ndarray:
    """Correlations of classifiers drawn with replacement: [R, A, B]; measures: [A, K], reals: [B, K]."""
    drawn = random.integers(0, measures.shape[1], (replicates, measures.shape[1]))
    return correlate(np.moveaxis(measures[:, drawn], 1, 0), np.moveaxis(reals[:, drawn], 1, 0))


def bound_replicates(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile interval along the first axis; a replicate without a correlation (all tied) does not count."""
    known = np.isfinite(replicates).any(axis=0)
    filled = np.where(known, replicates, 0.0)
    low, high = np.nanquantile(filled, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def bound_small_sample(name: str, value: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval by Fisher's z with the variances of Bonett and Wright (2000): name: a key of COEFFICIENTS.

    A perfect order, whose z is infinite, is treated as one exchange of neighbours away from it.
    Raises ValueError if n is below LEAST_CLASSIFIERS.
    """
    if n < LEAST_CLASSIFIERS:
        raise ValueError(f"{n} pairs; at least {LEAST_CLASSIFIERS} are needed")
    nearest = 1 - 12 / (n * (n**2 - 1)) if name == "spearman" else 1 - 4 / (n * (n - 1))
    r = np.clip(value, -nearest, nearest)
    variance = (1 + r**2 / 2) / (n - 3) if name == "spearman" else 0.437 / (n - 4)
    half = Z * np.sqrt(variance)
    low, high = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    return np.minimum(low, value), np.maximum(high, value)


def _divide_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = [np.sqrt(np.square(values).sum(axis=-1)) for values in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = a @ np.swapaxes(b, -1, -2) / (norms[0][..., :, None] * norms[1][..., None, :])
    return np.asarray(np.clip(quotient, -1, 1))
