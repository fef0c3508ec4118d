"""Adaptive discriminator augmentation that is safe for digits (Karras et al. 2020, ADA).

Flips and quarter turns would change a digit's class, so the pipeline holds small moves only. Each transformation
strikes each image with probability p on its own, which keeps the augmentations from leaking into the generator.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

TRANSLATION = 0.125  # of the image's width, uniform either way
ROTATION_DEGREES = 10.0  # standard deviation
SCALE_OCTAVES = 0.2  # standard deviation
BRIGHTNESS = 0.2  # standard deviation, image values in [-1, 1]
CONTRAST_OCTAVES = 0.5  # standard deviation
MAX_PROBABILITY = 0.8  # above, augmentations leak (ADA, 3.1)


@dataclass(frozen=True)
class Augmentation:
    """One drawn transformation per image: affine matrices [N, 2, 3], contrast [N], brightness [N]."""

    matrix: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor

    def rows(self, keep: slice) -> "Augmentation":
        """The transformations of some of the images."""
        return Augmentation(self.matrix[keep], self.contrast[keep], self.brightness[keep])


def draw_augmentation(n: int, probability: float, stream: torch.Generator) -> Augmentation:
    """Draw transformations for n images; with probability 0 each is the identity."""

    def strike(values: torch.Tensor) -> torch.Tensor:
        struck = torch.rand(n, generator=stream) < probability
        return torch.where(struck, values, torch.zeros_like(values))

    shift_x = strike((torch.rand(n, generator=stream) * 2 - 1) * TRANSLATION * 2)
    shift_y = strike((torch.rand(n, generator=stream) * 2 - 1) * TRANSLATION * 2)
    angle = strike(torch.randn(n, generator=stream) * math.radians(ROTATION_DEGREES))
    scale = torch.exp2(strike(torch.randn(n, generator=stream) * SCALE_OCTAVES))
    contrast = torch.exp2(strike(torch.randn(n, generator=stream) * CONTRAST_OCTAVES))
    brightness = strike(torch.randn(n, generator=stream) * BRIGHTNESS)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cosine, -sine, shift_x], dim=1), torch.stack([sine, cosine, shift_y], dim=1)]
    return Augmentation(torch.stack(rows, dim=1), contrast, brightness)


def augment(images: torch.Tensor, augmentation: Augmentation) -> torch.Tensor:
    """Apply one transformation per image; differentiable in the images.

    images: [N, C, H, W], nominally in [-1, 1], where -1 is the background that fills what moves in.
    """
    device, dtype = images.device, images.dtype
    moved = _move(images + 1, augmentation.matrix.to(device, dtype)) - 1
    contrast = augmentation.contrast.to(device, dtype)[:, None, None, None]
    brightness = augmentation.brightness.to(device, dtype)[:, None, None, None]
    return moved * contrast + brightness


def _move(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Bilinear reading of images [N, C, H, W] at affinely moved places, with zeros outside; matrix: [N, 2, 3].

    As grid_sample has it, whose backward pass on a GPU gives other bytes each time.
    """
    n, channels, height, width = images.shape
    grid = functional.affine_grid(matrix, [n, channels, height, width], align_corners=False)
    size = torch.tensor([width, height], dtype=grid.dtype, device=grid.device)
    place = ((grid + 1) * size - 1) / 2  # x and y in pixels
    corner = place.floor()
    right, down = (place - corner).unbind(dim=3)
    left, top = corner.long().unbind(dim=3)
    pixels = images.flatten(2)
    moved = torch.zeros_like(images)
    for x, y, weight in (
        (left, top, (1 - right) * (1 - down)),
        (left + 1, top, right * (1 - down)),
        (left, top + 1, (1 - right) * down),
        (left + 1, top + 1, right * down),
    ):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        read = pixels.gather(2, index.flatten(1)[:, None].expand(n, channels, -1)).view_as(images)
        moved = moved + read * (weight * inside)[:, None]
    return moved


@dataclass
class AdaptiveProbability:
    """Controller of p: rises while the discriminator is surer of the training images than `target`, else falls.

    The overfitting signal is r = E[sign D(real)]; every `interval_steps` steps p moves by the images seen since, over
    `adjustment_kimg`, so that it can go from 0 to 1 in that many thousand images. target 0 switches it off.
    """

    target: float
    interval_steps: int
    adjustment_kimg: float
    probability: float = 0.0
    sign_sum: float = 0.0
    images: int = 0
    steps: int = 0

    def observe(self, sign_mean: float, images: int) -> None:
        """Take the mean sign of D on one batch of real images; adjusts p when the interval is full."""
        if self.target == 0:
            return
        self.sign_sum += sign_mean * images
        self.images += images
        self.steps += 1
        if self.steps < self.interval_steps:
            return
        direction = math.copysign(1.0, self.sign_sum / self.images - self.target)
        step = direction * self.images / (self.adjustment_kimg * 1000)
        self.probability = min(max(self.probability + step, 0.0), MAX_PROBABILITY)
        self.sign_sum, self.images, self.steps = 0.0, 0, 0
