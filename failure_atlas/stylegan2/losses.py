"""Non-saturating adversarial losses (Goodfellow et al. 2014) and the R1 penalty (Mescheder et al. 2018).

Features of generated images drawn towards the mean and covariance of real ones.

The Frechet distance of two Gaussians is the cost of the optimal transport between them, which is linear: it moves a
generated feature f to T(f) = m_r + A (f - m_g), where A = C_g^(-1/2) (C_g^(1/2) C_r C_g^(1/2))^(1/2) C_g^(-1/2)
(Dowson and Landau 1982). The mean of |f - T(f)|^2, T held fixed, is that distance, and its gradient leads along the
transport. m_g and C_g are running, so that batches of 64 are enough for a covariance of 128 features.
"""

import torch
from torch import nn
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


REFRESH_BATCHES = 8  # between transports; the running moments hardly move in less
RIDGE = 1e-4  # of the mean variance: what the inverse of a covariance needs
READY = 1 - 0.5**0.5  # weight of what has been seen after one half of a half-life


class MomentMatching(nn.Module):
    """Moments of real features, running moments of generated ones, and the transport from these to those.

    All of it are buffers, so that a training that goes on does so with the same numbers.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.real_mean: torch.Tensor
        self.real_covariance: torch.Tensor
        self.weight: torch.Tensor
        self.mean_sum: torch.Tensor
        self.square_sum: torch.Tensor
        self.generated_mean: torch.Tensor
        self.transport: torch.Tensor
        self.batches: torch.Tensor
        for name, shape in {
            "real_mean": (features,),
            "real_covariance": (features, features),
            "weight": (),
            "mean_sum": (features,),
            "square_sum": (features, features),
            "generated_mean": (features,),
            "transport": (features, features),
            "batches": (),
        }.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def take_real(self, features: torch.Tensor) -> None:
        """Measure features [N, F] of real images."""
        self.real_mean.copy_(features.double().mean(dim=0))
        self.real_covariance.copy_(torch.cov(features.double().T))

    def observe(self, mean: torch.Tensor, square: torch.Tensor, decay: float) -> None:
        """Add a batch: its mean f [F] and mean f f^T [F, F]; decay: the share of weight that earlier ones keep.

        Every eighth batch, and once enough has been seen, the transport is found anew.
        """
        was_ready = self.ready
        seen = torch.ones_like(self.weight)
        for running, value in ((self.mean_sum, mean), (self.square_sum, square), (self.weight, seen)):
            running.mul_(decay).add_(value, alpha=1 - decay)
        self.batches += 1
        if self.ready and (not was_ready or int(self.batches) % REFRESH_BATCHES == 0):
            self._refresh()

    @property
    def ready(self) -> bool:
        """Whether enough has been seen for a transport."""
        return float(self.weight) >= READY

    def _refresh(self) -> None:
        """Find the transport from what has been seen."""
        mean = self.mean_sum / self.weight
        covariance = self.square_sum / self.weight - torch.outer(mean, mean)
        ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(mean)).to(covariance)
        root = symmetric_root(covariance + ridge)
        inverse = torch.linalg.inv(root)
        self.generated_mean.copy_(mean)
        self.transport.copy_(inverse @ symmetric_root(root @ self.real_covariance @ root) @ inverse)

    def loss(self, features: torch.Tensor) -> torch.Tensor:
        """Mean squared way of features [N, F] along the transport, over the total variance of real ones."""
        with torch.no_grad():
            centred = features - self.generated_mean.to(features)
            target = centred @ self.transport.to(features) + self.real_mean.to(features)
            variance = self.real_covariance.trace().to(features)
        return (features - target).square().sum(dim=1).mean() / variance


def symmetric_root(matrix: torch.Tensor) -> torch.Tensor:
    """The root of a positive semidefinite matrix [F, F]; eigenvalues that rounding made negative count as 0."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    root: torch.Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
