"""Influence shared out among groups: names of directions, or layers."""

from collections.abc import Sequence

import numpy as np


def share_influence(influence: np.ndarray, group: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Share of the influence that each group carries: [G], summing to 1; NaN where there is no influence.

    influence: [..., K], none negative.  group: text [..., K], each among `groups`.  Returns [..., G].
    """
    sums = np.stack([(influence * (group == name)).sum(axis=-1) for name in groups], axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / influence.sum(axis=-1, keepdims=True))


def overlap_shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What two distributions have in common, sum of min: 1 if equal, 0 if disjoint; [..., G] to [...]."""
    return np.asarray(np.minimum(first, second).sum(axis=-1))


def compare_directions(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine between two vectors without negative entries: [..., G] to [...]; NaN where one is 0."""
    norms = np.sqrt(np.square(first).sum(axis=-1) * np.square(second).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((first * second).sum(axis=-1) / norms)


def compare_sets(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard index of the groups with any share in both: [..., G] to [...]; NaN where neither has any."""
    both, either = ((first > 0) & (second > 0)).sum(axis=-1), ((first > 0) | (second > 0)).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(both / either)
