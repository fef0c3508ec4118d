"""Which samples to spend passes on: those of which the classifier is neither sure nor surely wrong."""

import numpy as np

EVEN_SHARE = 0.25  # of the draw that goes to all samples alike, so that no weight exceeds 4


def draw_doubtful(
    probability: np.ndarray, true_class: np.ndarray, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Samples in equal shares of the classes, and their weights: rows [n] int64, rising, and weights [n].

    probability: [N], true-class softmax.  true_class: [N] int64.  count: how many; the first classes get one more where
    it does not divide, a class with fewer samples gives all of them.
    Within a class a sample is drawn with a chance in proportion to p (1 - p), the size of the softmax's slope for a
    given slope of the log-odds, plus an even share (a defensive mixture; Hesterberg 1995), systematically and at most
    once (Madow 1949). weight = (share of the class among all of its samples) / chance, so that the mean of weight *
    value over the drawn samples of a class estimates the mean over all of them without bias. With all samples drawn
    every weight is 1.
    """
    classes = np.unique(true_class)
    rows, weights = [], []
    for place, index in enumerate(classes):
        members = random.permutation(np.flatnonzero(true_class == index))
        share = min(count // len(classes) + (place < count % len(classes)), len(members))
        doubt = probability[members] * (1 - probability[members])
        total = doubt.sum()
        even = np.full(len(members), 1 / len(members))
        chance = _cap(share, EVEN_SHARE * even + (1 - EVEN_SHARE) * (doubt / total if total > 0 else even))
        ends = np.cumsum(chance)
        ends *= share / ends[-1]
        drawn = np.searchsorted(ends, random.random() + np.arange(share), side="right")
        rows.append(members[drawn])
        weights.append(share / len(members) / chance[drawn])
    order = np.argsort(np.concatenate(rows))
    return np.concatenate(rows)[order], np.concatenate(weights)[order]


def _cap(count: int, sizes: np.ndarray) -> np.ndarray:
    """Chances of being among `count` samples, in proportion to sizes > 0 [N], none above 1; they sum to count."""
    certain = np.zeros(len(sizes), bool)
    while True:
        chance = np.where(certain, 1.0, sizes * (count - certain.sum()) / max(sizes[~certain].sum(), 1e-300))
        if (chance <= 1).all():
            return chance
        certain |= chance >= 1
