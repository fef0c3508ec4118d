"""Which real images are inverted: some at random, and more of those that a classifier gets wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from failure_atlas.corruptions.corruptions import corrupt, corrupt_split, open_streams
from failure_atlas.corruptions.registry import Step
from failure_atlas.images.image_set import ImageSet
from stages.common.image_params import CorruptImagesParams


@dataclass(frozen=True)
class Real:
    """All T real test images under each of K draws of their corruption.

    images: uint8 [K, T, C, H, W].  labels: int64 [T].  severities: uint8 [K, steps, T], 0 where a step is left out.
    """

    images: np.ndarray
    labels: np.ndarray
    severities: np.ndarray


def draw_real(clean: ImageSet, steps: list[Step], corruption: CorruptImagesParams, seed: int, draws: int) -> Real:
    """Corrupt the clean test images `draws` times; once, where all stay clean and each draw would be the same."""
    drawn = [
        corrupt_split(
            clean, f"draw {draw}", steps, seed=seed, clean_fraction=corruption.clean_fraction,
            severities=corruption.severities,
        )
        for draw in range(draws if corruption.clean_fraction < 1 else 1)
    ]  # fmt: skip
    severities = [np.stack(list(each.by_step.values())) for _, each in drawn]
    return Real(np.stack([each.images for each, _ in drawn]), clean.labels, np.stack(severities))


def corrupt_again(
    clean: np.ndarray, severities: np.ndarray, steps: list[Step], seed: int, pairs: np.ndarray
) -> np.ndarray:
    """The same images as severely corrupted, under fresh noise: uint8 [M, C, H, W].

    clean: [M, C, H, W].  severities: [steps, M].  pairs: int64 [M], which name the streams.
    """
    streams = open_streams(seed, "fresh noise")
    return corrupt(clean, severities, steps, lambda key, row: streams(key, int(pairs[row])))


@dataclass(frozen=True)
class Chosen:
    """M pairs of a draw and an image: draw, index int64 [M].

    sample: bool [M], those at random, of the first draw.  cases: by classifier bool [M], a random sample of all that it
    gets wrong.
    """

    draw: np.ndarray
    index: np.ndarray
    sample: np.ndarray
    cases: Mapping[str, np.ndarray]


def choose(wrong: Mapping[str, np.ndarray], images: int, errors: int, random: np.random.Generator) -> Chosen:
    """The first `images` images in a random order, and each classifier's first `errors` errors in the same order.

    wrong: by classifier bool [K, T].  One order serves all: so the errors among the first images are the first errors,
    and the two together are as random as either.
    """
    draws, count = next(iter(wrong.values())).shape
    order = random.permutation(count)
    images = min(images, count)
    taken = np.zeros((draws, count), bool)  # in the random order
    taken[0, :images] = True
    of_cases = {}
    for name, each in wrong.items():
        rows = np.flatnonzero(each[:, order])  # draw by draw
        among = np.count_nonzero(each[0, order[:images]])
        case = np.zeros(draws * count, bool)
        case[rows[: max(errors, among)]] = True
        of_cases[name] = case.reshape(draws, count)
        taken |= of_cases[name]
    draw, place = np.nonzero(taken)
    sample = (draw == 0) & (place < images)
    return Chosen(draw, order[place], sample, {name: case[draw, place] for name, case in of_cases.items()})
