"""What each severity does to an image: of the recipe, and of every entry of the registry."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.corruptions.corruptions import corrupt
from failure_atlas.corruptions.registry import SEVERITIES, Step
from failure_atlas.drawing.images import draw_samples
from failure_atlas.drawing.style import new_figure, show_image, tile
from failure_atlas.images.image_set import ImageSet, Severities

Streams = Callable[[str, int], torch.Generator]
PAIR = 2  # steps that make a grid
LABEL_LENGTH = 34  # of a line below a panel, in characters
GALLERY_COLUMNS = 2
GALLERY_GAP_PX = 2
GALLERY_PX_INCHES = 0.0145
GALLERY_NAME_INCHES = 1.6


def draw_corrupted(part: ImageSet, severities: Severities, class_names: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Samples of each class; the table has their severities, too."""
    figure, table = draw_samples(part, class_names, "corrupted training images by class")
    drawn = {f"{step}_severity": levels[table["sample"]] for step, levels in severities.by_step.items()}
    return figure, table.assign(**drawn)


def draw_severities_grid(
    images: np.ndarray, severities: Sequence[int], steps: Sequence[Step], streams: Streams
) -> tuple[Figure, pd.DataFrame]:
    """One panel per image [N, C, H, W], from none to the worst severity.

    Two steps: rows are severities of the first, columns of the second. Otherwise one row per step, which shows it
    alone. The table holds the mean change of each cell, in grey levels of 255.
    """
    levels = [0, *sorted(severities)]
    paired = len(steps) == PAIR
    chosen: np.ndarray
    if paired:
        chosen = np.array(list(product(levels, levels)), np.uint8).T
    else:  # one row of cells per step, in which the others are left out
        chosen = np.kron(np.eye(len(steps), dtype=np.uint8), np.array(levels, np.uint8))
    cells = chosen.T.tolist()
    rows = len(cells) // len(levels)
    side = 0.65 * len(levels)  # inches, so that the labels do not touch
    figure, grid = new_figure(1, len(images), width=side * len(images), height=max(0.65 * rows, 0.8) + 0.3)
    changes = []
    for number, (image, axes) in enumerate(zip(images, grid[0], strict=True)):
        copies = np.repeat(image[None], len(cells), axis=0)
        changed = corrupt(copies, chosen, steps, streams)
        _show_sheet(axes, tile(changed, len(levels)), labelsize=7)
        down, across = (steps[0], steps[-1]) if paired else (None, steps[0] if len(steps) == 1 else None)
        names = [_label(level, down) for level in levels] if paired else [_words(step) for step in steps]
        height, width = image.shape[-2:]
        axes.set_xticks((np.arange(len(levels)) + 0.5) * (width + 1) - 1, [_label(level, across) for level in levels])
        axes.set_yticks((np.arange(rows) + 0.5) * (height + 1) - 1, names if number == 0 else [])
        axes.set_xlabel(_head(across, named=paired) if across else "severity")
        if number == 0 and down:
            axes.set_ylabel(_head(down))
        change = _measure_change(changed, copies)
        changes += [(number, *cell, value) for cell, value in zip(cells, change, strict=True)]
    columns = [f"{step.key}_severity" for step in steps]
    return figure, pd.DataFrame(changes, columns=["panel", *columns, "mean_change_grey_levels"])


def draw_gallery(image: np.ndarray, steps: Sequence[Step], streams: Streams) -> tuple[Figure, pd.DataFrame]:
    """Every step alone on one image [C, H, W]: the image, then severity 1 to 5; as many steps in each column of it.

    The table holds table, constants, unit and source of each cell, and its mean change in grey levels of 255.
    """
    levels = range(SEVERITIES + 1)
    per_column = -(-len(steps) // GALLERY_COLUMNS)
    height, width = (size + GALLERY_GAP_PX for size in image.shape[-2:])
    across = GALLERY_COLUMNS * (len(levels) * width * GALLERY_PX_INCHES + GALLERY_NAME_INCHES)
    down = per_column * height * GALLERY_PX_INCHES + 0.6
    figure, grid = new_figure(1, GALLERY_COLUMNS, width=across, height=down)
    tables = []
    for place, axes in enumerate(grid[0]):
        part = steps[place * per_column : (place + 1) * per_column]
        sheet = []
        for step in part:
            copies = np.repeat(image[None], len(levels), axis=0)
            changed = corrupt(copies, np.array([levels], np.uint8), [step], streams)
            sheet.append(changed)
            cells = {
                "corruption": step.corruption.name,
                "table": step.table,
                "severity": levels[1:],
                "constants": [" ".join(f"{value:g}" for value in row) for row in step.rows],
                "unit": step.corruption.unit,
                "mean_change_grey_levels": _measure_change(changed, copies)[1:],
                "n": 1,
                "source": step.corruption.source,
            }
            tables.append(pd.DataFrame(cells))
        blank = np.full(((per_column - len(part)) * len(levels), *image.shape), 255, np.uint8)  # columns of one length
        shown = tile(np.concatenate([*sheet, blank]), len(levels), GALLERY_GAP_PX)
        _show_sheet(axes, shown, labelsize=8, labeltop=True, labelbottom=False)
        axes.set_xticks((np.arange(len(levels)) + 0.5) * width, ["none", *map(str, levels[1:])])
        names = [f"{_words(step, key=False)}\n{step.table}" for step in part]
        axes.set_yticks((np.arange(len(part)) + 0.5) * height, names)
    return figure, pd.concat(tables)


def _show_sheet(axes: Axes, sheet: np.ndarray, **ticks: Any) -> None:
    show_image(axes, sheet)
    axes.set_axis_on()
    axes.grid(visible=False)
    axes.set_frame_on(False)
    axes.tick_params(length=0, **ticks)


def _measure_change(changed: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Mean of each image, in grey levels of 255."""
    return np.asarray(np.abs(changed.astype(float) - images).mean(axis=(1, 2, 3)))


def _words(step: Step, *, key: bool = True) -> str:
    return (step.key if key else step.corruption.name).replace("_", " ")


def _head(step: Step, *, named: bool = True) -> str:
    name = f"{_words(step)}: severity" if named else "severity"
    whole = f"{name} ({step.corruption.unit})" if _is_plain(step) else name
    return whole if len(whole) <= LABEL_LENGTH else whole.replace(" (", "\n(", 1)


def _label(severity: int, step: Step | None) -> str:
    if not severity:
        return "none"
    return f"{severity} ({step.constants(severity)[0]:g})" if step and _is_plain(step) else str(severity)


def _is_plain(step: Step) -> bool:
    """One constant per severity, which has room beside it."""
    return len(step.rows[0]) == 1
