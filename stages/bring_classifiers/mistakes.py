"""The usual mistakes in feeding a classifier: which of them, undone, makes it right more often?"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional

from failure_atlas.brought.adapter import Adapter
from failure_atlas.classifiers.evaluation import count_confusion
from failure_atlas.core.device import device_of
from failure_atlas.core.progress import Progress
from failure_atlas.images.image_set import ImageSet, to_unit
from failure_atlas.statistics.estimates import proportion
from stages.bring_classifiers.checks import DoubtError, classify, measure_content, spread

SIGNIFICANCE = 1e-3  # about fifteen changes are tried, and a warning should be worth reading
LARGE_GAIN = 0.1  # of accuracy, from which on what was declared is taken for a mistake
MOST_NEIGHBOURS = 5000
TRIED = 500  # images on which a change is tried
FEWEST = 64  # of them, where images are shown so large that all would take long
USUAL_SIZES = (28, 32, 64, 224)  # px: what networks for digits, for small images and for photographs are trained on
SMALLEST = 8  # px: below, no digit can be told
RANGES = ([0, 1], [-1, 1], [0, 255])
FILTERS = ("nearest", "bilinear", "bicubic")

Predict = Callable[[Adapter, np.ndarray], np.ndarray]


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


def list_changes(classifier: Adapter, options: dict[str, Any], images: np.ndarray) -> list[Change]:
    """The changes worth trying for a classifier that is shown images, uint8 [N, C, H, W]; options: how, in params."""
    side_px, declared_px = options["crop_px"] or classifier.image_shape[-1], classifier.size[-1]
    content_px = measure_content(images)
    fit = "resize" if options["fit"] == "crop" else "crop"
    polarity = "light_on_dark" if options["polarity"] == "dark_on_light" else "dark_on_light"
    whole = {"crop_px": None, "size_px": declared_px, "fit": "resize"}
    resized = options["fit"] == "resize" and declared_px != side_px
    cropped = f"set input.crop_px: {content_px}, input.size_px: {declared_px} and input.fit: resize"
    uncropped = f"leave out input.crop_px and set input.size_px: {declared_px} and input.fit: resize"
    turned = "swap rows and columns of the image in the network's forward"
    recoloured = "reverse the colours in the network's forward: it was trained on blue, green, red"
    offered = [
        (True, _normalise_otherwise(classifier, options, images)),
        *((pair != options["range"], _declare(f"range {pair}", "range", pair)) for pair in RANGES),
        (True, _declare("polarity", "polarity", polarity)),
        (declared_px < side_px, _declare(f"fit {fit}", "fit", fit)),
        (SMALLEST <= content_px < side_px, Change(f"crop {content_px} px", cropped, whole | {"crop_px": content_px})),
        (options["crop_px"] is not None, Change("no crop", uncropped, whole)),
        *((True, change) for change in _list_sizes(side_px, declared_px)),
        *((resized and how != options["interpolation"], _declare(how, "interpolation", how)) for how in FILTERS),
        (True, Change("rows and columns", turned, show=lambda shown: shown.swapaxes(2, 3))),
        (classifier.image_shape[0] > 1, Change("order of colours", recoloured, show=lambda shown: shown[:, ::-1])),
    ]
    return [change for is_another, change in offered if is_another]


def _declare(name: str, key: str, value: object) -> Change:
    return Change(name, f"set input.{key}: {value}", {key: value})


def _normalise_otherwise(classifier: Adapter, options: dict[str, Any], images: np.ndarray) -> Change:
    if options["mean"] is not None or options["std"] is not None:
        advice = "leave out input.mean and input.std: the network normalises its input itself"
        return Change("no mean and std", advice, {"mean": None, "std": None})
    shown = classifier.prepare(to_unit(images).to(device_of(classifier))).double().transpose(0, 1).flatten(1)
    held = {"mean": shown.mean(1).tolist(), "std": shown.std(1).tolist()}
    means, stds = (", ".join(f"{value:.4f}" for value in values) for values in held.values())
    return Change("mean and std", f"set input.mean: [{means}] and input.std: [{stds}], the images' own", held)


def _list_sizes(side_px: int, declared_px: int) -> list[Change]:
    """Other sizes at which to show images of `side_px`, the smallest first; the larger, the fewer are tried.

    The usual ones, the images' own, and half and double of what was declared: global pooling refuses none, reads few.
    A smaller one is both cropped and resized; of the images' own nothing is cut, whichever fit it has.
    """
    sizes = {*USUAL_SIZES, side_px, declared_px // 2, 2 * declared_px} - {declared_px}
    most = max(*USUAL_SIZES, declared_px)  # a network at twice the size of photographs takes minutes
    changes = []
    for size_px in sorted(size_px for size_px in sizes if SMALLEST <= size_px <= most):
        count = max(FEWEST, min(TRIED, round(TRIED * (declared_px / size_px) ** 2)))
        for fit in ("crop", "resize") if size_px < side_px else ("resize",):
            own = size_px == side_px  # nothing is fitted
            advice = f"set input.size_px: {size_px}" + ("" if own else f" and input.fit: {fit}")
            name = f"{size_px} px" if own else f"{size_px} px, {fit}"
            changes.append(Change(name, advice, {"size_px": size_px, "fit": fit}, images=count))
    return changes


def try_usual(
    rebuild: Callable[..., Adapter], options: dict[str, Any], tried: ImageSet, batch_size: int, title: str
) -> pd.DataFrame:
    """`try_changes` of all that `list_changes` lists; options: of the entry's input.

    batch_size: of images as declared.  title: the entry's name, for the progress.
    """
    bare = rebuild(mean=None, std=None)
    changes = list_changes(bare, options, tried.images)
    total = sum(min(len(tried.labels), count) for count in (TRIED, *(change.images for change in changes)))
    with Progress(f"trying the usual mistakes on {title}", total, "img") as progress:

        def predict(classifier: Adapter, images: np.ndarray) -> np.ndarray:
            # No more pixels at once than as declared, which fits into memory.
            share = min(1.0, np.prod(bare.size) / np.prod(classifier.size))
            return classify(classifier, images, batch_size=max(1, int(batch_size * share)), advance=progress.advance)

        return try_changes(changes, rebuild, predict, tried.images, tried.labels)


def try_changes(
    changes: Sequence[Change], rebuild: Callable[..., Adapter], predict: Predict, images: np.ndarray, labels: np.ndarray
) -> pd.DataFrame:
    """Try another order of the classes, and then each change, on the same images.

    rebuild: the classifier with other options.  predict: probabilities [N, classes] of uint8 images [N, C, H, W].
    A change that the network refuses, or answers for each place of a larger image, is left out.
    Returns one row per change: its name and advice, n images, accuracy before and after it with intervals, the p-value.
    """
    classifier = rebuild()
    guesses = predict(classifier, images).argmax(1)
    order, names, half = _find_order(classifier, guesses, labels)
    rows = [_compare(order, (guesses == labels)[half], (names[guesses] == labels)[half])]
    for change in changes:
        shown = spread(len(labels), change.images)
        try:
            with warnings.catch_warnings(action="ignore"):  # of code that is shown what it was not made for
                answers = predict(rebuild(**change.options), np.ascontiguousarray(change.show(images[shown])))
        except Exception:  # noqa: BLE001, S112 - whatever someone else's code raises, the change is no candidate
            continue
        rows.append(_compare(change, (guesses == labels)[shown], answers.argmax(1) == labels[shown]))
    return pd.DataFrame(rows)


def choose_best(trials: pd.DataFrame) -> pd.DataFrame:
    """Those that help beyond chance, the largest gain first: the best, and what its interval cannot tell from it."""
    gain = trials["accuracy_after"] - trials["accuracy_before"]
    helping = trials.assign(gain=gain)[(gain > 0) & (trials["p_value"] < SIGNIFICANCE)]
    helping = helping.sort_values("gain", key=lambda gains: -gains, kind="stable")
    best: pd.DataFrame = helping[helping["accuracy_after"] >= helping["accuracy_after_low"].head(1).max()]
    return best


def judge_accuracy(
    trials: pd.DataFrame, correct: np.ndarray, labels: np.ndarray, usual: dict[str, Any], key: str
) -> list[str]:
    """Warnings; DoubtError where the classifier is no better than chance, or a change makes it much better.

    correct: [N], on the clean test images of these labels.  usual: the share that a simple method gets right, with its
    interval.
    """
    accuracy = proportion(correct)
    chance = float(np.bincount(labels).max() / len(labels))
    helping = choose_best(trials)
    found = [
        f"{each.advice} (accuracy {each.accuracy_before:.3f} becomes {each.accuracy_after:.3f} on {each.n} clean test "
        "images)"
        for each in helping.itertuples()
    ]
    best = " or ".join(found)
    told = (
        f"{key}: {accuracy['value']:.3f} of {accuracy['n']} clean test images are right (95 % interval "
        f"{accuracy['low']:.3f} to {accuracy['high']:.3f})"
    )
    unknown = "none of the usual mistakes explains it: check its weights and its input"
    if accuracy["low"] <= chance:
        raise DoubtError(f"{told}, which is no better than chance ({chance:.3f}); {best or unknown}")
    if found and helping["gain"].iloc[0] >= LARGE_GAIN:
        raise DoubtError(f"{key}: it is right far more often if it is fed otherwise: {best}")
    if not found and accuracy["high"] < usual["low"]:
        why = f"the label of the nearest training image, pixel by pixel, is right of {usual['value']:.3f}"
        return [f"{told}, far fewer than usual ({why}), and {unknown}"]
    return [f"{key}: it is right more often if it is fed otherwise; if that was not meant: {each}" for each in found]


def guess_by_neighbour(train: ImageSet, test: ImageSet) -> np.ndarray:
    """bool [N]: which test images have the label of the nearest training image, in pixels: what is easy to reach.

    Of up to 5,000 training images, from all over them, at 32 px at most.
    """
    rows = spread(len(train.labels), MOST_NEIGHBOURS)
    side = min(train.images.shape[-1], 32)
    shown = [
        functional.adaptive_avg_pool2d(to_unit(images), side).flatten(1).numpy()
        for images in (train.images[rows], test.images)
    ]
    nearest = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(shown[0], train.labels[rows])
    return np.asarray(nearest.predict(shown[1]) == test.labels)


def _find_order(classifier: Adapter, guesses: np.ndarray, labels: np.ndarray) -> tuple[Change, np.ndarray, np.ndarray]:
    """The assignment of outputs to classes with the most right answers (Kuhn 1955), found on half of the images.

    Returns it with the class that each guess then stands for, int64 [classes], and the other half, bool [N].
    """
    classes = len(classifier.class_names)
    half = np.empty(len(labels), bool)  # every second image of each class
    half[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2 == 0
    true_class, guess = linear_sum_assignment(count_confusion(labels[half], guesses[half], classes), maximize=True)
    names = np.empty(classes, np.int64)
    names[guess] = true_class
    # What stands at an output now answers for the class that the assignment gives it.
    place = range(classes) if classifier.order is None else classifier.order.tolist()
    order = [""] * classes
    for label, output in enumerate(place):
        order[output] = classifier.class_names[int(names[label])]
    return Change("class order", f"set class_order: [{', '.join(order)}]"), names, ~half


def _compare(change: Change, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Paired: only images that are right on one side and wrong on the other count (sign test)."""
    row: dict[str, Any] = {"change": change.name, "advice": change.advice, "n": len(after)}
    for when, correct in (("before", before), ("after", after)):
        estimate = proportion(correct)
        row |= {f"accuracy_{when}": estimate["value"]}
        row |= {f"accuracy_{when}_{bound}": estimate[bound] for bound in ("low", "high")}
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return row | {"p_value": float(binomtest(won, won + lost).pvalue) if won + lost else 1.0}
