"""How few samples carry the gradients that the ranking rests on."""

import numpy as np

from stages.common.intervals import percentile

REPLICATES = 500


def share_top_tenth(mass: np.ndarray) -> float:
    """Share of the total mass that the heaviest tenth of the samples (rounded up) carries; NaN if all is 0.

    mass: [N], none negative. 0.1 if all samples weigh the same, 1 if a tenth carries everything.
    """
    heaviest = -(-len(mass) // 10)
    total = float(mass.sum())
    return float(np.partition(mass, -heaviest)[-heaviest:].sum()) / total if total > 0 else float("nan")


def bootstrap_share(mass: np.ndarray, random: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of `share_top_tenth`."""
    draws = (mass[random.integers(0, len(mass), len(mass))] for _ in range(REPLICATES))
    return percentile(np.array([share_top_tenth(draw) for draw in draws]))
