"""The usual mistakes are told apart, and only where a change helps for sure."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from failure_atlas.brought.adapter import Adapter
from failure_atlas.classifiers.evaluation import predict
from failure_atlas.images.image_set import ImageSet
from stages.bring_classifiers.mistakes import (
    FEWEST,
    TRIED,
    Change,
    Trial,
    choose_best,
    guess_by_neighbour,
    image_moments,
    list_changes,
    swap_axes,
    tabulate,
    try_changes,
)
from stages.bring_classifiers.sizes import list_sizes, measure_content

NAMES = ["a", "b", "c", "d"]
INPUT: dict[str, Any] = {
    "range": [0.0, 1.0], "polarity": "light_on_dark", "mean": None, "std": None, "crop_px": None,
    "size_px": None, "fit": "crop",
    "interpolation": "bilinear",
}  # fmt: skip


class Brightest(nn.Module):
    """Which of the four pixels of the first row is the brightest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * x[:, 0, 0]


def rebuild(**options: Any) -> Adapter:
    return Adapter(Brightest(), (1, 4, 4), NAMES, **options)


def draw(labels: np.ndarray) -> np.ndarray:
    images = np.zeros((len(labels), 1, 4, 4), np.uint8)
    images[np.arange(len(labels)), 0, 0, labels] = 255
    return images


LABELS = np.repeat(np.arange(4), 20)


def test_the_order_of_the_outputs_is_found_on_one_half_and_measured_on_the_other() -> None:
    truth = np.array([2, 0, 3, 1])  # what the network's outputs stand for
    order, *_ = try_changes([], rebuild, predict, draw(np.argsort(truth)[LABELS]), LABELS)
    assert order.change.advice == "set class_order: [c, a, d, b]"
    assert (order.gain, len(order.after)) == (1.0, 40)
    assert order.p_value == pytest.approx(2 * 0.5**40)
    assert order.helps


def test_an_order_that_is_declared_already_is_taken_into_account() -> None:
    declared = ["b", "a", "d", "c"]
    truth = np.array([2, 0, 3, 1])

    def built(**options: Any) -> Adapter:
        return rebuild(**{"class_order": declared} | options)

    images = draw(np.argsort(truth)[LABELS])
    order, *_ = try_changes([], built, predict, images, LABELS)
    assert order.change.advice == "set class_order: [c, a, d, b]"
    right, *_ = try_changes([], lambda: rebuild(class_order=["c", "a", "d", "b"]), predict, images, LABELS)
    assert right.gain == 0
    assert not right.helps


def test_a_change_that_the_network_refuses_is_left_out() -> None:
    changes = [Change("none", "", {"size_px": 9}), Change("polarity", "", {"polarity": "dark_on_light"})]
    trials = try_changes(changes, rebuild, predict, draw(LABELS), LABELS)
    assert [trial.change.name for trial in trials] == ["class order", "polarity"]
    assert not any(trial.helps for trial in trials)
    table = tabulate(trials)
    assert table["accuracy_before"].tolist() == [1, 1]
    assert table["n"].tolist() == [40, 80]
    assert (table["accuracy_before_low"] < 1).all()


class Picky(Brightest):
    """Refuses what lies outside of [0, 1], as code with a check of its input does."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.min() < 0 or x.max() > 1:
            raise self.error("pixels must be in [0, 1]")
        return super().forward(x)


@pytest.mark.parametrize("error", [ValueError, AssertionError, RuntimeError, KeyError])
def test_whatever_a_network_raises_at_a_change_the_others_are_tried(error: type[Exception]) -> None:
    def built(**options: Any) -> Adapter:
        return Adapter(Picky(error), (1, 4, 4), NAMES, **options)

    changes = list_changes(built(), INPUT, [0.1], [0.3], 4)
    trials = try_changes(changes, built, predict, draw(LABELS), LABELS)
    names = [trial.change.name for trial in trials]  # no larger size: its answer has more than four outputs
    assert names == ["class order", "polarity", "rows and columns"]


def test_a_change_is_tried_on_as_many_images_as_it_says() -> None:
    (_, trial) = try_changes([Change("", "", images=10)], rebuild, predict, draw(LABELS), LABELS)
    assert len(trial.before) == len(trial.after) == 10
    assert trial.before.all()
    assert trial.after.all()


def tried(name: str, right: int, n: int = 100) -> Trial:
    """A change from no right answer to `right` of n."""
    return Trial(Change(name, ""), np.zeros(n, bool), np.arange(n) < right, 0.0 if right else 1.0)


def test_only_what_is_as_good_as_the_best_is_advised_and_the_best_first() -> None:
    trials = [tried("poor", 60), tried("nearly", 97), tried("nothing", 0), tried("best", 98), tried("worse", 90)]
    assert [trial.change.name for trial in choose_best(trials)] == ["best", "nearly"]
    assert choose_best([tried("nothing", 0)]) == []


def test_sizes_are_the_usual_ones_and_those_about_what_was_declared() -> None:
    assert list_sizes(32, 32) == [
        (16, "crop"), (16, "resize"), (28, "crop"), (28, "resize"), (64, "resize"), (224, "resize"),
    ]  # fmt: skip
    assert (32, "resize") in list_sizes(32, 28)
    assert (448, "resize") not in list_sizes(32, 224)
    assert (112, "resize") in list_sizes(32, 224)
    assert min(size_px for size_px, _ in list_sizes(16, 8)) == 16


def test_the_larger_the_images_are_shown_the_fewer_are_tried() -> None:
    classifier = Adapter(Brightest(), (1, 32, 32), NAMES)
    changes = {change.name: change for change in list_changes(classifier, INPUT, [0.1], [0.3], 32)}
    assert changes["28 px, crop"].advice == "set input.size_px: 28 and input.fit: crop"
    assert changes["28 px, resize"].options == {"size_px": 28, "fit": "resize"}
    assert [changes[name].images for name in ("28 px, crop", "64 px, resize", "224 px, resize")] == [TRIED, 125, FEWEST]
    larger = Adapter(Brightest(), (1, 32, 32), NAMES, size_px=64, fit="resize")
    declared = INPUT | {"size_px": 64, "fit": "resize"}
    changes = {change.name: change for change in list_changes(larger, declared, [0.1], [0.3], 32)}
    assert changes["32 px"].advice == "set input.size_px: 32"
    assert {"nearest", "bicubic"} < set(changes)
    assert "bilinear" not in changes


def test_rows_and_columns_change_places() -> None:
    (_, swapped) = try_changes([Change("", "", show=swap_axes)], rebuild, predict, draw(LABELS).swapaxes(2, 3), LABELS)
    assert (swapped.before.mean(), swapped.after.mean()) == (0.25, 1.0)


@pytest.mark.parametrize(("wrong", "helps"), [(3, False), (20, True)])
def test_few_more_right_answers_are_no_evidence(wrong: int, helps: bool) -> None:
    """Images that read the same by rows and by columns, but for some that are right by columns alone."""
    images = np.maximum(draw(LABELS), draw(LABELS).swapaxes(2, 3))
    images[:wrong, 0] = 0
    images[:wrong, 0, 0, 3] = 100
    images[:wrong, 0, 1, 0] = 255
    labels = LABELS.copy()
    labels[:wrong] = 1
    (_, trial) = try_changes([Change("", "", show=swap_axes)], rebuild, predict, images, labels)
    assert trial.gain == pytest.approx(wrong / 80)
    assert trial.p_value == pytest.approx(2 * 0.5**wrong)
    assert trial.helps == helps


def test_what_is_declared_decides_what_is_tried() -> None:
    sizes = ["8 px, resize", "28 px, resize", "32 px, resize", "64 px, resize", "224 px, resize"]
    names = [change.name for change in list_changes(rebuild(), INPUT, [0.1], [0.3], 4)]
    assert names == ["mean and std", "range [-1, 1]", "range [0, 255]", "polarity", *sizes, "rows and columns"]
    declared = INPUT | {"range": [-1.0, 1.0], "mean": [0.1], "size_px": 3, "fit": "resize"}
    declared |= {"polarity": "dark_on_light"}
    changes = {change.name: change for change in list_changes(rebuild(size_px=3), declared, [0.1], [0.3], 4)}
    assert list(changes) == [
        "no mean and std", "range [0, 1]", "range [0, 255]", "polarity", "fit crop", *sizes[1:], "nearest", "bicubic",
        "rows and columns",
    ]  # fmt: skip
    assert changes["polarity"].advice == "set input.polarity: light_on_dark"
    assert changes["fit crop"].options == {"fit": "crop"}


def test_a_crop_to_what_the_images_show_is_tried_and_one_that_is_declared_undone() -> None:
    options = INPUT | {"size_px": 16, "fit": "resize", "crop_px": 28}
    classifier = Adapter(Brightest(), (1, 32, 32), NAMES, crop_px=28, size_px=16, fit="resize")
    changes = {change.name: change for change in list_changes(classifier, options, [0.1], [0.3], 20)}
    assert changes["crop 20 px"].options == {"crop_px": 20, "size_px": 16, "fit": "resize"}
    assert changes["crop 20 px"].advice == "set input.crop_px: 20, input.size_px: 16 and input.fit: resize"
    assert changes["no crop"].options == {"crop_px": None, "size_px": 16, "fit": "resize"}
    assert "28 px" in changes  # all that the crop leaves, not resized


@pytest.mark.parametrize(("background", "ink"), [(0, 255), (255, 0)])
def test_what_images_show_is_measured_whatever_the_background(background: int, ink: int) -> None:
    images = np.full((5, 1, 32, 32), background, np.uint8)
    for index, side in enumerate((6, 20, 19, 21)):
        images[index, :, 3 : 3 + side, 5 : 5 + side // 2] = ink
    assert measure_content(images[:4]) == 20  # the median of 6, 19, 20, 21 is 19.5, of which an even rest is cut
    assert measure_content(images) == measure_content(images[:4])  # an empty image shows nothing
    assert measure_content(images[4:]) == 32
    assert measure_content(images[3:4]) == 22


def test_the_nearest_training_image_says_what_is_easy_to_reach() -> None:
    train, test = ImageSet(draw(LABELS), LABELS), ImageSet(draw(LABELS[::7]), LABELS[::7])
    assert guess_by_neighbour(train, test).all()
    assert guess_by_neighbour(ImageSet(train.images, (LABELS + 1) % 4), test).sum() == 0


class Coloured(nn.Module):
    """Class a is red, b green, c blue; as it was trained on blue, green, red."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        blue, green, red = 10 * x.mean((2, 3)).T
        return torch.stack([red, green, blue], 1)


def test_colours_in_the_other_order_are_told() -> None:
    labels = np.repeat(np.arange(3), 20)
    images = np.zeros((60, 3, 4, 4), np.uint8)
    images[np.arange(60), labels] = 200

    def built(**options: Any) -> Adapter:
        return Adapter(Coloured(), (3, 4, 4), ["a", "b", "c"], **options)

    changes = list_changes(built(), INPUT, [0.1] * 3, [0.3] * 3, 4)
    _, *trials = try_changes(changes, built, predict, images, labels)
    (helping,) = [trial for trial in trials if trial.helps]
    assert helping.change.name == "order of colours"
    assert (helping.before.mean(), helping.after.mean()) == (pytest.approx(1 / 3), 1.0)


def test_moments_are_of_each_channel() -> None:
    images = torch.stack([torch.full((2, 3, 3), 0.5), torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 3, 3)], 1)
    mean, std = image_moments(images)
    assert mean == pytest.approx([0.5, 0.5])
    assert std == pytest.approx([0.0, np.std([0, 1] * 9, ddof=1)])
