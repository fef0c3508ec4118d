"""The conditions of real images."""

import numpy as np
import pytest
import torch

from failure_atlas.corruptions.blurs import blur
from failure_atlas.corruptions.registry import choose_steps
from stages.validate_externally.conditions import Condition, list_conditions, show_images, weigh_conditions

KEYS = ("blur", "noise")
STEPS = choose_steps(["gaussian_blur", "gaussian_noise"], "imagenet-c")


def test_conditions_of_one_two_and_three_steps():
    names = [condition.name for condition in list_conditions(KEYS, [3, 1, 2])]
    assert len(names) == len(set(names)) == 1 + 3 + 3 + 9
    assert names[:8] == ["clean", "blur 1", "blur 2", "blur 3", "noise 1", "noise 2", "noise 3", "blur 1 noise 1"]
    assert names[-1] == "blur 3 noise 3"
    one = list_conditions(["shot_noise"], [2, 1])
    assert [condition.name for condition in one] == ["clean", "shot_noise 1", "shot_noise 2"]
    weights = weigh_conditions(one, 0.5)
    assert weights["recipe"].tolist() == [0.5, 0.25, 0.25]
    assert weights["all corruptions"].tolist() == [0, 0.5, 0.5]
    three = list_conditions(["rotate", "fog", "noise"], [1, 2])
    assert (len(three), three[-1].name) == (1 + 3 * 2 + 2**3, "rotate 2 fog 2 noise 2")
    assert weigh_conditions(three, 0.2)["recipe"] == pytest.approx([0.2, *[0] * 6, *[0.1] * 8])


def test_weights_are_averages():
    conditions = list_conditions(KEYS, [1, 2])
    weights = weigh_conditions(conditions, 0.25)
    accuracy = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert {name: weight @ accuracy for name, weight in weights.items()} == pytest.approx(
        dict(zip([condition.name for condition in conditions], accuracy, strict=True))
        | {"all corruptions": accuracy[1:].mean(), "recipe": 0.25 * 0.9 + 0.75 * accuracy[5:].mean()}
    )


def test_images_in_each_condition():
    images = np.random.default_rng(1).integers(0, 256, (6, 1, 32, 32)).astype(np.uint8)
    assert (show_images(images, Condition(KEYS, (0, 0)), STEPS, 1) == images).all()
    blurred = blur(torch.from_numpy(images).double() / 255, 2.0)
    assert (show_images(images, Condition(KEYS, (2, 0)), STEPS, 1) == (blurred * 255).round().numpy()).all()

    grey = np.full((400, 1, 32, 32), 128, np.uint8)
    one, three = (show_images(grey, Condition(KEYS, (0, severity)), STEPS, 1).astype(float) for severity in (1, 3))
    assert one.std() / 255 == pytest.approx(0.08, rel=0.02)
    assert three.std() / 255 == pytest.approx(0.18, rel=0.02)
    # The noise of an image depends on nothing but the seed, the condition and its place.
    assert (show_images(grey[:3], Condition(KEYS, (0, 1)), STEPS, 1) == one[:3]).all()
    assert (show_images(grey[:3], Condition(KEYS, (0, 1)), STEPS, 2) != one[:3]).any()
    assert abs(np.corrcoef(one[0].ravel(), one[1].ravel())[0, 1]) < 0.15
    assert abs(np.corrcoef(one[0].ravel(), three[0].ravel())[0, 1]) < 0.15
