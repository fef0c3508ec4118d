"""Where walks start: the mean style of each class, population samples on request, and random draws of them.

Means are shown under several draws of noise: `average_draws` makes one figure of those of the draws.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MEAN = "mean"


@dataclass(frozen=True)
class Starts:
    """styles: [S, D] float32.  true_class: [S] int64.  names: `mean`, or the index of a population sample.

    noise: int64 [S], the seed of each, see `World.show`.  draw: int64 [S], which draw of noise a mean has; else 0.
    """

    styles: np.ndarray
    true_class: np.ndarray
    names: list[str]
    noise: np.ndarray
    draw: np.ndarray

    @property
    def is_mean(self) -> np.ndarray:
        """[S] bool."""
        return np.array([name == MEAN for name in self.names], bool)


def choose_starts(
    styles: np.ndarray,
    true_class: np.ndarray,
    noise: np.ndarray,
    mean_noise: np.ndarray,
    samples: Sequence[int] | np.ndarray,
) -> Starts:
    """The mean style of each class under each draw of noise, draw by draw, then the named samples under their own.

    styles: [N, D] float32.  true_class: [N] int64.  noise: int64 [N].  mean_noise: int64 [draws, classes].
    """
    draws, classes = mean_noise.shape
    means = [styles[true_class == index].mean(axis=0, dtype=np.float64) for index in range(classes)]
    chosen = np.array(samples, np.int64)
    return Starts(
        np.concatenate([np.tile(np.array(means, np.float32), (draws, 1)), styles[chosen]]),
        np.concatenate([np.tile(np.arange(classes), draws), true_class[chosen]]),
        [MEAN] * mean_noise.size + [str(index) for index in samples],
        np.concatenate([mean_noise.ravel(), noise[chosen]]),
        np.concatenate([np.arange(draws).repeat(classes), np.zeros(len(chosen), np.int64)]),
    )


def share_equally(count: int, classes: int) -> np.ndarray:
    """How many of `count` each class gets, [classes] int64; the first classes get one more where it does not divide."""
    return np.asarray(count // classes + (np.arange(classes) < count % classes), np.int64)


def draw_samples(
    true_class: np.ndarray, shares: np.ndarray, stream: Callable[[int], np.random.Generator]
) -> np.ndarray:
    """Indices of a random draw, class by class; one with larger shares holds every smaller one.

    true_class: [N] int64.  shares: [C] int64, how many of each class, at most what there are.  stream: the random
    generator of a class.
    """
    drawn = [stream(label).permutation(np.flatnonzero(true_class == label)) for label in range(len(shares))]
    return np.concatenate([own[:share] for own, share in zip(drawn, shares, strict=True)])


def choose_for_sets(starts: Starts, walked: np.ndarray, samples: int) -> np.ndarray:
    """Which starts get a greedy set, [S] bool: the means, under their first draw of noise, and samples.

    Of the samples, class by class, the first ones drawn that are walked.

    walked: [S] bool.  samples: how many in all; a class with too few walked samples gives fewer.
    """
    chosen: np.ndarray = starts.is_mean & (starts.draw == 0) & walked
    for label, share in enumerate(share_equally(samples, len(np.unique(starts.true_class[starts.is_mean])))):
        chosen[np.flatnonzero(~starts.is_mean & walked & (starts.true_class == label))[:share]] = True
    return chosen


def average_draws(figures: Sequence[Any]) -> Any:
    """The same figures of the same cases under several draws of noise, as one: means of estimates and of their bounds.

    figures: of each draw a tree of mappings; where one holds `low` and `high` it is an estimate. Draws share their
    cases, so an interval stays as wide as that of one draw, and n is one draw's: on the wide side. An estimate that no
    case of a draw tells leaves the word to the other draws. Other whole numbers are counts, and add up; other numbers
    are means.
    """
    first = figures[0]
    if isinstance(first, Mapping):
        if {"low", "high"} <= first.keys():
            told = [each for each in figures if each["n"]] or [first]
            means = {key: float(np.mean([each[key] for each in told])) for key in first if key != "n"}
            return means | {"n": round(float(np.mean([each["n"] for each in told])))}
        return {key: average_draws([each[key] for each in figures]) for key in first}
    numbers = [each for each in figures if not math.isnan(each)] or [first]
    return sum(numbers) if isinstance(first, int) else float(np.mean(numbers))
