"""Every corruption of the registry at every severity, on one image: what a recipe may be made of."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.registry import (
    CIFAR_C,
    IMAGENET_C,
    MNIST_C,
    REGISTRY,
    TINY_IMAGENET_C,
    choose_steps,
    refuse_channels,
)
from failure_atlas.drawing.style import save_figure
from stages.common.artefacts.images import read_images
from stages.common.command import run_stage
from stages.corrupt_images.figures import Streams, draw_gallery

TABLES = (IMAGENET_C, TINY_IMAGENET_C, CIFAR_C, MNIST_C)


def main(
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    out: Annotated[Path, typer.Option(help="The PNG to write, with a CSV beside it.")],
    table: Annotated[str, typer.Option(help=f"Where an entry has several: {', '.join(TABLES)}.")] = IMAGENET_C,
    index: Annotated[int, typer.Option(help="Which test image to show.")] = 0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 1,
) -> None:
    """Draw a picture of every corruption: one row each, the image as it is and at severity 1 to 5.

    What has no meaning on the image, or no severities in the table, is left out and named.
    """
    if table not in TABLES:
        raise StageError(f"--table: got {table!r}; allowed: {', '.join(TABLES)}")
    if out.suffix != ".png":
        raise StageError(f"--out: got {out}; allowed: the name of a .png file")
    held = read_images(require(images, "prepare_images"), "test").images
    if not 0 <= index < len(held):
        raise StageError(f"--index: got {index}; allowed: 0 to {len(held) - 1}, the test images of {images}")
    steps = []
    for name in REGISTRY:
        try:
            chosen = choose_steps([name], table)
            refuse_channels(chosen, held.shape[1])
        except ValueError as error:
            logging.info("left out: %s", str(error).split(";")[0])
        else:
            steps += chosen
    with Progress("gallery", len(steps), "corruptions") as progress:
        figure, rows = draw_gallery(held[index], steps, _streams(seed))
        progress.advance(len(steps))
    save_figure(figure, out, rows)


def _streams(seed: int) -> Streams:
    """The same draws at every severity of one corruption, so that only the severity changes along a row."""
    return lambda key, _index: torch_stream(seed, "corrupt_images", "gallery", key)


if __name__ == "__main__":
    run_stage(main, "corrupt_images.gallery")
