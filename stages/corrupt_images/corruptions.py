"""Gaussian blur, then Gaussian noise: severities, constants and arithmetic (Hendrycks and Dietterich 2019).

All arithmetic is in float64 on the CPU, image by image the same, so that no batch size, thread count or device
changes a byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

TRUNCATE_STD = 4.0


@dataclass(frozen=True)
class Table:
    """Standard deviations of severity 1 to 5: blur in pixels, noise in units of the [0, 1] grey scale."""

    blur_std_px: tuple[float, ...]
    noise_std: tuple[float, ...]


TABLES = {
    "imagenet-c": Table((1, 2, 3, 4, 6), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "tiny-imagenet-c": Table((0.5, 0.75, 1, 1.25, 1.5), (0.04, 0.08, 0.12, 0.15, 0.18)),
    "cifar-c": Table((0.4, 0.6, 0.7, 0.8, 1), (0.04, 0.06, 0.08, 0.09, 0.10)),
}


def draw_severities(
    n: int, clean_fraction: float, severities: Sequence[int], stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which images stay clean, and how severely the others are blurred and noised (Le Coz et al. 2022, 3.1).

    After a shuffle the first round(n * clean_fraction) stay clean; each other image draws a blur and a noise severity,
    independently and with equal chance.  Returns (blur, noise), uint8 [n], 0 where clean.
    """
    corrupted = stream.permutation(n)[round(n * clean_fraction) :]
    blur, noise = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    for severity in (blur, noise):
        severity[corrupted] = stream.choice(np.asarray(severities, np.uint8), len(corrupted))
    return blur, noise


def corrupt(
    images: np.ndarray,
    blur_severity: np.ndarray,
    noise_severity: np.ndarray,
    table: Table,
    noise_stream: Callable[[int], torch.Generator],
    *,
    batch_size: int = 1000,
    advance: Callable[[int], object] = lambda _: None,
) -> np.ndarray:
    """Blur each image, add noise, clip to [0, 1] and round back to uint8; severity 0 leaves that step out.

    images: uint8 [N, C, H, W].  blur_severity, noise_severity: [N], 0 to 5.  noise_stream: the generator of image i;
    its noise is independent for each pixel and channel.  advance: told the number of images done after each batch.
    Returns uint8 [N, C, H, W].
    """
    result = images.copy()
    corrupted = np.flatnonzero((blur_severity > 0) | (noise_severity > 0))
    for severity in np.unique(blur_severity[corrupted]):
        members = corrupted[blur_severity[corrupted] == severity]
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            grey = torch.from_numpy(images[batch]).to(torch.float64) / 255
            if severity:
                grey = blur(grey, table.blur_std_px[severity - 1])
            grey += _draw_noise(batch, noise_severity, grey.shape[1:], table, noise_stream)
            result[batch] = (grey.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
            advance(len(batch))
    return result


def blur(images: torch.Tensor, std_px: float) -> torch.Tensor:
    """Gaussian blur of [N, C, H, W]: cut at 4 standard deviations, the edge pixel continued outside the frame."""
    rows, columns = (blur_matrix(size, std_px, images.dtype) for size in images.shape[-2:])
    return rows @ images @ columns.T


def blur_matrix(size: int, std_px: float, dtype: torch.dtype) -> torch.Tensor:
    """The blur along one axis as a matrix [size, size]: row i holds the weights that make pixel i; each row sums to 1.

    As a product of matrices the blur costs little at any width, and the edge is part of the weights.
    """
    radius = int(TRUNCATE_STD * std_px + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.to(torch.float64) / std_px) ** 2)
    weights /= weights.sum()
    pixels = torch.arange(size)[:, None]
    sources = (pixels + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, sources, weights.expand(size, -1)).to(dtype)


def _draw_noise(
    batch: np.ndarray,
    severity: np.ndarray,
    shape: Sequence[int],
    table: Table,
    noise_stream: Callable[[int], torch.Generator],
) -> torch.Tensor:
    noise = torch.zeros(len(batch), *shape, dtype=torch.float64)
    for row, index in enumerate(batch.tolist()):
        if severity[index]:
            drawn = torch.randn(*shape, generator=noise_stream(index), dtype=torch.float64)
            noise[row] = drawn * table.noise_std[severity[index] - 1]
    return noise
