"""One split of a data set, corrupted as the params say."""

from collections.abc import Callable

import torch

from stages.common.progress import Progress
from stages.common.seeds import numpy_stream, torch_stream
from stages.corrupt_images.corruptions import corrupt, draw_severities
from stages.corrupt_images.params import CorruptImagesParams
from stages.corrupt_images.registry import Step
from stages.corrupt_images.store import Severities
from stages.prepare_images.store import ImageSet


def corrupt_split(
    clean: ImageSet, split: str, section: CorruptImagesParams, steps: list[Step]
) -> tuple[ImageSet, Severities]:
    """The images after the recipe, and the severities drawn for them; split: names the random streams."""
    stream = numpy_stream(section.seed, "corrupt_images", split, "severities")
    drawn = draw_severities(len(clean.labels), section.clean_fraction, section.severities, stream, steps=len(steps))
    severities = Severities({step.key: severity for step, severity in zip(steps, drawn, strict=True)})
    streams = open_streams(section.seed, split)
    with Progress(f"corrupting {split}", int((~severities.clean).sum()), "img") as progress:
        images = corrupt(clean.images, drawn, steps, streams, advance=progress.advance)
    return ImageSet(images, clean.labels), severities


def open_streams(seed: int, purpose: str) -> Callable[[str, int], torch.Generator]:
    """One stream per step and image: what a step draws depends on no other step and no other image."""
    return lambda key, index: torch_stream(seed, "corrupt_images", purpose, key, index)
