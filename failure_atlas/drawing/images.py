"""Samples of each class, so that a person sees what the study is about; a few images side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from failure_atlas.core.files import replacing
from failure_atlas.drawing.style import new_figure, shorten, show_image, tile
from failure_atlas.images.image_set import ImageSet

SAMPLES_PER_CLASS = 12
MOST_ROWS = 43  # as many classes as the published set with the most of them has
LONGEST_LABEL = 24  # characters


def draw_samples(part: ImageSet, class_names: Sequence[str], title: str) -> tuple[Figure, pd.DataFrame]:
    """One row of samples for each of the first 43 classes; the table says which sample stands where.

    They are the first of the class, or spread over it where neighbours are of one track and so nearly copies.
    """
    shown = class_names[:MOST_ROWS]
    rows = [np.flatnonzero(part.labels == label) for label in range(len(shown))]
    if part.tracks is not None:
        rows = [own[:: max(1, len(own) // SAMPLES_PER_CLASS)] for own in rows]
    rows = [own[:SAMPLES_PER_CLASS] for own in rows]
    size = part.images.shape[-1] + 1
    sheet = np.zeros((len(rows) * SAMPLES_PER_CLASS, *part.images.shape[1:]), np.uint8)
    for row, indices in enumerate(rows):
        sheet[row * SAMPLES_PER_CLASS :][: len(indices)] = part.images[indices]
    # Larger images would lose pixels, and more classes their names, in the figure that does for ten of 32 px.
    scale = min(3.2, part.images.shape[-1] / 32)
    figure, grid = new_figure(1, 1, width=5.2 * scale, height=0.4 + 0.42 * max(4, len(rows)) * scale)
    axes = grid[0, 0]
    left_out = f" (the first {len(shown)} of {len(class_names)})" if len(shown) < len(class_names) else ""
    show_image(axes, tile(sheet, SAMPLES_PER_CLASS), title + left_out)
    axes.set_axis_on()
    axes.grid(visible=False)
    axes.set_frame_on(False)
    axes.set_xticks([])
    axes.set_yticks((np.arange(len(rows)) + 0.5) * size, [shorten(name, LONGEST_LABEL) for name in shown])
    axes.tick_params(length=0)
    table = pd.DataFrame(
        [
            (row, column, class_names[row], index)
            for row, indices in enumerate(rows)
            for column, index in enumerate(indices)
        ],
        columns=["row", "column", "class", "sample"],
    )
    return figure, table


def write_panels(path: Path, panels: Sequence[tuple[np.ndarray, str]], title: str) -> None:
    """Draw images [C, H, W] uint8 side by side, each with the text above it, as PNG."""
    figure, axes = new_figure(1, len(panels), width=2.3 * len(panels), height=3.2)
    for ax, (image, text) in zip(axes[0], panels, strict=True):
        show_image(ax, image, text)
    figure.suptitle(title, fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    plt.close(figure)
