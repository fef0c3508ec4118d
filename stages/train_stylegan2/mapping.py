"""z -> w: the mapping network with class embedding (Karras et al. 2020, ADA, conditional setting)."""

from itertools import pairwise

import torch
from torch import nn

from stages.train_stylegan2.layers import EqualizedLinear, activate, normalize_second_moment

LEARNING_RATE_SCALE = 0.01


class MappingNetwork(nn.Module):
    """Normalised latent and normalised class embedding, through fully connected layers."""

    def __init__(self, z_dim: int, w_dim: int, num_classes: int, layers: int) -> None:
        super().__init__()
        self.embedding = EqualizedLinear(num_classes, w_dim)
        widths = [z_dim + w_dim, *[w_dim] * layers]
        self.layers = nn.ModuleList(
            EqualizedLinear(inputs, outputs, learning_rate_scale=LEARNING_RATE_SCALE)
            for inputs, outputs in pairwise(widths)
        )
        self.num_classes = num_classes

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """z: [N, z_dim] standard normal; labels: [N] int64. Returns w [N, w_dim]."""
        classes = nn.functional.one_hot(labels, self.num_classes).to(z.dtype)
        x = torch.cat([normalize_second_moment(z), normalize_second_moment(self.embedding(classes))], dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x
