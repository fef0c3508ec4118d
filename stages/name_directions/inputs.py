"""The generator and the real images, read and checked before any work."""

from pathlib import Path

import numpy as np
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.images.image_set import Severities
from failure_atlas.stylegan2.generator import Generator, load_generator
from stages.common.artefacts.images import read_images, read_severities


def load_painter(path: Path, device: torch.device) -> Generator:
    """The generator, with the channels of a pixel side by side, which is faster on CPU."""
    network = load_generator(path, device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def read_clean(path: Path, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of `count` clean test images each, uint8 [count, C, H, W]: to calibrate, and to check.

    Raises StageError if the store is missing or holds too few.
    """
    images = read_images(require(path, "prepare_images"), "test").images
    if len(images) < 2 * count:
        raise StageError(
            f"{path}: {len(images)} test images; name_directions.check_images: got {count}; allowed: at most "
            f"{len(images) // 2}, for as many calibrate as check"
        )
    order = random.permutation(len(images))
    return images[order[:count]], images[order[count : 2 * count]]


def read_corrupted(path: Path, count: int, random: np.random.Generator) -> tuple[np.ndarray, Severities]:
    """Up to `count` corrupted test images, clean ones among them, uint8 [n, C, H, W], with their severities."""
    images = read_images(require(path, "corrupt_images"), "test").images
    chosen = np.sort(random.permutation(len(images))[:count])
    return images[chosen], read_severities(path, "test").rows(chosen)
