"""What can be told of a classifier before its accuracy is looked at; the rest is in the table of wrong ways."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from failure_atlas.brought.adapter import Adapter
from failure_atlas.brought.folder import check_numbers
from failure_atlas.core.errors import StageError
from stages.bring_classifiers.checks import DoubtError, check_constancy, check_gradient, check_outputs, settle

IMAGES = torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [1.0, 0.0, 0.0]]).view(3, 1, 1, 3)


class Scaled(nn.Module):
    """The three pixels times a factor, and what a last layer makes of them."""

    def __init__(self, factor: float, last: nn.Module | None = None) -> None:
        super().__init__()
        self.factor, self.last = factor, last or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.last(self.factor * x.flatten(1))
        return last


def adapter(network: nn.Module, outputs: str = "logits") -> Adapter:
    return Adapter(network, (1, 1, 3), ["a", "b", "c"], outputs=outputs)


@pytest.mark.parametrize(
    ("network", "declared", "told"),
    [
        (Scaled(1.0), "log_probabilities", "probabilities"),
        (Scaled(9.0, nn.LogSoftmax(1)), "probabilities", "log_probabilities"),
        (Scaled(9.0), "logits", None),
        (Scaled(1.0), "probabilities", None),
        (Scaled(9.0, nn.LogSoftmax(1)), "log_probabilities", None),
        (Scaled(9.0, nn.LogSoftmax(1)), "logits", None),  # its softmax is the same
        (Scaled(9.0), "log_probabilities", None),
    ],
)
def test_the_kind_of_output_is_told_and_what_is_declared_rightly_passes(
    network: nn.Module, declared: str, told: str | None
) -> None:
    """Logits for probabilities and the other way round: see the table of wrong ways."""
    classifier = adapter(network, declared)
    if told:
        message = rf"^key\.outputs: got {declared}, but .* look like {told}: .*outputs: {told}$"
        with pytest.raises(StageError, match=message):
            check_outputs(classifier, IMAGES, "key")
        return
    assert check_outputs(classifier, IMAGES, "key") == []
    check_constancy(classifier, IMAGES, "key")
    assert check_gradient(classifier, IMAGES, "key") == []


def test_a_saturated_softmax_is_a_warning_where_others_are_not() -> None:
    (warning,) = check_gradient(adapter(Scaled(300.0, nn.Softmax(1)), "probabilities"), IMAGES[1:], "key")
    assert warning.startswith("key: the gradient at 1 of 2 test images is 0, because the softmax inside")
    with pytest.raises(StageError, match="the gradient at 2 of 2 test images is 0 everywhere"):
        check_gradient(adapter(Scaled(1e5, nn.Softmax(1)), "probabilities"), IMAGES[::2], "key")


class Computed(nn.Module):
    """What a function makes of the three pixels."""

    def __init__(self, compute: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.compute(x.flatten(1))


@pytest.mark.parametrize(
    ("compute", "error", "message"),
    [
        (lambda x: (x**2).sqrt(), StageError, "the gradient at 1 of 3 test images is not finite"),
        (lambda x: (e := x.exp()) * e.add_(1), StageError, r"differentiating it fails \(RuntimeError: one of the vari"),
        (lambda x: x * (x[:, :1] < 0.5), DoubtError, "the gradient at 1 of 3 test images is 0 everywhere"),
    ],
)
def test_a_gradient_that_cannot_be_used_is_told(
    compute: Callable[[torch.Tensor], torch.Tensor], error: type[StageError], message: str
) -> None:
    check = partial(check_gradient, adapter(Computed(compute)), IMAGES, "key")
    with pytest.raises(error, match=f"^key: {message}"):
        check()
    if error is DoubtError:
        (warning,) = settle(check, "warn", "key")
        with pytest.raises(
            StageError, match=rf"^{re.escape(warning)}; or, to bring it as it is: set key\.on_doubt: warn$"
        ):
            settle(check, "stop", "key")
    else:  # no doubt that could be a warning
        with pytest.raises(StageError, match=message):
            settle(check, "warn", "key")


def test_a_mask_may_hold_infinity_and_a_state_only_tensors() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    check_numbers(network, "key")
    network.register_buffer("scale", torch.tensor([torch.nan]))
    with pytest.raises(StageError, match="key: 1 of the 1 numbers of scale are not finite"):
        check_numbers(network, "key")

    class Extra(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"steps": 3}

    with pytest.raises(StageError, match="key: _extra_state of its state dict is a dict, which cannot be kept"):
        check_numbers(Extra(2, 2), "key")
