"""Augmentation in closed form, the schedule, the order of images, and learning itself."""

import math
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.classifiers.training import (
    AugmentationParams,
    Recipe,
    draw_affine,
    draw_batches,
    one_cycle,
    set_gradient,
    shard_workers,
    train,
    warp,
)
from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import ImageSet

NONE = {"rotation_degrees": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def affine(matrix):
    return torch.tensor([matrix], dtype=torch.float32)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_no_limits_change_nothing(interpolation):
    images = torch.rand(3, 2, 9, 12)
    maps = draw_affine(3, generator(), **NONE)
    torch.testing.assert_close(maps, torch.eye(2, 3).expand(3, 2, 3))
    torch.testing.assert_close(warp(images, maps, interpolation), images, rtol=1e-5, atol=1e-5)


def test_quarter_turn_and_shift_by_whole_pixels_are_exact():
    images = torch.rand(1, 1, 8, 8)
    turned = warp(images, affine([[0, -1, 0], [1, 0, 0]]), "bilinear")
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), rtol=1e-5, atol=1e-5)
    moved = warp(images, affine([[1, 0, 2 * 3 / 8], [0, 1, 0]]), "bilinear")  # looks 3 of 8 px to the right
    torch.testing.assert_close(moved[..., :5], images[..., 3:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moved[..., 5:], images[..., 5:].flip(-1), rtol=1e-5, atol=1e-5)  # the mirror


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 45), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5), st.integers(0, 99))
def test_maps_stay_within_their_limits(rotation, scale, shear, shift, seed):
    maps = draw_affine(64, generator(seed), rotation_degrees=rotation, scale=scale, shear=shear, shift=shift)
    assert maps[:, :, 2].abs().max() <= 2 * shift + 1e-6
    x_axis = maps[:, :, 0]  # rotation and width only: the slant leaves the first axis
    width = x_axis.norm(dim=1)
    assert width.max() <= (1 + scale) * (1 + 1e-5)
    assert width.min() >= (1 - 1e-5) / (1 + scale)
    angle = torch.atan2(x_axis[:, 1], x_axis[:, 0]).abs()
    assert angle.max() <= math.radians(rotation) + 1e-5
    area = torch.linalg.det(maps[:, :, :2])  # a slant changes no area
    assert area.min() >= (1 - 1e-4) / (1 + scale) ** 2


def test_nearest_keeps_noise_as_strong_as_it_is_and_bilinear_does_not():
    noise = torch.randn(50, 1, 32, 32, generator=generator())
    maps = draw_affine(50, generator(), rotation_degrees=15, scale=0.1, shear=0.1, shift=0.1)
    assert warp(noise, maps, "nearest").std() == pytest.approx(1, abs=0.02)
    assert warp(noise, maps, "bilinear").std() < 0.8


def test_each_factor_fills_its_range():
    maps = draw_affine(4000, generator(), rotation_degrees=0, scale=0, shear=0.2, shift=0.1)
    for values, limit in ((maps[:, 0, 1], 0.2), (maps[:, 0, 2], 0.2), (maps[:, 1, 2], 0.2)):
        assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert abs(values.mean()) < 0.01


def test_learning_rate_rises_to_one_and_falls_to_zero():
    rates = [one_cycle(step / 1000) for step in range(1000)]
    assert rates[0] == 0
    assert max(rates) == rates[100] == 1
    assert rates[-1] < 1e-5
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (3, 10), (4, 4)])
def test_no_image_is_shown_again_before_all_others(n, batch_size):
    batches = list(islice(draw_batches(n, batch_size, generator()), 40))
    assert {len(batch) for batch in batches} == {batch_size}
    shown = torch.cat(batches)
    for start in range(0, len(shown) - n, n):
        assert sorted(shown[start : start + n].tolist()) == list(range(n))
    assert not torch.equal(shown[:n], shown[n : 2 * n]) or n < 4


def bars(n, seed=0):
    """Four classes: a bright bar in one of four places, over noise."""
    labels = torch.arange(n) % 4
    images = torch.randint(0, 60, (n, 1, 32, 32), generator=generator(seed), dtype=torch.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, :, 8 * label + 2 : 8 * label + 6] = 220
    return images, labels


def fit(network="plain", *, shift=0.0, told=None, **changes):
    classifier = Classifier(network, classes=4, width=8)
    augmentation = AugmentationParams(**NONE | {"shift": shift}, interpolation="bilinear")
    recipe = {"training_images": 640, "batch_size": 32, "learning_rate": 1e-2, "weight_decay": 0.01}
    recipe |= {"precision": "float32", "augmentation": augmentation} | changes
    images, labels = bars(64)
    curve = train(
        classifier, ImageSet(images.numpy(), labels.numpy()), Recipe.model_construct(**recipe), seed=1, names=("test",),
        key="somebody", device=torch.device("cpu"),
        evaluate=lambda: {"threads": float(torch.get_num_threads())},
        advance=lambda amount, note: told.append((amount, note)) if told is not None else None
    )  # fmt: skip
    return classifier, curve


@pytest.mark.parametrize("network", ["plain", "residual"])
def test_training_learns_what_can_be_learned(network):
    told = []
    classifier, curve = fit(network, told=told)
    images, labels = bars(40, seed=9)
    assert (classifier(images.float() / 255).argmax(1) == labels).float().mean() > 0.9
    assert [point["images"] for point in curve][-1] == 640 == sum(amount for amount, _ in told)
    assert len(curve) == 8
    assert curve[-1]["train_loss"] < curve[0]["train_loss"] / 2
    assert {point["threads"] for point in curve} == {1}
    assert told[0][1].startswith("loss ")


@pytest.mark.parametrize("network", ["plain", "residual"])
def test_training_depends_on_its_generators_and_not_on_the_threads(network):
    before = torch.get_num_threads()
    weights = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        weights.append(fit(network, shift=0.05)[0].state_dict())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in other)


@pytest.mark.parametrize("n", [2, 7, 32])
def test_sharded_gradient_is_that_of_the_whole_batch(n):
    classifier = Classifier("plain", classes=4, width=8).double()
    images, labels = bars(n)
    images = images / 255.0
    with shard_workers() as workers:
        loss, right = set_gradient(classifier, images.double(), labels, workers)
    logits = classifier(images.double())
    whole = torch.nn.functional.cross_entropy(logits, labels)
    assert loss == pytest.approx(whole.item())
    assert right == (logits.argmax(1) == labels).sum()
    for parameter, gradient in zip(
        classifier.parameters(), torch.autograd.grad(whole, classifier.parameters()), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize(("training_images", "points"), [(1, 1), (33, 2), (6400, 8)])
def test_length_is_in_images_whatever_the_set(training_images, points):
    _, curve = fit(training_images=training_images)
    assert len(curve) == points
    assert curve[-1]["images"] == math.ceil(training_images / 32) * 32


def test_divergence_is_told_at_once():
    with pytest.raises(StageError, match=r"somebody: loss is not finite after [\d,]+ images; .* \(it is 1e"):
        fit(learning_rate=1e30)
