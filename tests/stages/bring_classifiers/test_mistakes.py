"""The usual mistakes are told apart, and only where a change helps for sure."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stages.bring_classifiers.adapter import Adapter
from stages.bring_classifiers.mistakes import Change, image_moments, list_changes, swap_axes, tabulate, try_changes
from stages.train_classifiers.evaluation import predict

NAMES = ["a", "b", "c", "d"]
INPUT: dict[str, Any] = {"range": [0.0, 1.0], "polarity": "light_on_dark", "mean": None, "std": None, "size_px": None}


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
    names = [change.name for change in list_changes(rebuild(), INPUT | {"fit": "crop"}, [0.1], [0.3])]
    assert names == ["mean and std", "range [-1, 1]", "range [0, 255]", "polarity", "rows and columns"]
    declared = INPUT | {"range": [-1.0, 1.0], "mean": [0.1], "size_px": 3, "fit": "resize"}
    declared |= {"polarity": "dark_on_light"}
    changes = {change.name: change for change in list_changes(rebuild(size_px=3), declared, [0.1], [0.3])}
    assert list(changes) == [
        "no mean and std", "range [0, 1]", "range [0, 255]", "polarity", "fit crop", "rows and columns",
    ]  # fmt: skip
    assert changes["polarity"].advice == "set input.polarity: light_on_dark"
    assert changes["fit crop"].options == {"fit": "crop"}


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

    changes = list_changes(built(), INPUT | {"fit": "crop"}, [0.1] * 3, [0.3] * 3)
    _, *trials = try_changes(changes, built, predict, images, labels)
    (helping,) = [trial for trial in trials if trial.helps]
    assert helping.change.name == "order of colours"
    assert (helping.before.mean(), helping.after.mean()) == (pytest.approx(1 / 3), 1.0)


def test_moments_are_of_each_channel() -> None:
    images = torch.stack([torch.full((2, 3, 3), 0.5), torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 3, 3)], 1)
    mean, std = image_moments(images)
    assert mean == pytest.approx([0.5, 0.5])
    assert std == pytest.approx([0.0, np.std([0, 1] * 9, ddof=1)])
