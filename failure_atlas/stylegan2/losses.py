"""Non-saturating adversarial losses (Goodfellow et al. 2014) and the R1 penalty (Mescheder et al. 2018)."""

import torch
from torch.nn import functional


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid(D(real)) - log(1 - sigmoid(D(fake))); 2 ln 2 when D knows nothing."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid(D(fake))."""
    return functional.softplus(-fake_logits).mean()


def r1_penalty(real_logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean squared gradient norm of D at real images or features, differentiable; to be weighted by gamma / 2.

    real: [N, ...], with gradients required, from which real_logits [N] were computed.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()
