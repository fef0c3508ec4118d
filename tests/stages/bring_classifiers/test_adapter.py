"""What a brought classifier is shown, how its answers are read, and what can be told of it before it is measured."""

import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from failure_atlas.brought.adapter import Adapter, UnfiniteAnswerError
from failure_atlas.brought.folder import check_numbers
from failure_atlas.core.errors import StageError
from stages.bring_classifiers.checks import DoubtError, check_constancy, check_gradient, check_outputs, settle
from tests.refusing import refused
from tests.stages.bring_classifiers.readers import adapt

NAMES = ["a", "b", "c"]


def adapter(network=None, shape=(1, 6, 6), **options):
    return adapt(network or nn.Identity(), shape, NAMES, **options)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size_px", [3, 5, 6, 9, 13])
def test_resizing_is_that_of_pytorch(interpolation, size_px):
    images = torch.rand(3, 1, 6, 6, dtype=torch.float64).float()
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    expected = functional.interpolate(images, size=size_px, mode=mode, antialias=interpolation != "nearest")
    found = adapter(size_px=size_px, fit="resize", interpolation=interpolation).prepare(images)
    assert torch.allclose(found, expected, atol=1e-6)


def test_polarity_range_mean_and_std_in_that_order():
    images = torch.rand(2, 3, 6, 6)
    options = {"polarity": "dark_on_light", "range": [-1, 3], "mean": [0.1, 0.2, 0.3], "std": [0.5, 1, 2]}
    found = adapter(shape=(3, 6, 6), **options).prepare(images)
    for channel, (mean, std) in enumerate(zip(options["mean"], options["std"], strict=True)):
        expected = (-1 + 4 * (1 - images[:, channel]) - mean) / std
        assert torch.allclose(found[:, channel], expected, atol=1e-6)


def test_grey_is_repeated_colour_weighted_as_the_eye_does_and_else_an_image_is_shown_as_it_is():
    grey, colour = torch.rand(2, 1, 6, 6), torch.rand(2, 3, 6, 6)
    assert torch.equal(adapter().prepare(grey), grey)
    assert not list(adapter().state_dict())
    shown = adapter(shape=(3, 6, 6)).prepare(colour.contiguous(memory_format=torch.channels_last))
    assert torch.equal(shown, colour)
    assert shown.stride() == (108, 36, 6, 1)  # rows after rows in memory
    assert torch.equal(adapter(channels=3).prepare(grey), grey.repeat(1, 3, 1, 1))
    found = adapter(shape=(3, 6, 6), channels=1).prepare(colour)
    expected = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    assert torch.allclose(found[:, 0], expected)


class Answers(nn.Module):
    """Answers with what it is shown: three pixels."""

    def forward(self, x):
        return x.flatten(1)


def test_softmax_gives_the_probabilities_back_down_to_zero_in_the_order_of_the_data():
    logits = torch.tensor([[1.0, -2.0, 3.0], [40.0, 0.0, -40.0]])
    shown = logits.softmax(1).view(2, 1, 1, 3)
    shown[1, 0, 0, 2] = 0.0
    read = adapter(Answers(), (1, 1, 3), outputs="probabilities")(shown)
    assert torch.allclose(read.softmax(1), shown.flatten(1), atol=1e-7)
    assert read.isfinite().all()
    log = logits.log_softmax(1).view(2, 1, 1, 3)
    assert torch.allclose(adapter(Answers(), (1, 1, 3), outputs="log_probabilities")(log).softmax(1), logits.softmax(1))
    read = adapter(Answers(), (1, 1, 3), class_order=["c", "a", "b"])(torch.tensor([[[[10.0, 20.0, 30.0]]]]))
    assert read.tolist() == [[20.0, 30.0, 10.0]]


def test_the_gradient_is_that_of_differences():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 9 * 9, 3), nn.Softmax(1)).double()
    options = {"size_px": 9, "fit": "resize", "interpolation": "bicubic", "channels": 3, "range": [0, 255]}
    options |= {"mean": [100.0], "std": [60.0, 50.0, 40.0], "polarity": "dark_on_light"}
    built = adapter(network, outputs="probabilities", class_order=["b", "c", "a"], **options).double()
    built.forward = lambda images: built.answer(images).clamp_min(1e-30).log()[:, built.order]  # in float64
    images = torch.rand(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(built, images, fast_mode=True)


@pytest.mark.parametrize("outputs", ["logits", "probabilities", "log_probabilities"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_answer_that_is_no_number_is_no_guess(outputs, value):
    images = torch.full((4, 1, 1, 3), 0.5)
    images[1, 0, 0, 2] = images[3, 0, 0, 0] = value
    message = r"^bring_classifiers\.mine: its answer to 2 of 4 images is not finite \(NaN or infinite\); correct"
    with pytest.raises(UnfiniteAnswerError, match=message) as caught:
        adapter(Answers(), (1, 1, 3), outputs=outputs, name="bring_classifiers.mine")(images)
    assert caught.value.rows == [1, 3]


class Viewing(nn.Linear):
    """Flattens as most tutorials do, which fails for no images, and answers a single one without its batch."""

    def forward(self, x):
        return super().forward(x.view(x.size(0), -1)).squeeze()


def test_a_batch_of_none_or_one_has_answers_of_the_same_form():
    network = Viewing(36, 3)
    with pytest.raises(RuntimeError, match="cannot reshape tensor of 0 elements"):
        network(torch.rand(0, 1, 6, 6))
    for built in (adapter(network), adapter(network, outputs="probabilities", class_order=["c", "a", "b"])):
        images = torch.rand(2, 1, 6, 6)
        empty = torch.rand(0, 1, 6, 6, requires_grad=True)
        assert torch.allclose(built(images[:1]), built(images)[:1], atol=1e-6)
        assert (built(empty).shape, built(empty).dtype) == ((0, 3), torch.float32)
        assert torch.autograd.grad(built(empty).sum(), empty)[0].shape == empty.shape


def test_numbers_of_any_type_and_writing_into_the_image_are_no_matter():
    class Writing(nn.Module):
        def forward(self, x):
            x -= 0.5
            return x.flatten(1)[:, :3].double()

    images = torch.rand(2, 1, 6, 6)
    before = images.clone().requires_grad_(True)
    answer = adapter(Writing())(before)
    assert answer.dtype == torch.float32
    assert torch.equal(before, images)
    assert torch.autograd.grad(answer.sum(), before)[0].sum() == 6


def test_a_failure_on_some_batch_is_one_line_that_names_the_classifier():
    images = torch.rand(2, 1, 6, 6)
    told = r"^mine: fails on 2 images at once \(RuntimeError: mat1 and mat2 shapes"
    refused(told, adapter(Viewing(35, 3), name="mine"), images)
    told = r"^mine: answers 2 images with shape \[2, 4\]; needed: \[2, 3\]"
    refused(told, adapter(Viewing(36, 4), name="mine"), images)


def test_a_crop_keeps_the_middle_and_comes_before_the_resizing():
    images = torch.rand(2, 1, 6, 6)
    middle = images[:, :, 1:5, 1:5]
    for options, expected in (
        ({"size_px": 4}, middle), ({"size_px": 3}, images[:, :, 1:4, 1:4]), ({"crop_px": 4}, middle),
        ({"crop_px": 4, "size_px": 2}, images[:, :, 2:4, 2:4]),
        ({"crop_px": 4, "size_px": 3, "fit": "resize"},
         functional.interpolate(middle, size=3, mode="bilinear", antialias=True)),
    ):  # fmt: skip
        assert torch.allclose(adapter(**options).prepare(images), expected, atol=1e-6)


NOT_FITTING = [
    ({"size_px": 7}, "input.size_px: got 7; a crop of 6 px is no larger; set input.fit: resize"),
    ({"crop_px": 7}, "input.crop_px: got 7; a crop of 6 px is no larger; allowed: 1 to 6, or leave it out"),
    ({"crop_px": 4, "size_px": 5}, "input.size_px: got 5; a crop of 4 px is no larger; set input.fit: resize"),
    ({"mean": [0.1, 0.2]}, "input.mean: got 2 numbers; allowed: 1, one per channel"),
    ({"channels": 3, "std": [0.1, 0.2]}, "input.std: got 2 numbers; allowed: 1 or 3, one per channel"),
]


@pytest.mark.parametrize(("options", "message"), NOT_FITTING)
def test_what_does_not_fit_the_images_is_named(options, message):
    assert refused("", adapter, **options) == message


IMAGES = torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [1.0, 0.0, 0.0]]).view(3, 1, 1, 3)


class Scaled(nn.Module):
    """The three pixels times a factor, and what a last layer makes of them."""

    def __init__(self, factor, last=None):
        super().__init__()
        self.factor, self.last = factor, last or nn.Identity()

    def forward(self, x):
        last: torch.Tensor = self.last(self.factor * x.flatten(1))
        return last


def declare(network, outputs="logits"):
    return Adapter(network, (1, 1, 3), ["a", "b", "c"], outputs=outputs)


KINDS = [
    (Scaled(1.0), "log_probabilities", "probabilities"),
    (Scaled(9.0, nn.LogSoftmax(1)), "probabilities", "log_probabilities"),
    (Scaled(9.0), "logits", None),
    (Scaled(1.0), "probabilities", None),
    (Scaled(9.0, nn.LogSoftmax(1)), "log_probabilities", None),
    (Scaled(9.0, nn.LogSoftmax(1)), "logits", None),  # its softmax is the same
    (Scaled(9.0), "log_probabilities", None),
]


@pytest.mark.parametrize(("network", "declared", "told"), KINDS)
def test_the_kind_of_output_is_told_and_what_is_declared_rightly_passes(network, declared, told):
    """Logits for probabilities and the other way round: see the table of wrong ways."""
    classifier = declare(network, declared)
    if told:
        message = rf"^key\.outputs: got {declared}, but .* look like {told}: .*outputs: {told}$"
        refused(message, check_outputs, classifier, IMAGES, "key")
        return
    assert check_outputs(classifier, IMAGES, "key") == []
    check_constancy(classifier, IMAGES, "key")
    assert check_gradient(classifier, IMAGES, "key") == []


def test_a_saturated_softmax_is_a_warning_where_others_are_not():
    (warning,) = check_gradient(declare(Scaled(300.0, nn.Softmax(1)), "probabilities"), IMAGES[1:], "key")
    assert warning.startswith("key: the gradient at 1 of 2 test images is 0, because the softmax inside")
    steep = declare(Scaled(1e5, nn.Softmax(1)), "probabilities")
    refused("the gradient at 2 of 2 test images is 0 everywhere", check_gradient, steep, IMAGES[::2], "key")


class Computed(nn.Module):
    """What a function makes of the three pixels."""

    def __init__(self, compute):
        super().__init__()
        self.compute = compute

    def forward(self, x):
        return self.compute(x.flatten(1))


NO_GRADIENT = [
    (lambda x: (x**2).sqrt(), StageError, "the gradient at 1 of 3 test images is not finite"),
    (lambda x: (e := x.exp()) * e.add_(1), StageError, r"differentiating it fails \(RuntimeError: one of the vari"),
    (lambda x: x * (x[:, :1] < 0.5), DoubtError, "the gradient at 1 of 3 test images is 0 everywhere"),
]


@pytest.mark.parametrize(("compute", "error", "message"), NO_GRADIENT)
def test_a_gradient_that_cannot_be_used_is_told(compute, error, message):
    check = partial(check_gradient, declare(Computed(compute)), IMAGES, "key")
    with pytest.raises(error, match=f"^key: {message}"):
        check()
    if error is DoubtError:
        (warning,) = settle(check, "warn", "key")
        told = rf"^{re.escape(warning)}; or, to bring it as it is: set key\.on_doubt: warn$"
        refused(told, settle, check, "stop", "key")
    else:  # no doubt that could be a warning
        refused(message, settle, check, "warn", "key")


def test_a_mask_may_hold_infinity_and_a_state_only_tensors():
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    check_numbers(network, "key")
    network.register_buffer("scale", torch.tensor([torch.nan]))
    refused("key: 1 of the 1 numbers of scale are not finite", check_numbers, network, "key")

    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"steps": 3}

    refused("key: _extra_state of its state dict is a dict, which cannot be kept", check_numbers, Extra(2, 2), "key")
