"""Does a classifier give gradients?"""

from collections.abc import Callable

import torch


def is_differentiable(classifier: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Whether gradients can be taken through a classifier: true unless its attribute `differentiable` says otherwise.

    A module that wraps another one hands the attribute on.
    """
    return bool(getattr(classifier, "differentiable", True))
