"""The margin by which a classifier holds on to the true class, and its gradient."""

import math

import torch

from failure_atlas.world.show import Classify, Synthesize

LEVEL = 0.0  # the log-odds where the true-class softmax is 0.50
TOLERANCE = math.log(0.5 / 0.499)  # in log-odds: below LEVEL by less, the softmax is within 0.001 of 0.50


def measure_log_odds(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) of the true-class softmax p, exact where p rounds to 1.

    logits: [N, C].  true_class: [N] int64. Returns [N] float64.
    """
    meant = torch.nn.functional.one_hot(true_class, logits.shape[1]).bool()
    wide = logits.double()
    return wide.where(meant, 0.0).sum(dim=1) - wide.masked_fill(meant, -torch.inf).logsumexp(dim=1)


def differentiate_log_odds(
    synthesize: Synthesize, classify: Classify, styles: torch.Tensor, true_class: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d log(p / (1 - p)) / d s, for each sample on its own, p the true-class softmax.

    It points where the gradient of p points, which is p (1 - p) times as long and vanishes in float32 where the
    classifier is sure.
    styles: [N, D] in raw style units.  true_class: [N] int64.
    Returns the log-odds [N] float64 and their gradients [N, D].
    """
    with torch.enable_grad():
        leaf = styles.detach().requires_grad_(True)
        values = measure_log_odds(classify(synthesize(leaf)), true_class)
        (gradients,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradients
