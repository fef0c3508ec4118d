"""What each severity does to an image."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from stages.common.figures import new_figure, show_image, tile
from stages.corrupt_images.corruptions import Table, corrupt


def draw_severities_grid(
    images: np.ndarray, severities: Sequence[int], table: Table, noise_stream: Callable[[int], torch.Generator]
) -> tuple[Figure, pd.DataFrame]:
    """One panel per image [N, C, H, W]: rows are blur severities, columns noise severities, from none to the worst.

    The table holds the mean change of each cell, in grey levels of 255.
    """
    levels = [0, *sorted(severities)]
    cells = list(product(levels, levels))
    blur, noise = (np.array(axis, np.uint8) for axis in zip(*cells, strict=True))
    side = 0.65 * len(levels)  # inches, so that the labels do not touch
    figure, grid = new_figure(1, len(images), width=side * len(images), height=side + 0.3)
    rows = []
    for number, (image, axes) in enumerate(zip(images, grid[0], strict=True)):
        copies = np.repeat(image[None], len(cells), axis=0)
        changed = corrupt(copies, blur, noise, table, noise_stream)
        size = image.shape[-1] + 1
        ticks = (np.arange(len(levels)) + 0.5) * size - 1
        show_image(axes, tile(changed, len(levels)))
        axes.set_axis_on()
        axes.grid(visible=False)
        axes.set_frame_on(False)
        axes.tick_params(length=0, labelsize=7)
        axes.set_xticks(ticks, [_label(level, table.noise_std) for level in levels])
        axes.set_yticks(ticks, [_label(level, table.blur_std_px) for level in levels] if number == 0 else [])
        axes.set_xlabel("noise: severity (std)")
        if number == 0:
            axes.set_ylabel("blur: severity (std, px)")
        change = np.abs(changed.astype(float) - copies).mean(axis=(1, 2, 3))
        rows += [(number, *cell, value) for cell, value in zip(cells, change, strict=True)]
    return figure, pd.DataFrame(rows, columns=["panel", "blur_severity", "noise_severity", "mean_change_grey_levels"])


def _label(severity: int, stds: Sequence[float]) -> str:
    return f"{severity} ({stds[severity - 1]:g})" if severity else "none"
