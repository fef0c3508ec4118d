"""Batches of images, generated and real, in the form that a judge sees."""

from collections.abc import Iterator

import numpy as np
import torch

from stages.prepare_images.store import to_unit
from stages.train_stylegan2.generator import Generator


def generate_batches(
    generator: Generator, z: np.ndarray, labels: np.ndarray, batch_size: int
) -> Iterator[torch.Tensor]:
    """Images [<= batch_size, C, H, W] in [0, 1] of latent vectors [N, Z] and labels [N], without truncation."""
    device = next(generator.parameters()).device
    for start in range(0, len(z), batch_size):
        rows = slice(start, start + batch_size)
        with torch.no_grad():
            w = generator.map_latents(torch.from_numpy(z[rows]).to(device), torch.from_numpy(labels[rows]).to(device))
            yield generator.synthesize(generator.map_styles(w))


def real_batches(images: np.ndarray, batch_size: int, device: torch.device) -> Iterator[torch.Tensor]:
    """The same for real images: uint8 [N, C, H, W]."""
    for start in range(0, len(images), batch_size):
        yield to_unit(images[start : start + batch_size]).to(device)
