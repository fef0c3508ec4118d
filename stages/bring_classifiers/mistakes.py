"""The usual mistakes in feeding a classifier: which of them, undone, makes it right more often?"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional

from failure_atlas.brought.adapter import Adapter
from failure_atlas.classifiers.evaluation import count_confusion
from failure_atlas.images.image_set import ImageSet, to_unit
from failure_atlas.statistics.estimates import proportion
from stages.bring_classifiers.sizes import SMALLEST, list_sizes

SIGNIFICANCE = 1e-3  # about fifteen changes are tried, and a warning should be worth reading
LARGE_GAIN = 0.1  # of accuracy, from which on what was declared is taken for a mistake
COLOURS = 3  # channels of an image in colour
MOST_NEIGHBOURS = 5000
TRIED = 500  # images on which a change is tried
FEWEST = 64  # of them, where images are shown so large that all would take long
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
RANGES = ([0.0, 1.0], [-1.0, 1.0], [0.0, 255.0])


@dataclass(frozen=True)
class Change:
    """One thing to declare otherwise.

    name: in one or two words.  advice: what to write or do.  options: of the adapter.  show: what is done to the
    images [N, C, H, W] before.  images: how many it is tried on.
    """

    name: str
    advice: str
    options: dict[str, Any] = field(default_factory=dict)
    show: Callable[[np.ndarray], np.ndarray] = np.asarray
    images: int = TRIED


@dataclass(frozen=True)
class Trial:
    """What a change does: right answers of as many images before and after it, and the p-value of their difference."""

    change: Change
    before: np.ndarray
    after: np.ndarray
    p_value: float

    @property
    def gain(self) -> float:
        """Accuracy after the change less that before it."""
        return float(self.after.mean() - self.before.mean())

    @property
    def helps(self) -> bool:
        """Whether the change makes more answers right than chance would."""
        return self.gain > 0 and self.p_value < SIGNIFICANCE


def list_changes(
    classifier: Adapter, options: dict[str, Any], mean: Sequence[float], std: Sequence[float], content_px: int
) -> list[Change]:
    """The changes worth trying for a classifier; options: how its input is declared.

    mean, std: of the images.  content_px: as `measure_content`.
    """
    changes = []
    side_px, declared_px = options["crop_px"] or classifier.image_shape[-1], classifier.size[-1]
    if options["mean"] is None and options["std"] is None:
        means, stds = (", ".join(f"{value:.4f}" for value in values) for values in (mean, std))
        advice = f"set input.mean: [{means}] and input.std: [{stds}], the images' own"
        changes.append(Change("mean and std", advice, {"mean": list(mean), "std": list(std)}))
    else:
        advice = "leave out input.mean and input.std: the network normalises its input itself"
        changes.append(Change("no mean and std", advice, {"mean": None, "std": None}))
    changes += [
        Change(f"range [{low:g}, {high:g}]", f"set input.range: [{low:g}, {high:g}]", {"range": [low, high]})
        for low, high in RANGES
        if [low, high] != list(options["range"])
    ]
    other = "light_on_dark" if options["polarity"] == "dark_on_light" else "dark_on_light"
    changes.append(Change("polarity", f"set input.polarity: {other}", {"polarity": other}))
    if declared_px < side_px:
        fit = "resize" if options["fit"] == "crop" else "crop"
        changes.append(Change(f"fit {fit}", f"set input.fit: {fit}", {"fit": fit}))
    if SMALLEST <= content_px < side_px:
        advice = f"set input.crop_px: {content_px}, input.size_px: {declared_px} and input.fit: resize"
        shown = {"crop_px": content_px, "size_px": declared_px, "fit": "resize"}
        changes.append(Change(f"crop {content_px} px", advice, shown))
    if options["crop_px"] is not None:
        shown = {"crop_px": None, "size_px": declared_px, "fit": "resize"}
        advice = f"leave out input.crop_px and set input.size_px: {declared_px} and input.fit: resize"
        changes.append(Change("no crop", advice, shown))
    changes += _list_size_changes(side_px, declared_px)
    if options["fit"] == "resize" and declared_px != side_px:
        changes += [
            Change(how, f"set input.interpolation: {how}", {"interpolation": how})
            for how in INTERPOLATIONS
            if how != options["interpolation"]
        ]
    advice = "swap rows and columns of the image in the network's forward"
    changes.append(Change("rows and columns", advice, show=swap_axes))
    if classifier.image_shape[0] == COLOURS:
        advice = "reverse the colours in the network's forward: it was trained on blue, green, red"
        changes.append(Change("order of colours", advice, show=reverse_colours))
    return changes


def _list_size_changes(side_px: int, declared_px: int) -> list[Change]:
    """Other sizes at which to show images of `side_px`; the larger, the fewer of them are tried."""
    changes = []
    for size_px, fit in list_sizes(side_px, declared_px):
        own = size_px == side_px  # nothing is fitted
        advice = f"set input.size_px: {size_px}" + ("" if own else f" and input.fit: {fit}")
        count = max(FEWEST, min(TRIED, round(TRIED * (declared_px / size_px) ** 2)))
        name = f"{size_px} px" if own else f"{size_px} px, {fit}"
        changes.append(Change(name, advice, {"size_px": size_px, "fit": fit}, images=count))
    return changes


def try_changes(
    changes: Sequence[Change],
    rebuild: Callable[..., Adapter],
    predict: Callable[[Adapter, np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
) -> list[Trial]:
    """Try each change on the same images, and then other orders of the classes.

    rebuild: the classifier with other options.  predict: probabilities [N, classes] of uint8 images [N, C, H, W].
    A change that the network refuses, or answers for each place of a larger image, is left out.
    """
    classifier = rebuild()
    guesses = predict(classifier, images).argmax(1)
    trials = [_compare(_find_order(classifier, guesses, labels), guesses, labels)]
    for change in changes:
        rows = spread(len(labels), change.images)
        try:
            with warnings.catch_warnings(action="ignore"):  # of code that is shown what it was not made for
                answers = predict(rebuild(**change.options), np.ascontiguousarray(change.show(images[rows])))
        except Exception:  # noqa: BLE001, S112 - whatever someone else's code raises, the change is no candidate
            continue
        trials.append(_trial(change, (guesses == labels)[rows], answers.argmax(1) == labels[rows]))
    return trials


def choose_best(trials: Sequence[Trial]) -> list[Trial]:
    """Those that help, the largest gain first: the best, and what is as good as far as its interval can tell."""
    helping = sorted((trial for trial in trials if trial.helps), key=lambda trial: -trial.gain)
    return [trial for trial in helping if trial.after.mean() >= proportion(helping[0].after)["low"]]


def spread(count: int, wanted: int) -> np.ndarray:
    """Up to `wanted` of `count` rows, from all over them."""
    rows: np.ndarray = np.unique(np.linspace(0, count - 1, wanted).astype(int))
    return rows


def _compare(found: tuple[Change, np.ndarray], guesses: np.ndarray, labels: np.ndarray) -> Trial:
    """The trial of an order of classes, on the images on which it was not found."""
    change, names = found
    half = ~_halve(labels)
    return _trial(change, (guesses == labels)[half], (names[guesses] == labels)[half])


def _find_order(classifier: Adapter, guesses: np.ndarray, labels: np.ndarray) -> tuple[Change, np.ndarray]:
    """The assignment of outputs to classes with the most right answers (Kuhn 1955), found on half of the images.

    Returns it with the class that each guess then stands for, int64 [classes].
    """
    classes = len(classifier.class_names)
    half = _halve(labels)
    counts = count_confusion(labels[half], guesses[half], classes)
    true_class, guess = linear_sum_assignment(counts, maximize=True)
    names = np.empty(classes, np.int64)
    names[guess] = true_class
    # What stands at an output now answers for the class that the assignment gives it.
    place = range(classes) if classifier.order is None else [int(output) for output in classifier.order]
    order = [""] * classes
    for label, output in enumerate(place):
        order[output] = classifier.class_names[int(names[label])]
    return Change("class order", f"set class_order: [{', '.join(order)}]"), names


def _halve(labels: np.ndarray) -> np.ndarray:
    """bool [N]: every second image of each class."""
    half = np.empty(len(labels), bool)
    half[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2 == 0
    return half


def _trial(change: Change, before: np.ndarray, after: np.ndarray) -> Trial:
    """Paired: only images that are right on one side and wrong on the other count (sign test)."""
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p_value = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Trial(change, before, after, p_value)


def tabulate(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per change: name, advice, n images, accuracy before and after it with intervals, and the p-value."""
    rows = []
    for trial in trials:
        row: dict[str, Any] = {"change": trial.change.name, "advice": trial.change.advice, "n": len(trial.after)}
        for when, correct in (("before", trial.before), ("after", trial.after)):
            estimate = proportion(correct)
            row |= {f"accuracy_{when}": estimate["value"]}
            row |= {f"accuracy_{when}_{bound}": estimate[bound] for bound in ("low", "high")}
        rows.append(row | {"p_value": trial.p_value})
    return pd.DataFrame(rows)


def guess_by_neighbour(train: ImageSet, test: ImageSet) -> np.ndarray:
    """bool [N]: which test images have the label of the nearest training image, in pixels: what is easy to reach.

    Of up to 5,000 training images, from all over them, at 32 px at most.
    """
    rows = spread(len(train.labels), MOST_NEIGHBOURS)
    shown = [_flatten(train.images[rows]), _flatten(test.images)]
    nearest = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(shown[0], train.labels[rows])
    return np.asarray(nearest.predict(shown[1]) == test.labels)


def _flatten(images: np.ndarray) -> np.ndarray:
    side = min(images.shape[-1], 32)
    return functional.adaptive_avg_pool2d(to_unit(images), side).flatten(1).numpy()


def swap_axes(images: np.ndarray) -> np.ndarray:
    """Images [N, C, H, W] with rows and columns exchanged."""
    return images.swapaxes(2, 3)


def reverse_colours(images: np.ndarray) -> np.ndarray:
    """Images [N, C, H, W] with their channels in the other order: red, green, blue becomes blue, green, red."""
    return images[:, ::-1]


def image_moments(images: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of images [N, C, H, W]."""
    channels = images.double().transpose(0, 1).flatten(1)
    return channels.mean(1).tolist(), channels.std(1).tolist()
