"""The domain of use, where it is not the generator's: weights of samples, costs of confusions."""

from collections.abc import Sequence

import numpy as np

ROUNDS, CLOSE = 200, 1e-6


def rake(holds: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Weights [N] of mean 1 under which each condition holds in its share of use (Deming and Stephan 1940).

    holds: bool [N] each, which samples meet the condition.  shares: in (0, 1). Of all weights that do it these are
    nearest to equal ones in relative entropy.
    Raises ValueError with the index of a condition that all samples meet, or none, or that the others exclude.
    """
    weights = np.ones(len(holds[0]) if holds else 0)
    for place, hold in enumerate(holds):
        if hold.all() or not hold.any():
            raise ValueError(place)
    for _ in range(ROUNDS):
        for hold, share in zip(holds, shares, strict=True):
            now = weights[hold].sum() / weights.sum()
            weights = weights * np.where(hold, share / now, (1 - share) / (1 - now))
        off = [abs(weights[hold].sum() / weights.sum() - share) for hold, share in zip(holds, shares, strict=True)]
        if max(off, default=0) < CLOSE:
            return np.asarray(weights / weights.mean())
    raise ValueError(int(np.argmax(off)))


def estimate_risk(cost: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Mean weighted cost with its 95 % interval, from 0 up; cost: [N], 0 where nothing is lost.  weights: of mean 1."""
    loss = cost * weights
    mean, error = float(loss.mean()), float(loss.std(ddof=1) / np.sqrt(len(loss)))
    return mean, max(0.0, mean - 1.96 * error), mean + 1.96 * error
