"""Gradient of the true-class score along each style dimension (Le Coz et al. 2022, 2.2)."""

from collections.abc import Callable

import torch

Synthesize = Callable[[torch.Tensor], torch.Tensor]  # styles [N, D] -> images [N, channels, H, W] in [0, 1]
Classify = Callable[[torch.Tensor], torch.Tensor]  # images -> logits [N, classes]


def differentiate_scores(
    synthesize: Synthesize, classify: Classify, styles: torch.Tensor, true_class: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d softmax(classify(synthesize(s)))[true class] / d s, for each sample on its own.

    styles: [N, D] in raw style units.  true_class: [N] int64.
    Returns the gradients [N, D] and the logits [N, classes]; both networks must treat samples independently.
    """
    with torch.enable_grad():
        leaf = styles.detach().requires_grad_(True)
        logits = classify(synthesize(leaf))
        score = logits.softmax(dim=1).gather(1, true_class[:, None])
        # A sample's score depends on its own styles only, so the gradient of the sum holds each sample's gradient.
        (gradients,) = torch.autograd.grad(score.sum(), leaf)
    return gradients, logits.detach()
