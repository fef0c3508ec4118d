"""Corrupt the images: read, draw severities, blur and noise, write."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from matplotlib.figure import Figure

from stages.common.arrays import NamedArray, read_attributes, write_arrays
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.figures import save_figure
from stages.common.files import require, write_json
from stages.common.params import load_section
from stages.common.progress import Progress
from stages.common.seeds import numpy_stream, torch_stream
from stages.corrupt_images.corruptions import TABLES, corrupt, draw_severities
from stages.corrupt_images.figures import draw_severities_grid
from stages.corrupt_images.params import CorruptImagesParams
from stages.corrupt_images.store import Severities, named_severities
from stages.prepare_images.figures import draw_samples
from stages.prepare_images.store import ImageSet, Split, named_arrays, read_class_names, read_images

Drawing = tuple[Figure, pd.DataFrame]
PANELS = 3
SPLITS: tuple[Split, Split] = ("train", "test")


def main(
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Leave one half of the images clean; blur the other half, then add noise, with severities drawn per image.

    Train and test are treated apart, the order of the images stays, and each image's severities are written beside it.
    """
    section = load_section(params, CorruptImagesParams, "corrupt_images")
    require(images, "prepare_images")
    arrays: dict[str, NamedArray] = {}
    metrics: dict[str, Any] = {}
    for split in SPLITS:
        clean = read_images(images, split)
        corrupted, severities = _corrupt_split(clean, split, section)
        arrays |= named_arrays(split, corrupted) | named_severities(split, severities)
        metrics |= _measure(split, clean, corrupted, severities)
        logging.info("%s: %s of %s images left clean", split, f"{severities.clean.sum():,}", f"{len(clean.labels):,}")
        if split == "train":
            samples = _draw_samples(corrupted, severities, read_class_names(images))
            grid = _draw_severities(clean, section)

    write_arrays(out / "images.zarr", arrays, read_attributes(images))
    for name, (figure, table) in {"samples": samples, "severities": grid}.items():
        save_figure(figure, out / "figures" / f"{name}.png", table)
    write_json(out / "metrics.json", metrics)


def _corrupt_split(clean: ImageSet, split: Split, section: CorruptImagesParams) -> tuple[ImageSet, Severities]:
    stream = numpy_stream(section.seed, "corrupt_images", split, "severities")
    blur, noise = draw_severities(len(clean.labels), section.clean_fraction, section.severities, stream)
    severities, streams = Severities(blur, noise), _noise_streams(section.seed, split)
    with Progress(f"corrupting {split}", int((~severities.clean).sum()), "img") as progress:
        images = corrupt(clean.images, blur, noise, TABLES[section.table], streams, advance=progress.advance)
    return ImageSet(images, clean.labels), severities


def _noise_streams(seed: int, purpose: str) -> Callable[[int], torch.Generator]:
    """One stream per image: its noise depends on no other image."""
    return lambda index: torch_stream(seed, "corrupt_images", purpose, "noise", index)


def _measure(split: Split, clean: ImageSet, corrupted: ImageSet, severities: Severities) -> dict[str, Any]:
    """Counts per severity, and how far the corrupted images moved, in grey levels of 255."""
    moved = ~severities.clean
    change = np.abs(corrupted.images[moved].astype(np.int16) - clean.images[moved])
    return {
        f"{split}_clean_images": int(severities.clean.sum()),
        f"{split}_corrupted_images": int(moved.sum()),
        f"{split}_images_per_blur_severity": _count(severities.blur),
        f"{split}_images_per_noise_severity": _count(severities.noise),
        f"{split}_mean_change_grey_levels": float(change.mean()) if change.size else 0.0,
    }


def _count(severity: np.ndarray) -> dict[str, int]:
    values, counts = np.unique(severity[severity > 0], return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}


def _draw_samples(corrupted: ImageSet, severities: Severities, class_names: Sequence[str]) -> Drawing:
    figure, table = draw_samples(corrupted, class_names, "corrupted training images by class")
    shown = table["sample"]
    return figure, table.assign(blur_severity=severities.blur[shown], noise_severity=severities.noise[shown])


def _draw_severities(clean: ImageSet, section: CorruptImagesParams) -> Drawing:
    firsts = np.unique(clean.labels, return_index=True)[1][:PANELS]
    streams = _noise_streams(section.seed, "figure")
    return draw_severities_grid(clean.images[firsts], section.severities, TABLES[section.table], streams)


if __name__ == "__main__":
    run_stage(main, "corrupt_images")
