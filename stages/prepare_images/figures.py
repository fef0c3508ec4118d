"""Samples of each class, so that a person sees what the study is about."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.common.figures import new_figure, show_image, tile
from stages.prepare_images.store import ImageSet

SAMPLES_PER_CLASS = 12


def draw_samples(part: ImageSet, class_names: Sequence[str], title: str) -> tuple[Figure, pd.DataFrame]:
    """One row of samples per class; the table says which sample stands where."""
    rows = [np.flatnonzero(part.labels == label)[:SAMPLES_PER_CLASS] for label in range(len(class_names))]
    size = part.images.shape[-1] + 1
    sheet = np.zeros((len(rows) * SAMPLES_PER_CLASS, *part.images.shape[1:]), np.uint8)
    for row, indices in enumerate(rows):
        sheet[row * SAMPLES_PER_CLASS :][: len(indices)] = part.images[indices]
    figure, grid = new_figure(1, 1, width=5.2, height=4.6)
    axes = grid[0, 0]
    show_image(axes, tile(sheet, SAMPLES_PER_CLASS), title)
    axes.set_axis_on()
    axes.grid(visible=False)
    axes.set_frame_on(False)
    axes.set_xticks([])
    axes.set_yticks((np.arange(len(rows)) + 0.5) * size, class_names)
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
