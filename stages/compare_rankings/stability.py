"""How many dimensions are influential, and whether other samples would name the same ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import percentile
from stages.compare_rankings.influence import (
    compare_with_directions,
    compare_with_zero,
    control_discoveries,
    mark_significant,
    measure_sign_stability,
    overlap,
)

STEADY = 0.95  # share of halves in which an influential dimension keeps its sign


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
    steadiness = measure_sign_stability(whole, np.concatenate(halves))
    steady = steadiness >= STEADY
    p_value = compare_with_directions(whole)
    q_value, zero_p = control_discoveries(p_value), compare_with_zero(whole, standard_error, samples - 1)
    zero_q = control_discoveries(zero_p)
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
