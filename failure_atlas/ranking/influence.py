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

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import percentile

STEADY = 0.95  # share of halves in which an influential dimension keeps its sign


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


def mark_significant(mean: np.ndarray, fdr: float) -> np.ndarray:
    """Whether each dimension exceeds random directions at a false discovery rate; mean: [..., D]. Returns bool."""
    return np.asarray(_control(compare_with_directions(mean)) <= fdr)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard overlap of two sets, along the last axis; 1 where both are empty. first, second: bool [..., D]."""
    both, either = (first & second).sum(axis=-1), (first | second).sum(axis=-1)
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0))


@dataclass(frozen=True)
class Influence:
    """columns: name -> [D], what the table says of each dimension.  metrics: what the stage reports."""

    columns: dict[str, np.ndarray]
    metrics: dict[str, Any]


def judge_influence(
    whole: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
    replicates: np.ndarray,
    second: np.ndarray,
    standard_error: np.ndarray,
    *,
    fdr: float,
    samples: int,
) -> Influence:
    """Influential: significant against random directions, and of the same sign in at least 95 % of the halves.

    whole: [D], mean of gradient * std.  halves: two of [R, D], the halves of R random halvings.  replicates: [B, D],
    bootstrap.  second: [D], of another population with half as many samples, so that its power is that of a half.
    standard_error: [D], of whole.  fdr: the false discovery rate.  samples: how many whole rests on.
    The interval of the number is that of the replicates' numbers of significant dimensions among those steady in the
    whole; resampled means scatter more than the mean, so it may lie a little off the number. Overlaps (Jaccard) are
    means over halvings, or over halves against the second population, with the range of 95 % of them.
    """
    steadiness = (np.sign(np.concatenate(halves)) == np.sign(whole)).mean(axis=0)
    steady = steadiness >= STEADY
    p_value = compare_with_directions(whole)
    q_value, zero_p = _control(p_value), compare_with_zero(whole, standard_error, samples - 1)
    zero_q = _control(zero_p)
    influential = (q_value <= fdr) & steady
    numbers = (mark_significant(replicates, fdr) & steady).sum(axis=1)
    first_set, other_set = (mark_significant(half, fdr) for half in halves)
    second_set = mark_significant(second, fdr)
    between = overlap(first_set, other_set)
    across = overlap(np.concatenate([first_set, other_set]), second_set)
    share, total = np.square(whole[influential]).sum(), np.square(whole).sum()
    low, high = percentile(numbers)
    metrics = {
        "influential_dimensions": {"value": int(influential.sum()), "low": low, "high": high, "n": samples},
        "influential_overlap_of_halves": _range(between, samples),
        "influential_overlap_of_populations": _range(across, samples),
        "dimensions_with_a_mean_other_than_0": int((zero_q <= fdr).sum()),
        "influential_share_of_squared_effect": float(share / total) if total > 0 else float("nan"),
    }
    columns = {
        "statistic": np.abs(whole),
        "effect": whole,
        "standard_error": standard_error,
        "p_value": p_value,
        "q_value": q_value,
        "zero_p_value": zero_p,
        "zero_q_value": zero_q,
        "sign_stability": steadiness,
        "influential": influential,
    }
    return Influence(columns, metrics)


def _range(values: np.ndarray, samples: int) -> dict[str, Any]:
    low, high = percentile(values)
    return {"value": float(values.mean()), "low": low, "high": high, "n": samples}


def _control(p_value: np.ndarray) -> np.ndarray:
    """q-values of Benjamini and Hochberg (1995) along the last axis."""
    return np.asarray(stats.false_discovery_control(p_value, axis=-1))
