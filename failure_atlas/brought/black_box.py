"""A classifier of which only the outputs are known: arrays go in, arrays come out, there is no gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from failure_atlas.core.errors import StageError

# float32 [N, C, H, W] -> [N, classes], numbers of any kind
Predict = Callable[[np.ndarray], np.ndarray]


class BlackBox(nn.Module):
    """A predict function on NumPy arrays as a module without parameters.

    predict: takes float32 [N, C, H, W] (a copy of its own, C-contiguous) and returns [N, classes].  name: what messages
    call the classifier.  classes: how many outputs it must have; None takes what the first call gives.
    What `predict` returns passes through as float32, be it logits or probabilities.
    """

    differentiable = False

    def __init__(self, predict: Predict, name: str, classes: int | None = None) -> None:
        super().__init__()
        self.predict, self.name, self.classes = predict, name, classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs [N, classes] float32 on the device of images [N, C, H, W].

        Raises StageError if predict fails or returns anything but numbers of that shape, and if a gradient is
        asked for: zeros would be taken for a ranking.
        """
        outputs: torch.Tensor = _Opaque.apply(images, self)  # type: ignore[no-untyped-call]
        return outputs

    def ask(self, images: np.ndarray) -> np.ndarray:
        """The checked outputs [N, classes] float32 of images [N, C, H, W] float32."""
        try:
            answer = self.predict(images)
        except StageError:
            raise
        except Exception as error:
            raise StageError(
                f"{self.name}: failed on images of shape {images.shape} with {type(error).__name__}: {error}; "
                "correct its code, or set input.size_px, input.channels and input.range to what it takes"
            ) from error
        outputs = self._check(answer, len(images))
        self.classes = outputs.shape[1]
        return outputs

    def _check(self, answer: Any, count: int) -> np.ndarray:
        wanted = f"[{count}, {self.classes if self.classes is not None else 'classes'}]"
        if not isinstance(answer, np.ndarray):
            raise StageError(
                f"{self.name}: returned {type(answer).__name__}; needed: a NumPy array {wanted} of numbers; convert it"
            )
        if answer.dtype.kind not in "fiub":
            raise StageError(
                f"{self.name}: returned an array of {answer.dtype}; needed: real numbers {wanted}; return the outputs "
                "themselves, not names or objects"
            )
        classes = answer.shape[1] if answer.ndim == 2 else 0
        if answer.ndim != 2 or len(answer) != count or classes < 2 or classes != (self.classes or classes):
            raise StageError(
                f"{self.name}: returned an array of shape {list(answer.shape)} for {count} images; needed: {wanted}, "
                "one row per image and one column per class"
            )
        return np.ascontiguousarray(answer, np.float32)


class _Opaque(torch.autograd.Function):
    """Lets tensors through forwards and nothing backwards."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, box: BlackBox) -> torch.Tensor:
        """See BlackBox.forward."""
        ctx.name = box.name
        # A copy: predict may write into what it is given.
        given = np.array(images.detach().cpu().numpy(), np.float32, order="C")
        return torch.from_numpy(box.ask(given)).to(images.device)

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        """There is none."""
        raise StageError(
            f"{ctx.name}: is a black box and gives no gradients; rank it by finite differences "
            "(rank_dimensions.score: auto or finite_difference)"
        )
