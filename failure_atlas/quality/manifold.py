"""Improved precision and recall: is each sample inside the other set's manifold? (Kynkäänniemi et al. 2019)

A manifold is the union of balls around its samples, each as wide as the distance to its k-th nearest neighbour.

Real sets that can be compared: the same number of images of each class in all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK_ROWS = 1_000


@dataclass(frozen=True)
class Manifold:
    """centres: [N, F].  squared_radii: [N]."""

    centres: np.ndarray
    squared_radii: np.ndarray


def fit_manifold(features: np.ndarray, neighbours: int) -> Manifold:
    """Balls around features [N, F] that reach their k-th nearest other sample.

    neighbours: k.  Raises ValueError unless k < N.
    """
    if not 0 < neighbours < len(features):
        raise ValueError(f"{neighbours} neighbours among {len(features)} samples")
    features = features.astype(np.float64)
    # Each sample is its own nearest neighbour, hence the k-th other one stands at index k.
    radii = [np.partition(distances, neighbours, axis=1)[:, neighbours] for distances in _distances(features, features)]
    return Manifold(features, np.concatenate(radii))


def find_covered(points: np.ndarray, manifold: Manifold) -> np.ndarray:
    """Which points [M, F] lie in at least one ball: bool [M]."""
    return np.concatenate(
        [
            (distances <= manifold.squared_radii).any(axis=1)
            for distances in _distances(points.astype(np.float64), manifold.centres)
        ]
    )


def _distances(points: np.ndarray, centres: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances of points [M, F] to centres [N, F], as chunks [<= 1000, N] that fit in memory."""
    lengths = (centres**2).sum(1)
    for start in range(0, len(points), CHUNK_ROWS):
        chunk = points[start : start + CHUNK_ROWS]
        squared = (chunk**2).sum(1)[:, None] + lengths - 2 * chunk @ centres.T
        yield np.clip(squared, 0, None)


def count_classes(first: np.ndarray, second: np.ndarray, samples: int, classes: int) -> np.ndarray:
    """How many images of each class a matched set may hold: [classes] int64.

    first, second: labels of the two sources.  samples: the most to take in all.  As many as both sources have of each
    class; if that is more than `samples`, fewer in the same shares, rounded by largest remainder.
    """
    both = np.stack([np.bincount(labels, minlength=classes) for labels in (first, second)])
    available = np.asarray(both.min(axis=0), dtype=np.int64)
    if available.sum() <= samples:
        return available
    exact = available * samples / available.sum()
    counts = np.array(np.floor(exact), dtype=np.int64)
    largest = np.argsort(-(exact - counts), kind="stable")[: samples - counts.sum()]
    counts[largest] += 1
    return counts


def draw_matched(labels: np.ndarray, counts: np.ndarray, most: int, stream: np.random.Generator) -> list[np.ndarray]:
    """Disjoint random index sets, each with `counts[c]` images of class c; as many as there are, at most `most`.

    labels: [N] int64.  Returns int64 arrays of length counts.sum(), sorted.
    """
    piles = [stream.permutation(np.flatnonzero(labels == label)) for label in range(len(counts))]
    possible = min((len(pile) // count for pile, count in zip(piles, counts, strict=True) if count), default=0)
    return [
        np.sort(np.concatenate([pile[i * count : (i + 1) * count] for pile, count in zip(piles, counts, strict=True)]))
        for i in range(min(most, possible))
    ]
