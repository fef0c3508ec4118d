"""What an extractor sees in images: features, and a judge's verdict with them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.images.image_set import to_unit
from failure_atlas.judges.ensemble import Ensemble
from failure_atlas.stylegan2.generator import Generator


@dataclass(frozen=True)
class Judgement:
    """features: [N, F] float32.  predicted: [N] int64, the class the judge sees."""

    features: np.ndarray
    predicted: np.ndarray


def judge_images(
    judge: Ensemble, batches: Iterable[torch.Tensor], advance: Callable[[int], None] = lambda _: None
) -> Judgement:
    """Features and verdict for batches of images in [0, 1]; advance: told the size of each batch when done."""
    features, predicted = [], []
    with torch.no_grad():
        for images in batches:
            seen, opinion = judge.examine(images)
            features.append(seen.cpu().numpy())
            predicted.append(opinion.argmax(1).cpu().numpy())
            advance(len(images))
    return Judgement(np.concatenate(features), np.concatenate(predicted))


def extract_features(
    extractor: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[torch.Tensor],
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Features [N, F] float32 alone."""
    features = []
    with torch.no_grad():
        for images in batches:
            features.append(extractor(images).cpu().numpy())
            advance(len(images))
    return np.concatenate(features)


def generate_images(generator: Generator, z: np.ndarray, labels: np.ndarray, batch_size: int) -> Iterator[torch.Tensor]:
    """Batches of images [<= batch_size, C, H, W] in [0, 1] from latent vectors [N, Z] and labels [N]; no truncation."""
    device = next(generator.parameters()).device
    for start in range(0, len(z), batch_size):
        rows = slice(start, start + batch_size)
        with torch.no_grad():
            w = generator.map_latents(torch.from_numpy(z[rows]).to(device), torch.from_numpy(labels[rows]).to(device))
            yield generator.synthesize(generator.map_styles(w))


def show_images(images: np.ndarray, batch_size: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Batches of real images in [0, 1] from uint8 [N, C, H, W]."""
    for start in range(0, len(images), batch_size):
        yield to_unit(images[start : start + batch_size]).to(device)
