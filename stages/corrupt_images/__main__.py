"""Corrupt the images: read, draw severities, apply the recipe, write."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from matplotlib.figure import Figure

from failure_atlas.core.arrays import NamedArray, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.corruptions.corruptions import corrupt_split, open_streams
from failure_atlas.corruptions.registry import Step, choose_steps, refuse_channels
from failure_atlas.drawing.images import draw_samples
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import ImageSet, Severities, Split
from stages.common.artefacts.images import named_arrays, named_severities, named_steps, read_class_names, read_images
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.image_params import CorruptImagesParams
from stages.common.params import load_section
from stages.corrupt_images.figures import draw_severities_grid

Drawing = tuple[Figure, pd.DataFrame]
PANELS = 3
SPLITS: tuple[Split, Split] = ("train", "test")


def main(
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Leave one half of the images clean; apply the recipe to the other half (the paper: blur, then noise).

    Each step has a severity of its own, drawn per image. Train and test are treated apart, the order of the images
    stays, and each image's severities are written beside it.
    """
    section = load_section(params, CorruptImagesParams, "corrupt_images")
    require(images, "prepare_images")
    steps = choose_steps(section.recipe, section.table)
    arrays: dict[str, NamedArray] = {}
    metrics: dict[str, Any] = {}
    for split in SPLITS:
        clean = read_images(images, split)
        try:
            refuse_channels(steps, clean.images.shape[1])
        except ValueError as error:
            raise StageError(f"{images}: corrupt_images.recipe: {error}") from error
        corrupted, severities = corrupt_split(
            clean, split, steps, seed=section.seed, clean_fraction=section.clean_fraction, severities=section.severities
        )
        arrays |= named_arrays(split, corrupted) | named_severities(split, severities)
        metrics |= _measure(split, clean, corrupted, severities)
        logging.info("%s: %s of %s images left clean", split, f"{severities.clean.sum():,}", f"{len(clean.labels):,}")
        if split == "train":
            samples = _draw_samples(corrupted, severities, read_class_names(images))
            grid = _draw_severities(clean, section, steps)

    write_arrays(out / "images.zarr", arrays, read_attributes(images) | named_steps(list(severities.by_step)))
    for name, (figure, table) in {"samples": samples, "severities": grid}.items():
        save_figure(figure, out / "figures" / f"{name}.png", table)
    write_json(out / "metrics.json", metrics)


def _measure(split: Split, clean: ImageSet, corrupted: ImageSet, severities: Severities) -> dict[str, Any]:
    """Counts per severity, and how far the corrupted images moved, in grey levels of 255."""
    moved = ~severities.clean
    change = np.abs(corrupted.images[moved].astype(np.int16) - clean.images[moved])
    return {
        f"{split}_clean_images": int(severities.clean.sum()),
        f"{split}_corrupted_images": int(moved.sum()),
        **{f"{split}_images_per_{step}_severity": _count(drawn) for step, drawn in severities.by_step.items()},
        f"{split}_mean_change_grey_levels": float(change.mean()) if change.size else 0.0,
    }


def _count(severity: np.ndarray) -> dict[str, int]:
    values, counts = np.unique(severity[severity > 0], return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}


def _draw_samples(corrupted: ImageSet, severities: Severities, class_names: Sequence[str]) -> Drawing:
    figure, table = draw_samples(corrupted, class_names, "corrupted training images by class")
    shown = table["sample"]
    return figure, table.assign(**{f"{step}_severity": drawn[shown] for step, drawn in severities.by_step.items()})


def _draw_severities(clean: ImageSet, section: CorruptImagesParams, steps: list[Step]) -> Drawing:
    firsts = np.unique(clean.labels, return_index=True)[1][:PANELS]
    return draw_severities_grid(clean.images[firsts], section.severities, steps, open_streams(section.seed, "figure"))


if __name__ == "__main__":
    run_stage(main, "corrupt_images")
