"""What a brought classifier is shown, and how its answers are read."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from failure_atlas.brought.adapter import Adapter, UnfiniteAnswerError
from failure_atlas.core.errors import StageError

NAMES = ["a", "b", "c"]


def adapter(network: nn.Module | None = None, shape: tuple[int, int, int] = (1, 6, 6), **options: object) -> Adapter:
    return Adapter(network or nn.Identity(), shape, NAMES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size_px", [3, 5, 6, 9, 13])
def test_resizing_is_that_of_pytorch(interpolation: str, size_px: int) -> None:
    images = torch.rand(3, 1, 6, 6, dtype=torch.float64).float()
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    expected = functional.interpolate(images, size=size_px, mode=mode, antialias=interpolation != "nearest")
    found = adapter(size_px=size_px, fit="resize", interpolation=interpolation).prepare(images)
    assert torch.allclose(found, expected, atol=1e-6)


def test_polarity_range_mean_and_std_in_that_order() -> None:
    images = torch.rand(2, 3, 6, 6)
    options = {"polarity": "dark_on_light", "range": [-1, 3], "mean": [0.1, 0.2, 0.3], "std": [0.5, 1, 2]}
    found = adapter(shape=(3, 6, 6), **options).prepare(images)
    for channel, (mean, std) in enumerate(zip(options["mean"], options["std"], strict=True)):
        expected = (-1 + 4 * (1 - images[:, channel]) - mean) / std
        assert torch.allclose(found[:, channel], expected, atol=1e-6)


def test_grey_is_repeated_colour_weighted_as_the_eye_does_and_else_an_image_is_shown_as_it_is() -> None:
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def test_softmax_gives_the_probabilities_back_down_to_zero_in_the_order_of_the_data() -> None:
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


def test_the_gradient_is_that_of_differences() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 9 * 9, 3), nn.Softmax(1)).double()
    options = {"size_px": 9, "fit": "resize", "interpolation": "bicubic", "channels": 3, "range": [0, 255]}
    options |= {"mean": [100.0], "std": [60.0, 50.0, 40.0], "polarity": "dark_on_light"}
    built = adapter(network, outputs="probabilities", class_order=["b", "c", "a"], **options).double()
    built.forward = lambda images: built.answer(images).clamp_min(1e-30).log()[:, built.order]  # in float64
    assert torch.autograd.gradcheck(
        built, torch.rand(2, 1, 6, 6, dtype=torch.float64, requires_grad=True), fast_mode=True
    )


@pytest.mark.parametrize("outputs", ["logits", "probabilities", "log_probabilities"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_answer_that_is_no_number_is_no_guess(outputs: str, value: float) -> None:
    images = torch.full((4, 1, 1, 3), 0.5)
    images[1, 0, 0, 2] = images[3, 0, 0, 0] = value
    message = r"^bring_classifiers\.mine: its answer to 2 of 4 images is not finite \(NaN or infinite\); correct"
    with pytest.raises(UnfiniteAnswerError, match=message) as caught:
        adapter(Answers(), (1, 1, 3), outputs=outputs, name="bring_classifiers.mine")(images)
    assert caught.value.rows == [1, 3]


class Viewing(nn.Linear):
    """Flattens as most tutorials do, which fails for no images, and answers a single one without its batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.view(x.size(0), -1)).squeeze()


def test_a_batch_of_none_or_one_has_answers_of_the_same_form() -> None:
    network = Viewing(36, 3)
    with pytest.raises(RuntimeError, match="cannot reshape tensor of 0 elements"):
        network(torch.rand(0, 1, 6, 6))
    for built in (adapter(network), adapter(network, outputs="probabilities", class_order=["c", "a", "b"])):
        images = torch.rand(2, 1, 6, 6)
        empty = torch.rand(0, 1, 6, 6, requires_grad=True)
        assert torch.allclose(built(images[:1]), built(images)[:1], atol=1e-6)
        assert (built(empty).shape, built(empty).dtype) == ((0, 3), torch.float32)
        assert torch.autograd.grad(built(empty).sum(), empty)[0].shape == empty.shape


def test_numbers_of_any_type_and_writing_into_the_image_are_no_matter() -> None:
    class Writing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x -= 0.5
            return x.flatten(1)[:, :3].double()

    images = torch.rand(2, 1, 6, 6)
    before = images.clone().requires_grad_(True)
    answer = adapter(Writing())(before)
    assert answer.dtype == torch.float32
    assert torch.equal(before, images)
    assert torch.autograd.grad(answer.sum(), before)[0].sum() == 6


def test_a_failure_on_some_batch_is_one_line_that_names_the_classifier() -> None:
    with pytest.raises(StageError, match=r"^mine: fails on 2 images at once \(RuntimeError: mat1 and mat2 shapes"):
        adapter(Viewing(35, 3), name="mine")(torch.rand(2, 1, 6, 6))
    with pytest.raises(StageError, match=r"^mine: answers 2 images with shape \[2, 4\]; needed: \[2, 3\]"):
        adapter(Viewing(36, 4), name="mine")(torch.rand(2, 1, 6, 6))


def test_a_crop_keeps_the_middle_and_comes_before_the_resizing() -> None:
    images = torch.rand(2, 1, 6, 6)
    middle = images[:, :, 1:5, 1:5]
    for options, expected in (
        ({"size_px": 4}, middle), ({"size_px": 3}, images[:, :, 1:4, 1:4]), ({"crop_px": 4}, middle),
        ({"crop_px": 4, "size_px": 2}, images[:, :, 2:4, 2:4]),
        ({"crop_px": 4, "size_px": 3, "fit": "resize"},
         functional.interpolate(middle, size=3, mode="bilinear", antialias=True)),
    ):  # fmt: skip
        assert torch.allclose(adapter(**options).prepare(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_px": 7}, "input.size_px: got 7; a crop of 6 px is no larger; set input.fit: resize"),
        ({"crop_px": 7}, "input.crop_px: got 7; a crop of 6 px is no larger; allowed: 1 to 6, or leave it out"),
        ({"crop_px": 4, "size_px": 5}, "input.size_px: got 5; a crop of 4 px is no larger; set input.fit: resize"),
        ({"mean": [0.1, 0.2]}, "input.mean: got 2 numbers; allowed: 1, one per channel"),
        ({"channels": 3, "std": [0.1, 0.2]}, "input.std: got 2 numbers; allowed: 1 or 3, one per channel"),
    ],
)
def test_what_does_not_fit_the_images_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(StageError) as caught:
        adapter(**options)
    assert str(caught.value) == message
