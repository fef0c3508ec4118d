"""The central act on a linear world, whose images, answers and gradients are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from failure_atlas.world.gradients import Differences, differentiate, log_odds, log_probability, logit, softmax
from failure_atlas.world.show import CLASSIFIER, JUDGE, World, move_styles
from tests.linear_pair import CLASSES, D, LinearPair, N
from tests.refusing import refused

TARGETS = {"softmax": softmax, "log_probability": log_probability, "logit": logit, "log_odds": log_odds}


@pytest.fixture
def pair():
    return LinearPair()


def gather(parts):
    parts = list(parts)
    assert np.concatenate([np.arange(N)[part.rows] for part in parts]).tolist() == list(range(N))
    joined = {name: np.concatenate([part.gradients[name] for part in parts]) for name in parts[0].gradients}
    values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
    return joined, values, np.concatenate([part.logits for part in parts])


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_each_network_sees_the_unrounded_image_of_each_style(pair, batch_size):
    networks = {CLASSIFIER: pair.classify, JUDGE: lambda images: -pair.classify(images)}
    scaled = World(lambda s: pair.synthesize(s).sigmoid(), networks, batch_size)
    told = []
    shown = scaled.show(pair.styles, advance=told.append)
    images = 1 / (1 + np.exp(-pair.styles @ pair.G.numpy()))
    assert shown.images.dtype == np.uint8
    assert np.abs(shown.images.reshape(N, -1) - 255 * images).max() <= 0.5 + 1e-9
    np.testing.assert_allclose(shown.logits[CLASSIFIER], images @ pair.H.numpy(), rtol=1e-10)
    np.testing.assert_allclose(shown.logits[JUDGE], -shown.logits[CLASSIFIER], rtol=1e-10)
    odds = np.exp(shown.logits[JUDGE])
    np.testing.assert_allclose(shown.softmax(JUDGE), odds / odds.sum(1, keepdims=True))
    np.testing.assert_allclose(shown.score(pair.true_class), shown.softmax()[np.arange(N), pair.true_class])
    np.testing.assert_array_equal(shown.predicted(), shown.logits[CLASSIFIER].argmax(1))
    assert sum(told) == N
    assert max(told) <= batch_size


def test_stored_images_are_seen_as_they_are_stored(pair):
    world = World(lambda s: pair.synthesize(s).sigmoid(), {CLASSIFIER: pair.classify}, 7)
    stored = world.show(pair.styles).images
    told = []
    seen = world.look(stored, advance=told.append)
    expected = stored.reshape(N, -1) / 255 @ pair.H.numpy()
    np.testing.assert_allclose(seen.logits[CLASSIFIER], expected, rtol=1e-5, atol=1e-6)
    assert seen.images is stored
    assert sum(told) == N


def test_only_what_is_asked_for_is_asked_and_kept(pair):
    def refuse(images):
        raise AssertionError("nobody asked it")

    world = World(pair.synthesize, {CLASSIFIER: pair.classify, JUDGE: refuse}, 50)
    shown = world.show(pair.styles, [CLASSIFIER], keep_images=False)
    assert (shown.images.shape, set(shown.logits)) == ((0, 1, 3, 4), {CLASSIFIER})
    assert world.show(pair.styles[:2], []).images.shape == (2, 1, 3, 4)


def test_no_styles_are_no_images_and_no_network_is_asked_about_none(pair):
    def fail(images):
        assert len(images)
        return pair.classify(images)

    world = pair.world(classify=fail)
    shown = world.show(pair.styles[:0])
    assert (shown.images.shape, shown.softmax().shape) == ((0, 1, 3, 4), (0, CLASSES))
    assert world.look(shown.images).logits[CLASSIFIER].shape == (0, CLASSES)
    nobody = Differences(np.zeros((0, 2), np.int64), np.zeros((0, 2)))
    for along, width in ((None, D), (nobody, 2)):
        (slopes,) = differentiate(world, TARGETS, pair.styles[:0], pair.true_class[:0], differences=along)
        assert (slopes.gradients["softmax"].shape, slopes.values["logit"].shape) == ((0, width), (0,))
        assert slopes.logits.shape == (0, CLASSES)


@pytest.mark.parametrize("batch_size", [1, 13, 1000])
def test_gradients_are_those_of_the_formula_in_any_batch(pair, batch_size):
    told = []
    styles = pair.styles.copy()
    with torch.no_grad():  # whatever the caller does with gradients
        parts = differentiate(pair.world(batch_size), TARGETS, styles, pair.true_class, advance=told.append)
        found, values, logits = gather(parts)
    for name, gradients in found.items():
        np.testing.assert_allclose(gradients, pair.exact()[name], rtol=1e-9, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(logits, pair.logits(), rtol=1e-12)
    np.testing.assert_allclose(np.exp(values["log_probability"]), values["softmax"])
    np.testing.assert_allclose(1 / (1 + np.exp(-values["log_odds"])), values["softmax"])
    np.testing.assert_array_equal(styles, pair.styles)
    assert sum(told) == N


def test_log_odds_and_their_slope_stay_where_the_softmax_rounds_to_1():
    logits = torch.tensor([[80.0, 0.0, 0.0]], requires_grad=True)
    for target, value, slope in ((log_odds, 80 - np.log(2), [1, -0.5, -0.5]), (softmax, 1, [0, 0, 0])):
        found = target(logits, torch.tensor([0]))
        (gradient,) = torch.autograd.grad(found.sum(), logits)
        assert found.detach().item() == pytest.approx(value)
        np.testing.assert_allclose(gradient[0], slope, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_differences_of_a_black_box_are_autograds_gradients(pair, batch_size):
    """A logit is linear in each style and its difference exact; the others are as exact as the step is small."""
    told = []
    world, styles = pair.world(batch_size, pair.black_box), pair.styles.astype(np.float32)
    options = {"differences": Differences.along_all(N, np.full(D, 1e-2)), "advance": told.append}
    found, values, logits = gather(differentiate(world, TARGETS, styles, pair.true_class, **options))
    exact, exact_values, _ = gather(differentiate(pair.world(N), TARGETS, pair.styles, pair.true_class))
    for name, gradients in found.items():
        assert gradients.dtype == np.float64
        np.testing.assert_allclose(gradients, exact[name], rtol=0.02, atol=5e-3, err_msg=name)
        np.testing.assert_allclose(values[name], exact_values[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, pair.logits(), rtol=1e-4, atol=1e-4)
    assert sum(told) == N * (2 * D + 1)
    assert max(told) <= max(2, batch_size)


def test_chosen_dimensions_of_each_sample_get_their_own_slope_and_a_step_of_0_none(pair):
    asked = []

    def classify(images):
        asked.append(len(images))
        return pair.classify(images)

    exact = pair.exact()["logit"]
    for step in (0.01, 3.0):  # along a straight line they are exact at any step
        every = Differences.along_all(N, np.full(D, step))
        parts = differentiate(pair.world(), {"logit": logit}, pair.styles, pair.true_class, differences=every)
        np.testing.assert_allclose(gather(parts)[0]["logit"], exact, rtol=1e-8, atol=1e-8)
    along = Differences(np.array([[2, 5], [6, 0]]), np.array([[0.5, 0.0], [0.25, 1.0]]))
    world, two = pair.world(classify=classify), (pair.styles[:2], pair.true_class[:2])
    (slopes,) = differentiate(world, {"logit": logit}, *two, differences=along)
    np.testing.assert_allclose(slopes.gradients["logit"], [[exact[0, 2], 0], [exact[1, 6], exact[1, 0]]], rtol=1e-9)
    assert sum(asked) == 2 + 2 * 3


def test_a_black_box_refuses_autograd(pair):
    slopes = differentiate(pair.world(classify=pair.black_box), TARGETS, pair.styles, pair.true_class)
    refused("linear: is a black box and gives no gradients", list, slopes)


def test_styles_are_moved_in_a_copy(pair):
    moved = move_styles(pair.styles, np.full(N, 3), np.arange(N, dtype=float))
    np.testing.assert_allclose((moved - pair.styles)[:, 3], np.arange(N), rtol=1e-12)
    assert not np.delete(moved - pair.styles, 3, axis=1).any()


@pytest.mark.parametrize(("widths", "most"), [((64, 64, 32, 16), 250), ((512, 512, 512, 512, 256, 128, 64), 16)])
def test_fewer_images_are_made_at_once_where_layers_are_large(pair, widths, most):
    class Painter(LinearPair):
        architecture = SimpleNamespace(channels=widths)  # of 32 and 256 px

    told = []
    world = World(Painter().synthesize, {CLASSIFIER: pair.classify})
    world.show(np.repeat(pair.styles, 400 // N, axis=0), keep_images=False, advance=told.append)
    assert max(told) == world.batch_size == most
