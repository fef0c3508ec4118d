"""Whether gradients go through a classifier."""

from collections.abc import Callable

import torch


def is_differentiable(classifier: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """What the classifier's attribute `differentiable` says; True where it has none, as in those trained here."""
    return bool(getattr(classifier, "differentiable", True))
