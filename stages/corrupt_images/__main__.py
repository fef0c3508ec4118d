"""Corrupt the images: read, draw severities, apply the recipe, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from failure_atlas.core.arrays import NamedArray, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.corruptions.corruptions import corrupt_split, open_streams
from failure_atlas.corruptions.registry import choose_steps, refuse_channels
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import ImageSet, Severities, Split
from stages.common.artefacts.images import named_arrays, named_severities, named_steps, read_class_names, read_images
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.image_params import CorruptImagesParams
from stages.common.params import load_section
from stages.corrupt_images.figures import draw_corrupted, draw_severities_grid

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
    originals = {split: read_images(images, split) for split in SPLITS}
    try:
        refuse_channels(steps, originals["train"].images.shape[1])
    except ValueError as error:
        raise StageError(f"{images}: corrupt_images.recipe: {error}") from error
    arrays: dict[str, NamedArray] = {}
    metrics: dict[str, Any] = {}
    for split, clean in originals.items():
        corrupted, severities = corrupt_split(
            clean, split, steps, seed=section.seed, clean_fraction=section.clean_fraction, severities=section.severities
        )
        arrays |= named_arrays(split, corrupted) | named_severities(split, severities)
        metrics |= _measure(split, clean, corrupted, severities)
        logging.info("%s: %s of %s images left clean", split, f"{severities.clean.sum():,}", f"{len(clean.labels):,}")
        if split == "train":
            firsts = clean.images[np.unique(clean.labels, return_index=True)[1][:PANELS]]
            streams = open_streams(section.seed, "figure")
            figures = {
                "samples": draw_corrupted(corrupted, severities, read_class_names(images)),
                "severities": draw_severities_grid(firsts, section.severities, steps, streams),
            }

    write_arrays(out / "images.zarr", arrays, read_attributes(images) | named_steps(list(severities.by_step)))
    for name, (figure, table) in figures.items():
        save_figure(figure, out / "figures" / f"{name}.png", table)
    write_json(out / "metrics.json", metrics)


def _measure(split: Split, clean: ImageSet, corrupted: ImageSet, severities: Severities) -> dict[str, Any]:
    """Counts per severity, and how far the corrupted images moved, in grey levels of 255."""
    moved = ~severities.clean
    change = np.abs(corrupted.images[moved].astype(np.int16) - clean.images[moved])
    return {
        f"{split}_clean_images": int(severities.clean.sum()),
        f"{split}_corrupted_images": int(moved.sum()),
        **{
            f"{split}_images_per_{step}_severity": {
                str(level): int(count) for level, count in enumerate(np.bincount(drawn)) if level and count
            }
            for step, drawn in severities.by_step.items()
        },
        f"{split}_mean_change_grey_levels": float(change.mean()) if change.size else 0.0,
    }


if __name__ == "__main__":
    run_stage(main, "corrupt_images")
