"""Whether gradients go through a classifier."""

from torch import nn


def is_differentiable(classifier: nn.Module) -> bool:
    """What the classifier's attribute `differentiable` says; True where it has none, as in those trained here."""
    return bool(getattr(classifier, "differentiable", True))
