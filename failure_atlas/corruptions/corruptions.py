"""A recipe of corruptions: severities drawn per image, and the steps one after the other.

All arithmetic is in float64 on the CPU, each image by itself, so that no batch size, thread count or device changes a
byte.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream, torch_stream
from failure_atlas.corruptions.registry import Step
from failure_atlas.images.image_set import ImageSet, Severities

WHITE = 255
BATCH_VALUES = 1_024_000  # 1,000 grey images of 32 px: 8 MB a copy


def draw_severities(
    n: int, clean_fraction: float, severities: Sequence[int], stream: np.random.Generator, *, steps: int = 2
) -> np.ndarray:
    """Which images stay clean, and how severe each step is on the others (Le Coz et al. 2022, 3.1: two steps).

    After a shuffle the first round(n * clean_fraction) stay clean; each other image draws a severity for every step,
    independently and with equal chance.  Returns uint8 [steps, n], 0 where clean.
    """
    corrupted = stream.permutation(n)[round(n * clean_fraction) :]
    drawn = np.zeros((steps, n), np.uint8)
    for severity in drawn:
        severity[corrupted] = stream.choice(np.asarray(severities, np.uint8), len(corrupted))
    return drawn


def corrupt(
    images: np.ndarray,
    severities: np.ndarray,
    steps: Sequence[Step],
    stream: Callable[[str, int], torch.Generator],
    *,
    batch_size: int | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> np.ndarray:
    """Apply the steps in their order, clip to [0, 1] and round back to uint8; severity 0 leaves a step out.

    images: uint8 [N, C, H, W].  severities: [steps, N], 0 to 5.  stream: (key of the step, index) -> the generator of
    that step on that image.  batch_size: None for as many as keep memory low.  advance: told the number of images done
    after each batch.  Between steps nothing is rounded.  Returns uint8 [N, C, H, W].
    """
    batch_size = batch_size or max(1, BATCH_VALUES // max(1, images[:1].size))
    result = images.copy()
    corrupted = np.flatnonzero((severities > 0).any(axis=0))
    first = severities[0, corrupted]
    for severity in np.unique(first):
        members = corrupted[first == severity]
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            unit = images[batch] / WHITE
            for step, drawn in zip(steps, severities[:, batch], strict=True):
                unit = _apply(step, unit, drawn, batch, stream)
            result[batch] = np.round(np.clip(unit, 0, 1) * WHITE).astype(np.uint8)
            advance(len(batch))
    return result


def _apply(
    step: Step,
    unit: np.ndarray,
    severity: np.ndarray,
    indices: np.ndarray,
    stream: Callable[[str, int], torch.Generator],
) -> np.ndarray:
    """One step on a batch, float64 [n, C, H, W]; severity, indices: [n]."""
    result = unit.copy()
    for level in np.unique(severity[severity > 0]).tolist():
        rows = np.flatnonzero(severity == level)

        def open_stream(place: int, chosen: np.ndarray = indices[rows]) -> torch.Generator:
            return stream(step.key, int(chosen[place]))

        result[rows] = step.corruption.change(unit[rows], open_stream, *step.constants(level))
    return result


def corrupt_split(
    clean: ImageSet, split: str, steps: list[Step], *, seed: int, clean_fraction: float, severities: Sequence[int]
) -> tuple[ImageSet, Severities]:
    """One split of a data set after the recipe, and the severities drawn for it; split: names the random streams."""
    stream = numpy_stream(seed, "corrupt_images", split, "severities")
    drawn = draw_severities(len(clean.labels), clean_fraction, severities, stream, steps=len(steps))
    drawn_for = Severities({step.key: severity for step, severity in zip(steps, drawn, strict=True)})
    streams = open_streams(seed, split)
    with Progress(f"corrupting {split}", int((~drawn_for.clean).sum()), "img") as progress:
        images = corrupt(clean.images, drawn, steps, streams, advance=progress.advance)
    return ImageSet(images, clean.labels), drawn_for


def open_streams(seed: int, purpose: str) -> Callable[[str, int], torch.Generator]:
    """One stream per step and image: what a step draws depends on no other step and no other image."""
    return lambda key, index: torch_stream(seed, "corrupt_images", purpose, key, index)
