"""A share of true failures without the judge's own mistakes, which real images tell (Rogan and Gladen 1978)."""

from dataclasses import dataclass

import numpy as np

from failure_atlas.statistics.estimates import NAN, Estimate, percentile

DRAWS = 10_000  # from the posteriors
PRIOR = 0.5  # counts added to each answer (Jeffreys)


@dataclass(frozen=True)
class Record:
    """What a judge makes of real images that are hard, whose class is known.

    kept: how many it reads as the class that they show, its hits.  changed: as another class, its false alarms.
    images: how many there are.
    """

    kept: int
    changed: int
    images: int


def correct_share(true: int, wrong: int, claims: int, record: Record, random: np.random.Generator) -> Estimate:
    """The share of claims whose image shows the class that was meant while the classifier says another.

    true: claims that the judge calls true failures.  wrong: claims that the classifier gets wrong, which alone can be.
    With S the judge's sensitivity and F its false alarm rate, both as on the real images, true = S x + F (wrong - x);
    x / claims is returned, clipped to [0, wrong / claims].
    The 95 % interval holds the uncertainty of all three counts: percentiles of x over draws from the posteriors of the
    judge's answers on real images (kept, changed, neither) and on claims (true, otherwise wrong, still right).
    Simulated, it covers the truth in .95 to .96, where all claims are true failures in .92 (1,000 repeats each).
    Where the 95 % interval of S - F reaches 0, the judge tells nothing: the value is NaN and the interval [0, 1].
    """
    if not claims:
        return Estimate(NAN, n=0)
    kept, changed, _ = _draw([record.kept, record.changed, record.images - record.kept - record.changed], random)
    if percentile(kept - changed)[0] <= 0:
        return Estimate(NAN, 0.0, 1.0, claims)
    called, otherwise, _ = _draw([true, wrong - true, claims - wrong], random)
    low, high = percentile(_solve(called, called + otherwise, kept, changed))
    rates = record.kept / record.images, record.changed / record.images
    value = float(_solve(np.array(true / claims), np.array(wrong / claims), *map(np.array, rates)))
    return Estimate(value, min(low, value), max(high, value), claims)


def _draw(counts: list[int], random: np.random.Generator) -> np.ndarray:
    """Shares [3, DRAWS] from the Dirichlet posterior of the counts."""
    return np.asarray(random.dirichlet(np.array(counts) + PRIOR, DRAWS).T)


def _solve(true: np.ndarray, wrong: np.ndarray, sensitivity: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """x of `correct_share`, as shares of the claims; NaN nowhere: a judge that tells nothing leaves 0 or all."""
    gap = sensitivity - alarms
    return np.asarray(np.clip((true - alarms * wrong) / np.where(gap > 0, gap, np.finfo(float).tiny), 0, wrong))
