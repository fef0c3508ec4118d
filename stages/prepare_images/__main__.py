"""Prepare the images: read, check, split, frame, write."""

import logging
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from stages.common.arrays import write_arrays
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.figures import save_figure
from stages.common.files import write_json
from stages.common.params import load_section
from stages.prepare_images.figures import draw_samples
from stages.prepare_images.params import PrepareImagesParams
from stages.prepare_images.sources import (
    DIGITS,
    IDX_SOURCES,
    drop_mnist_5k,
    fetch_idx,
    load_idx,
    load_mnist_5k,
    pad_images,
)
from stages.prepare_images.store import ImageSet, named_arrays

FOLDER_VARIABLE = "MNIST_DIR"


def main(
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    downloads: Annotated[
        Path,
        typer.Option(help="Folder that keeps downloaded files; used by mnist and fashion-mnist without MNIST_DIR."),
    ] = Path(".downloads"),
) -> None:
    """Bring the data set into one form: uint8 images [N, 1, 32, 32] and labels, train and test, in Zarr.

    The sources mnist and fashion-mnist read the folder named in the environment variable MNIST_DIR, or else download.
    """
    section = load_section(params, PrepareImagesParams, "prepare_images")
    train, test, class_names = _load(section, downloads)
    train, test = (ImageSet(pad_images(part.images, section.size_px), part.labels) for part in (train, test))
    logging.info(
        "%s: %s training and %s test images", section.source, f"{len(train.labels):,}", f"{len(test.labels):,}"
    )

    attributes = {"source": section.source, "class_names": list(class_names)}
    write_arrays(out / "images.zarr", named_arrays("train", train) | named_arrays("test", test), attributes)
    figure, table = draw_samples(train, class_names, f"{section.source}: training images by class")
    save_figure(figure, out / "figures" / "samples.png", table)
    write_json(
        out / "metrics.json",
        {
            "train_images": len(train.labels),
            "test_images": len(test.labels),
            "train_images_per_class": _count(train, class_names),
            "test_images_per_class": _count(test, class_names),
        },
    )


def _load(section: PrepareImagesParams, downloads: Path) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    if section.source == "mnist-5k":
        return *load_mnist_5k(section.seed, section.test_fraction), DIGITS
    source = IDX_SOURCES[section.source]
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    train, test = load_idx(source, Path(folder) if folder else fetch_idx(source, downloads))
    return drop_mnist_5k(train) if section.leave_out_mnist_5k else train, test, source.class_names


def _count(part: ImageSet, class_names: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(class_names, np.bincount(part.labels, minlength=len(class_names)).tolist(), strict=True))


if __name__ == "__main__":
    run_stage(main, "prepare_images")
