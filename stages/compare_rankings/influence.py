"""Which style dimensions are influential at all: more than a direction that was picked blindly.

The statistic of dimension j is |m_j|, with m = mean over samples of gradient * std, every class with equal weight: the
change of the true-class softmax, to first order, when the population moves by one std along j.

Null: a random direction u of the same length, one std, uniform on the unit sphere of standardised style space, whose
statistic is |m . u|. It spreads over all dimensions, so its effect is what the same effort yields without knowledge.
By symmetry |m . u| / |m| is distributed as one coordinate of u, and its square as Beta(1/2, (D - 1)/2): the p-value is
exact and needs no draws. The null is relative: were all dimensions normally distributed in influence, a twentieth would
exceed the 95 % point and none would survive the control of false discoveries. Only a heavy tail passes.

That a mean differs from 0 is another question, with which many samples find nearly every dimension guilty; its t-test
stands beside.
"""

import numpy as np
from scipy import stats


def compare_with_directions(mean: np.ndarray) -> np.ndarray:
    """p-value of each |mean_j| among random directions of the same length; mean: [..., D]. Returns [..., D]."""
    dimensions = mean.shape[-1]
    total = np.square(mean).sum(axis=-1, keepdims=True)
    if dimensions == 1:
        return np.ones_like(mean)  # there is only one direction
    share = np.divide(np.square(mean), total, out=np.zeros_like(mean), where=total > 0)
    return np.asarray(stats.beta.sf(share, 0.5, (dimensions - 1) / 2))


def bound_directions(mean: np.ndarray, share: float) -> float:
    """The statistic below which that share of random directions stays; mean: [D]."""
    if len(mean) == 1:
        return float(np.abs(mean[0]))
    return float(np.sqrt(stats.beta.ppf(share, 0.5, (len(mean) - 1) / 2)) * np.linalg.norm(mean))


def compare_with_zero(mean: np.ndarray, standard_error: np.ndarray, freedom: int) -> np.ndarray:
    """Two-sided p-value of Student's test that each mean is 0; 1 where mean and standard error are 0."""
    ratio = np.divide(np.abs(mean), standard_error, out=np.zeros_like(mean), where=standard_error > 0)
    return np.asarray(2 * stats.t.sf(ratio, freedom))


def control_discoveries(p_value: np.ndarray) -> np.ndarray:
    """q-values of Benjamini and Hochberg (1995) along the last axis; p_value: [..., D]."""
    return np.asarray(stats.false_discovery_control(p_value, axis=-1))


def mark_significant(mean: np.ndarray, fdr: float) -> np.ndarray:
    """Whether each dimension exceeds random directions at a false discovery rate; mean: [..., D]. Returns bool."""
    return np.asarray(control_discoveries(compare_with_directions(mean)) <= fdr)


def measure_sign_stability(mean: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Share of halves in which the mean has the sign that it has in the whole; mean: [D], halves: [H, D]."""
    return np.asarray((np.sign(halves) == np.sign(mean)).mean(axis=0))


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard overlap of two sets, along the last axis; 1 where both are empty. first, second: bool [..., D]."""
    both, either = (first & second).sum(axis=-1), (first | second).sum(axis=-1)
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0))
