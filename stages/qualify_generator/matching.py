"""Real sets that can be compared: the same number of images of each class in all of them."""

import numpy as np


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
