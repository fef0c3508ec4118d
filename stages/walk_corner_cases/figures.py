"""Figures 5 and 7: sheets of images, each with a line of text above it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.common.figures import MIS_COLOR, new_figure, show_image, tile

GAP_PX = 12  # room for the text, in image pixels
INCHES_PER_PX = 0.021
BLACK, GREY = "black", "#777777"
ARROWS = {-1: "\u2193", 1: "\u2191"}


@dataclass(frozen=True)
class Cell:
    """One image [channels, H, W] uint8 of a sheet with the text above it."""

    image: np.ndarray
    title: str
    color: str = BLACK


def draw_sheet(rows: Sequence[Sequence[Cell]], labels: Sequence[str], title: str) -> Figure:
    """Lay rows of cells out on one sheet, a label on the left of each; short rows are filled with white."""
    columns = max(len(row) for row in rows)
    blank = np.full_like(rows[0][0].image, 255)
    images = np.stack([row[place].image if place < len(row) else blank for row in rows for place in range(columns)])
    height, width = images.shape[-2:]
    size = ((width + GAP_PX) * columns + 2 * GAP_PX, (height + GAP_PX) * len(rows) + 2 * GAP_PX)
    figure, axes = new_figure(1, 1, width=size[0] * INCHES_PER_PX, height=size[1] * INCHES_PER_PX)
    show_image(axes[0, 0], tile(images, columns, GAP_PX))
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = index * (height + GAP_PX)
        axes[0, 0].text(-4, top + height / 2, label, ha="right", va="center", fontsize=9)
        for place, cell in enumerate(row):
            middle = place * (width + GAP_PX) + width / 2
            axes[0, 0].text(middle, top - 1.5, cell.title, ha="center", va="bottom", fontsize=7, color=cell.color)
    axes[0, 0].set_title(title, pad=14)
    return figure


def draw_degradation(images: np.ndarray, table: pd.DataFrame, progress: Sequence[float], class_name: str) -> Figure:
    """Figure 5 of the paper: rows are fractions of the shift, columns the walks of one class's mean style.

    images: [P, M, channels, H, W] uint8.  table: P * M rows in that order (see `tabulate_degradation`).
    """
    entries = list(table.itertuples())
    rows = []
    for row in range(len(images)):
        cells = []
        for column, image in enumerate(images[row]):
            entry = entries[row * images.shape[1] + column]
            text = f"{entry.dimension}{ARROWS[entry.direction]} {entry.probability:.2f}"
            cells.append(Cell(image, text, BLACK if entry.reached else MIS_COLOR))
        rows.append(cells)
    title = (
        f"class {class_name}: from the mean style to the end of each walk\n"
        "titles: dimension, direction, true-class softmax; red: never fell to 0.50"
    )
    return draw_sheet(rows, [f"{share:.0%}" for share in progress], title)


def draw_corner_cases(
    start_images: np.ndarray, starts: pd.DataFrame, corner_images: np.ndarray, corner_cases: pd.DataFrame
) -> Figure:
    """Figure 7 of the paper: one row a class, its mean style and then its corner cases.

    start_images: [S, channels, H, W], one per row of `starts`; corner_images: [M, ...], one per row of `corner_cases`.
    Titles give predicted class and shift in std; walks that never fell to 0.50 show their farthest image.
    """
    rows = []
    for start, class_name, image in zip(starts.itertuples(), starts["class"], start_images, strict=True):
        doubt = "" if start.walked else ", no walk"
        cells = [Cell(image, f"mean: {start.predicted_class}, p {start.start_probability:.2f}{doubt}", GREY)]
        own = np.flatnonzero(corner_cases["class"] == class_name)
        for place, case in zip(own, corner_cases.iloc[own].itertuples(), strict=True):
            predicted = str(case.predicted_class)
            if predicted == class_name:  # 0.50 against several others
                predicted += f" ({case.rival_class})"
            far = f"{predicted}, {case.shift_std:.1f} std"
            text = far if case.reached else f"not by {case.shift_std:.0f} std"
            cells.append(Cell(corner_images[place], text, BLACK if case.reached else MIS_COLOR))
        rows.append(cells)
    title = (
        "mean style of each class, then its corner cases\n"
        "titles: predicted class (the next one, if still right), shift; red: never fell to 0.50"
    )
    return draw_sheet(rows, list(starts["class"]), title)
