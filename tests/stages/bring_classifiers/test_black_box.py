"""A predict function as a module: what passes, what is refused, and that no gradient ever comes back."""

import numpy as np
import pytest
import torch

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError

IMAGES = torch.arange(2 * 1 * 3 * 4, dtype=torch.float32).view(2, 1, 3, 4) / 24


def halves(images):
    """Sums of the left and of the right half."""
    return np.stack([images[..., :2].sum((1, 2, 3)), images[..., 2:].sum((1, 2, 3))], axis=1)


def test_outputs_pass_through_as_float32():
    box = BlackBox(lambda images: halves(images).astype(np.float64), "mine")
    outputs = box(IMAGES)
    np.testing.assert_array_equal(outputs.numpy(), halves(IMAGES.numpy()))
    assert outputs.dtype == torch.float32
    assert box.classes == 2
    assert not list(box.parameters())


def test_predict_gets_a_float32_copy_in_rows_after_rows_whatever_the_memory_order():
    seen = []

    def spoil(images):
        seen.append((images.dtype, images.flags.c_contiguous, images.copy()))
        images[:] = 0
        return np.ones((len(images), 2))

    images = IMAGES.clone().contiguous(memory_format=torch.channels_last)
    BlackBox(spoil, "mine")(images)
    assert seen[0][:2] == (np.dtype(np.float32), True)
    np.testing.assert_array_equal(seen[0][2], IMAGES.numpy())
    torch.testing.assert_close(images, IMAGES)


def test_a_gradient_is_refused_and_never_zero():
    box = BlackBox(halves, "mine")
    leaf = IMAGES.clone().requires_grad_()
    loss = (2 * box(leaf)).softmax(1).sum()
    with pytest.raises(StageError, match=r"mine: is a black box and gives no gradients; .* auto or finite_difference"):
        loss.backward()
    with pytest.raises(StageError, match="mine: is a black box"):
        torch.autograd.grad(box(leaf).sum(), leaf)
    assert leaf.grad is None


def test_the_outputs_of_networks_may_be_differentiated_and_those_of_a_black_box_not():
    assert is_differentiable(torch.nn.Linear(1, 1))
    assert is_differentiable(torch.relu)
    assert not is_differentiable(BlackBox(halves, "mine"))


def raising(_):
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (raising, r"mine: failed on images of shape \(2, 1, 3, 4\) with KeyError: 'weights'; correct its code"),
        (lambda x: halves(x).tolist(), r"mine: returned list; needed: a NumPy array \[2, 3\] of numbers; convert it"),
        (lambda x: torch.ones(len(x), 3), r"mine: returned Tensor; needed: a NumPy array"),
        (lambda x: np.full((len(x), 3), "cat"), r"mine: returned an array of <U3; needed: real numbers \[2, 3\]"),
        (lambda x: np.ones((len(x), 3), complex), r"mine: returned an array of complex128; needed: real numbers"),
        (
            lambda x: x[:, 0, 0, 0],
            r"mine: returned an array of shape \[2\] for 2 images; needed: \[2, 3\], one row per",
        ),
        (lambda _: np.ones((1, 3)), r"mine: returned an array of shape \[1, 3\] for 2 images; needed: \[2, 3\]"),
        (lambda x: np.ones((len(x), 4)), r"mine: returned an array of shape \[2, 4\] for 2 images; needed: \[2, 3\]"),
        (
            lambda _: np.log(np.array([[0.5, 0.5, 0.1], [0.5, -1, 1]])),
            r"mine: returned NaN or infinite outputs for 1 of 2 images; finite numbers are needed; clip probabilities",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
def test_what_is_no_answer_is_named(predict, message):
    with pytest.raises(StageError, match=message):
        BlackBox(predict, "mine", classes=3)(IMAGES)


def test_the_number_of_classes_may_not_change_between_calls():
    counts = iter((3, 4))
    box = BlackBox(lambda x: np.ones((len(x), next(counts))), "mine")
    box(IMAGES)
    with pytest.raises(StageError, match=r"shape \[2, 4\] for 2 images; needed: \[2, 3\]"):
        box(IMAGES)


def test_one_class_is_no_classifier():
    with pytest.raises(StageError, match=r"shape \[2, 1\] for 2 images; needed: \[2, classes\]"):
        BlackBox(lambda x: np.ones((len(x), 1)), "mine")(IMAGES)
