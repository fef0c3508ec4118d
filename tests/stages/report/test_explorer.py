"""Directions, crossings and frames on closed forms and against slow twins; numbers as text."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from failure_atlas.statistics.estimates import Estimate
from failure_atlas.walks.starts import Starts
from failure_atlas.world.show import Shown, World
from stages.common.artefacts.names import Names
from stages.report.explorer import (
    JUDGE,
    Move,
    choose_moves,
    describe_explorer,
    lay_out,
    locate_crossings,
    trace_moves,
)
from stages.report.wording import TIED, tell_estimate, tell_number

NAMES = ["a", "b"]


def synthesize(styles, seeds):
    """An image of 1 x 2 px that is the first two styles, the first one moved by a noise that is 1/1000 of the seed."""
    return styles[:, None, None, :2] + torch.from_numpy(np.outer(seeds / 1000, [1, 0])).float()[:, None, None]


def start(*styles, noise=(0, 0)):
    return Starts(np.array(styles, np.float32), np.arange(2), ["mean"] * 2, np.array(noise), np.zeros(2, np.int64))


def classify(images):
    """Class a has the first pixel minus 0.5, times 8, as its log-odds."""
    logit = 8 * (images[:, 0, 0, 0] - 0.5)
    return torch.stack([logit, torch.zeros_like(logit)], dim=1)


def judge(images):
    """Sure of class a while the second pixel is below 0.5."""
    sure = torch.where(images[:, 0, 0, 1] < 0.5, 0.95, 0.1).double()
    return torch.stack([sure, 1 - sure], dim=1).log()


WORLD = World(synthesize, {"one": classify, "two": lambda images: -classify(images), JUDGE: judge}, 100, classes=2)


def rank(scope, dimensions, directions, std):
    columns = {"scope": scope, "dimension": dimensions, "direction": directions, "std": std}
    return pd.DataFrame(columns | {"rank": range(1, len(dimensions) + 1)})


def test_moves_are_the_first_of_each_class_that_can_be_moved():
    ranking = pd.concat([rank("a", [2, 0, 1], [1, 0, -1], [0.5, 1.0, 2.0]), rank("b", [1, 2, 0], [1, 1, 1], [0, 1, 1])])
    moves = choose_moves(ranking, NAMES, 3, 2)
    assert moves == [[Move(0, 2, 0.5), Move(0, 1, -2.0)], [Move(1, 2, 1.0), Move(1, 0, 1.0)]]
    assert [move.direction for move in moves[0]] == [1, -1]


SHIFTS = np.arange(21.0)


def cross(means, moves):
    frames = dict(zip(moves, trace_moves(WORLD, means, moves, SHIFTS), strict=True))
    return locate_crossings(WORLD, "one", means, moves, SHIFTS, frames)


def test_crossings_lie_where_the_logit_is_0():
    means = start([0.8, 0.2, 0], [0.2, 0.2, 0], noise=(100, -100))
    moves = [Move(0, 0, -0.1), Move(0, 0, -0.05), Move(0, 1, 0.1), Move(0, 0, -0.01), Move(1, 0, 0.1)]
    found = cross(means, moves)
    # From 0.9, with the noise, the first pixel meets 0.5 after 4 and 8 steps; class b's probability is 0.5 there, too.
    expected = {moves[0]: 4, moves[1]: 8, moves[4]: 4}
    assert found.keys() == expected.keys()
    for move, shift in expected.items():
        assert found[move] == pytest.approx(shift, abs=0.01)


def test_a_class_in_doubt_at_its_mean_has_no_crossing_and_no_moves_make_nothing():
    assert cross(start([0.4, 0, 0], [0.4, 0, 0]), [Move(0, 0, -0.1)]) == {}
    assert cross(start([0, 0, 0], [0, 0, 0]), []) == {}


@pytest.mark.parametrize("batch_size", [2, 100])
def test_frames_agree_with_one_image_at_a_time(batch_size):
    means = start([0.9, 0.2, 0], [0.1, 0.6, 0], noise=(50, 70))
    moves, shifts = [Move(0, 0, -0.1), Move(1, 1, 0.05), Move(0, 2, 1.0)], np.array([0, 0.5, 2.0])
    frames = trace_moves(replace(WORLD, batch_size=batch_size), means, moves, shifts)
    assert len(frames) == 3
    for move, each in zip(moves, frames, strict=True):
        for index, shift in enumerate(shifts):
            style = means.styles[move.true_class].copy()
            style[move.dimension] += np.float32(move.step * shift)
            image = synthesize(torch.from_numpy(style)[None], means.noise[[move.true_class]])
            assert np.array_equal(each.images[index], (image[0] * 255).round().byte().numpy())
            softmax = classify(image).double().softmax(dim=1)[0].numpy()
            assert np.allclose(each.softmax("one")[index], softmax, atol=1e-7)
            assert np.allclose(each.softmax("two")[index], softmax[::-1], atol=1e-7)
            assert np.allclose(each.softmax(JUDGE)[index], judge(image)[0].exp().numpy())


def test_verdicts_are_right_true_failure_label_changed_or_unreadable():
    move = Move(0, 3, -1.0)
    softmax = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.12345678, 0.87654322]])
    opinion = np.array([[0.9, 0.1], [0.85, 0.15], [0.6, 0.4], [0.1, 0.9]])
    frames = {move: Shown(np.zeros((4, 1, 2, 2), np.uint8), {"one": np.log(softmax), JUDGE: np.log(opinion)})}
    words = {"one": Names({("a", 3, -1): "fainter"})}
    content = describe_explorer(
        np.arange(4.0), NAMES, frames, {"one": [[move], []]}, {"one": {move: 0.8123456}}, words, 0.8
    )
    (entry,) = content["classifiers"]["one"][0]
    assert content["classifiers"]["one"][1] == []
    assert entry["verdicts"] == ["still right", "true failure", "unreadable", "label changed"]
    assert entry["predicted"] == [0, 1, 1, 1]
    assert entry["probabilities"][3] == [0.1235, 0.8765]
    assert (entry["name"], entry["crossing_std"], entry["in_doubt_at_start"]) == ("fainter", 0.8123, False)
    assert content["moves"][entry["move"]]["judge_class"] == [0, 0, 0, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sprite_holds_the_images_side_by_side(channels):
    images = np.random.default_rng(1).integers(0, 256, (5, channels, 4, 3), dtype=np.uint8)
    opened = np.asarray(Image.open(BytesIO(lay_out(images))))
    assert opened.shape[:2] == (4, 15)
    for index, image in enumerate(images):
        assert np.array_equal(opened[:, 3 * index : 3 * index + 3].reshape(4, 3, -1), np.moveaxis(image, 0, -1))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.9344, 0.929379, 0.939088, 10000), "0.934 [0.929, 0.939], n = 10,000"),
        (Estimate(1.0, 0.875445, 1.0, 27), "1.000 [0.875, 1.000], n = 27"),
        (Estimate(0.0, 0.0, 0.277533, 10), "0.000 [0.000, 0.278], n = 10"),
        (Estimate(0.0199, 0.0173, 0.0228, 10), "0.0199 [0.0173, 0.0228], n = 10"),
        (Estimate(12.5312, 9.38, 18.8, 100), "12.5 [9.4, 18.8], n = 100"),
        (Estimate(2.0, 1.0, 3.0, 50), "2 [1, 3], n = 50"),
        (Estimate(-0.128, -0.144, -0.111), "-0.128 [-0.144, -0.111]"),
        (Estimate(5.6, 1.7, float("nan"), 10), "5.60 [1.70, ?], n = 10"),
        (Estimate(0.0512), "0.0512"),
        (Estimate(float("nan"), n=0), "not known, n = 0"),
        (Estimate(float("inf"), 9.0, float("inf"), 4), "beyond what was tried [9, beyond what was tried], n = 4"),
    ],
)
def test_estimates_have_equally_many_decimals(estimate, text):
    assert tell_estimate(estimate).replace(TIED, " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1130.05, "1,130"), (4000, "4,000"), (0.5, "0.500"), (2.74e-71, "2.74e-71"), (0, "0"), (np.nan, "not known")],
)
def test_numbers_have_three_digits(value, text):
    assert tell_number(value) == text
