"""Generated against real images before several extractors: the judge's features, a neutral eye, networks not seen.

Of two sets of images each extractor tells something else, and its kernel distances have a scale of its own: compare
those of generated images with those of real training images, never one extractor with another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from failure_atlas.quality.comparison import compare_features
from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.quality.kernel import measure_kernel_distance
from failure_atlas.statistics.estimates import NAN, TAIL, Estimate, flatten

NEUTRAL = "neutral"
LEAST_SAMPLES = 5_000  # of each set: with fewer a Frechet distance tells the bias of few samples more than a difference
PARTS = 10  # of the sets, for the jackknife of a Frechet ratio
MOST_LOOKED_AT = 2_000  # generated images that the neutral eye sees and kernel distances take, but one set at least


@dataclass(frozen=True)
class Seen:
    """What an extractor sees, as features [N, F] of sets of equal size: generated, real training, real test images.

    labels: their classes, [N] int64: of each generated set and of the test images, and of the first training set, which
    has as many of each.
    """

    generated: Sequence[np.ndarray]
    train: Sequence[np.ndarray]
    test: np.ndarray
    labels: tuple[np.ndarray, np.ndarray]


def count_draws(samples: int, repeats: int) -> int:
    """How many of the generated sets, each of so many samples, are looked at by the neutral eye: 1 to `repeats`."""
    return max(1, min(repeats, MOST_LOOKED_AT // samples))


def compare_kernels(seen: Mapping[str, Seen]) -> dict[str, dict[str, Any]]:
    """Each extractor's kernel distances (times 1,000) to the test images: {name: {generated, real}}.

    real: of the first set of training images.  Each is {value, low, high, n}.
    """
    found = {}
    for name, each in seen.items():
        made = each.generated[: count_draws(len(each.test), len(each.generated))]
        labels, of_train = each.labels
        generated = measure_kernel_distance(np.concatenate(made), each.test, (np.tile(labels, len(made)), labels))
        real = measure_kernel_distance(each.train[0], each.test, (of_train, labels))
        found[name] = {"generated": generated.as_dict(), "real": real.as_dict()}
    return found


def compare_neutral(seen: Seen, kernel: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`neutral_kid` and `neutral_kid_real`, and what a Frechet ratio is made of, where there are enough samples.

    kernel: of this extractor, from `compare_kernels`.  The latter are NaN below LEAST_SAMPLES.
    """
    metrics = flatten("neutral_kid", kernel["generated"]) | flatten("neutral_kid_real", kernel["real"])
    names = ("neutral_frechet_distance", "neutral_frechet_floor", "neutral_frechet_ratio")
    n = len(seen.test)
    found = [Estimate(NAN, n=n)] * 3
    if n >= LEAST_SAMPLES:
        found = measure_frechet(seen.generated[0], seen.train[0], seen.test)
    for name, estimate in zip(names, found, strict=True):
        metrics |= flatten(name, estimate.as_dict())
    return metrics


def measure_frechet(generated: np.ndarray, train: np.ndarray, test: np.ndarray) -> list[Estimate]:
    """Frechet distance of generated images to test images, of training images to them (the floor), and the ratio.

    Each: features [N, F] in random order.  Intervals: the delete-a-part jackknife's over ten parts of all three sets,
    that of the ratio on its logarithm, with Student's quantile. They allow for the samples' chance, not for the bias of
    few samples, which is nearly all of the floor and falls as 1 / N: so the ratio grows with N.
    """
    part = np.arange(len(test)) % PARTS

    def measure(kept: np.ndarray) -> np.ndarray:
        target = fit_gaussian(test[kept])
        distance, floor = (frechet_distance(fit_gaussian(each[kept]), target) for each in (generated, train))
        return np.array([distance, floor, np.log(distance / floor)])

    value = measure(part >= 0)
    replicates = np.array([measure(part != left) for left in range(PARTS)])
    half = special.stdtrit(PARTS - 1, 1 - TAIL) * np.sqrt((PARTS - 1) * replicates.var(axis=0))
    bounds = np.array([value, value - half, value + half])
    bounds[:, 2] = np.exp(bounds[:, 2])
    return [Estimate(float(middle), float(low), float(high), len(test)) for middle, low, high in bounds.T]


def compare_unseen(
    seen: Mapping[str, Seen], neighbours: int, samples: int, advance: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """`unseen`: each extractor's precision and recall, and Frechet ratio where there are enough samples; the worst.

    samples: in each set.  `unseen_frechet_ratio` is the largest of the extractors'; `unseen_precision` and
    `unseen_recall` are of the one in which they lie farthest below those of real training images, `_real`.  All are
    unknown without an extractor.  advance: called after each set.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, each in seen.items():
        flat = compare_features(each.generated, each.train, each.test, neighbours, advance)
        if samples < LEAST_SAMPLES:
            for key in ("frechet_ratio", "frechet_distance", "frechet_floor"):
                flat |= flatten(key, Estimate(NAN, n=samples).as_dict())
        keys = [key for key in flat if f"{key}_interval" in flat]
        found[name] = {key: {"value": flat[key], **flat[f"{key}_interval"]} for key in keys}
    unknown = Estimate(NAN, n=samples).as_dict()

    def find_worst(badness: Callable[[dict[str, dict[str, Any]]], float], *keys: str) -> dict[str, Any]:
        worst = max(found.values(), key=badness, default=dict.fromkeys(keys, unknown))
        return {key: part for name in keys for key, part in flatten(f"unseen_{name}", worst[name]).items()}

    return {
        "unseen": found,
        **find_worst(lambda each: float(each["frechet_ratio"]["value"]), "frechet_ratio"),
        **find_worst(lambda each: _subtract(each, "precision_real", "precision"), "precision", "precision_real"),
        **find_worst(lambda each: _subtract(each, "recall_real", "recall"), "recall", "recall_real"),
    }


def _subtract(metrics: Mapping[str, Mapping[str, Any]], first: str, second: str) -> float:
    return float(metrics[first]["value"] - metrics[second]["value"])
