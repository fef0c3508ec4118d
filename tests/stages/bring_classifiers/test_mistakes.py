"""The usual mistakes are told apart, and only where a change helps for sure."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from failure_atlas.classifiers.evaluation import predict
from failure_atlas.images.image_set import ImageSet
from stages.bring_classifiers import mistakes  # fmt: skip
from stages.bring_classifiers.checks import measure_content
from tests.stages.bring_classifiers.readers import adapt

NAMES = ["a", "b", "c", "d"]
INPUT: dict[str, Any] = {
    "range": [0.0, 1.0], "polarity": "light_on_dark", "mean": None, "std": None, "crop_px": None, "size_px": None,
    "fit": "crop", "interpolation": "bilinear",
}  # fmt: skip
LABELS = np.repeat(np.arange(4), 20)
SWAPPED = mistakes.Change("", "", show=lambda images: images.swapaxes(2, 3))


class Brightest(nn.Module):
    """Which of the four pixels of the first row is the brightest."""

    def forward(self, x):
        return 10 * x[:, 0, 0]


def rebuild(**options):
    return adapt(Brightest(), (1, 4, 4), NAMES, **options)


def draw(labels):
    images = np.zeros((len(labels), 1, 4, 4), np.uint8)
    images[np.arange(len(labels)), 0, 0, labels] = 255
    return images


def draw_squares(side, size_px=32):
    """Images that show a square, or nothing."""
    images = np.zeros((8, 1, size_px, size_px), np.uint8)
    images[:, :, 1 : 1 + side, 1 : 1 + side] = 255
    return images


def by_name(classifier, options, images):
    return {change.name: change for change in mistakes.list_changes(classifier, options, images)}


def gain(trial):
    return float(trial["accuracy_after"] - trial["accuracy_before"])


@pytest.mark.parametrize("declared", [None, ["b", "a", "d", "c"], ["c", "a", "d", "b"]])
def test_the_order_of_the_outputs_is_found_on_one_half_and_measured_on_the_other(declared):
    truth = np.array([2, 0, 3, 1])  # what the network's outputs stand for

    def built(**options):
        return rebuild(**{"class_order": declared} | options)

    order = mistakes.try_changes([], built, predict, draw(np.argsort(truth)[LABELS]), LABELS).iloc[0]
    assert (order["advice"], order["n"]) == ("set class_order: [c, a, d, b]", 40)
    right = declared == ["c", "a", "d", "b"]
    if declared is None:
        assert gain(order) == 1.0
        assert order["p_value"] == pytest.approx(2 * 0.5**40)
    assert (gain(order) > 0 and order["p_value"] < mistakes.SIGNIFICANCE) == (not right)


class Picky(Brightest):
    """Refuses what lies outside of [0, 1], as code with a check of its input does."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        if x.min() < 0 or x.max() > 1:
            raise self.error("pixels must be in [0, 1]")
        return super().forward(x)


@pytest.mark.parametrize("error", [ValueError, AssertionError, KeyError])
def test_whatever_a_network_raises_at_a_change_the_others_are_tried(error):
    def built(**options):
        return adapt(Picky(error), (1, 4, 4), NAMES, **options)

    changes = mistakes.list_changes(built(), INPUT, draw(LABELS))
    trials = mistakes.try_changes(changes, built, predict, draw(LABELS), LABELS)
    # No larger size: its answer has more than four outputs.
    assert trials["change"].tolist() == ["class order", "polarity", "rows and columns"]
    assert trials["n"].tolist() == [40, 80, 80]
    assert (trials["accuracy_before"] == 1).all()
    assert (trials["accuracy_before_low"] < 1).all()
    assert mistakes.choose_best(trials).empty


def test_only_what_is_as_good_as_the_best_is_advised_and_the_best_first():
    after = {"poor": 0.6, "nearly": 0.97, "nothing": 0.0, "best": 0.98, "worse": 0.9, "unsure": 0.99}
    trials = pd.DataFrame({"change": list(after), "accuracy_before": 0.0, "accuracy_after": list(after.values())})
    trials = trials.assign(accuracy_after_low=trials["accuracy_after"] - 0.05, p_value=0.0)
    trials.loc[trials["change"] == "unsure", "p_value"] = 0.1
    assert mistakes.choose_best(trials)["change"].tolist() == ["best", "nearly"]
    assert mistakes.choose_best(trials[trials["change"] == "nothing"]).empty


def test_sizes_are_the_usual_ones_and_those_about_what_was_declared_and_the_larger_the_fewer_are_tried():
    changes = by_name(adapt(Brightest(), (1, 32, 32), NAMES), INPUT, draw_squares(0))
    sizes = {name: change.images for name, change in changes.items() if " px" in name}
    smaller = [f"{size} px, {fit}" for size in (16, 28) for fit in ("crop", "resize")]
    larger = {"64 px, resize": 125, "224 px, resize": mistakes.FEWEST}
    assert sizes == dict.fromkeys(smaller, mistakes.TRIED) | larger
    assert changes["28 px, crop"].advice == "set input.size_px: 28 and input.fit: crop"
    assert changes["28 px, resize"].options == {"size_px": 28, "fit": "resize"}
    for side, declared, wanted, others in (
        (32, 28, "32 px", "28 px, crop"), (32, 224, "112 px, resize", "448 px, resize"), (16, 8, "16 px", "4 px, crop"),
    ):  # fmt: skip
        options = {"size_px": declared, "fit": "resize"}
        names = by_name(adapt(Brightest(), (1, side, side), NAMES, **options), INPUT | options, draw_squares(0, side))
        assert wanted in names
        assert others not in names
        assert {"nearest", "bicubic"} < set(names)
        assert "bilinear" not in names


@pytest.mark.parametrize(("wrong", "helps"), [(3, False), (20, True), (80, True)])
def test_few_more_right_answers_are_no_evidence(wrong, helps):
    """Images that read the same by rows and by columns, but for some that are right by columns alone."""
    images = np.maximum(draw(LABELS), draw(LABELS).swapaxes(2, 3))
    images[:wrong, 0] = 0
    images[:wrong, 0, 0, 3] = 100
    images[:wrong, 0, 1, 0] = 255
    labels = LABELS.copy()
    labels[:wrong] = 1
    few = mistakes.Change("", "", images=10)
    trial = mistakes.try_changes([few], rebuild, predict, draw(LABELS), LABELS).iloc[1]
    assert (trial["n"], trial["accuracy_after"]) == (10, 1)
    trials = mistakes.try_changes([SWAPPED], rebuild, predict, images, labels).iloc[1:]
    assert gain(trials.iloc[0]) == pytest.approx(wrong / 80)
    assert trials.iloc[0]["p_value"] == pytest.approx(2 * 0.5**wrong)
    assert len(mistakes.choose_best(trials)) == helps


def test_what_is_declared_decides_what_is_tried():
    sizes = ["8 px, resize", "28 px, resize", "32 px, resize", "64 px, resize", "224 px, resize"]
    names = list(by_name(rebuild(), INPUT, draw(LABELS)))
    assert names == ["mean and std", "range [-1, 1]", "range [0, 255]", "polarity", *sizes, "rows and columns"]
    declared = INPUT | {
        "range": [-1.0, 1.0], "mean": [0.1], "size_px": 3, "fit": "resize", "polarity": "dark_on_light",
    }  # fmt: skip
    changes = by_name(rebuild(size_px=3), declared, draw(LABELS))
    assert list(changes) == [
        "no mean and std", "range [0, 1]", "range [0, 255]", "polarity", "fit crop", *sizes[1:], "nearest", "bicubic",
        "rows and columns",
    ]  # fmt: skip
    assert changes["polarity"].advice == "set input.polarity: light_on_dark"
    assert changes["fit crop"].options == {"fit": "crop"}


def test_the_images_own_mean_and_std_are_those_of_each_channel_as_it_is_shown():
    images = np.stack([np.full((2, 3, 3), 51), np.array([0, 255])[:, None, None].repeat(3, 1).repeat(3, 2)], 1)
    images = np.concatenate([images, images[:, :1]], 1).astype(np.uint8)
    change, *_ = mistakes.list_changes(adapt(Brightest(), (3, 3, 3), NAMES), INPUT, images)
    assert change.options["mean"] == pytest.approx([0.2, 0.5, 0.2])
    assert change.options["std"] == pytest.approx([0.0, np.std([0, 1] * 9, ddof=1), 0.0], abs=1e-7)
    assert change.advice.startswith("set input.mean: [0.2000, 0.5000, 0.2000] and input.std: [0.0000, 0.5145, 0.0000]")


def test_a_crop_to_what_the_images_show_is_tried_and_one_that_is_declared_undone():
    options = {"size_px": 16, "fit": "resize", "crop_px": 28}
    classifier = adapt(Brightest(), (1, 32, 32), NAMES, **options)
    changes = by_name(classifier, INPUT | options, draw_squares(20))
    assert changes["crop 20 px"].options == {"crop_px": 20, "size_px": 16, "fit": "resize"}
    assert changes["crop 20 px"].advice == "set input.crop_px: 20, input.size_px: 16 and input.fit: resize"
    assert changes["no crop"].options == {"crop_px": None, "size_px": 16, "fit": "resize"}
    assert "28 px" in changes  # all that the crop leaves, not resized


@pytest.mark.parametrize(("background", "ink"), [(0, 255), (255, 0)])
def test_what_images_show_is_measured_whatever_the_background(background, ink):
    images = np.full((5, 1, 32, 32), background, np.uint8)
    for index, side in enumerate((6, 20, 19, 21)):
        images[index, :, 3 : 3 + side, 5 : 5 + side // 2] = ink
    assert measure_content(images[:4]) == 20  # the median of 6, 19, 20, 21 is 19.5, of which an even rest is cut
    assert measure_content(images) == measure_content(images[:4])  # an empty image shows nothing
    assert (measure_content(images[4:]), measure_content(images[3:4])) == (32, 22)


def test_the_nearest_training_image_says_what_is_easy_to_reach():
    train, test = ImageSet(draw(LABELS), LABELS), ImageSet(draw(LABELS[::7]), LABELS[::7])
    assert mistakes.guess_by_neighbour(train, test).all()
    assert mistakes.guess_by_neighbour(ImageSet(train.images, (LABELS + 1) % 4), test).sum() == 0


class Coloured(nn.Module):
    """Class a is red, b green, c blue; as it was trained on blue, green, red."""

    def forward(self, x):
        blue, green, red = 10 * x.mean((2, 3)).T
        return torch.stack([red, green, blue], 1)


def test_colours_in_the_other_order_are_told():
    labels = np.repeat(np.arange(3), 20)
    images = np.zeros((60, 3, 4, 4), np.uint8)
    images[np.arange(60), labels] = 200

    def built(**options):
        return adapt(Coloured(), (3, 4, 4), ["a", "b", "c"], **options)

    trials = mistakes.try_changes(mistakes.list_changes(built(), INPUT, images), built, predict, images, labels)
    (helping,) = mistakes.choose_best(trials[trials["change"] != "class order"]).itertuples()
    assert helping.change == "order of colours"
    assert (helping.accuracy_before, helping.accuracy_after) == (pytest.approx(1 / 3), 1.0)
