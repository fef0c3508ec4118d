"""One look for all figures, and a CSV beside each so that its numbers can be checked."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, LogFormatterMathtext

from failure_atlas.core.files import replacing, write_csv

matplotlib.rcdefaults()  # whatever matplotlibrc the user has: a figure's bytes are results
WELL_COLOR, MIS_COLOR, RANDOM_COLOR = "#2166ac", "#b2182b", "#777777"
CLASS_COLORS = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]
plt.rc("figure", **{"dpi": 100, "constrained_layout.use": True})
plt.rc("savefig", dpi=100)
plt.rc("font", size=9)
plt.rc("axes", **{"titlesize": 9, "spines.top": False, "spines.right": False, "grid": True})
plt.rc("grid", alpha=0.25)
plt.rc("legend", frameon=False)
plt.rc("text", parse_math=False)  # a dollar sign in the name of a class is a dollar sign


def new_figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure with a [rows, columns] grid of axes; width, height in inches."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    return figure, axes


def save_figure(figure: Figure, path: Path, table: pd.DataFrame) -> None:
    """Write the figure as PNG and its numbers as CSV of the same name; no dates in either."""
    _label_logarithmic_axes(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    plt.close(figure)
    write_csv(path.with_suffix(".csv"), table)


class _PlainNumbers(LogFormatter):
    """0.1 and not a power of ten, which would be mathematics to be parsed."""

    def _num_to_string(self, x: float, _low: float, _high: float) -> str:
        return f"{x:g}"


def _label_logarithmic_axes(figure: Figure) -> None:
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter(_PlainNumbers())
                axis.set_minor_formatter(_PlainNumbers())


def shorten(name: str, characters: int = 20) -> str:
    """The name of a class as captions bear it: a longer one loses its middle, for its end may tell it from others."""
    if name.startswith("_"):  # legends leave such names out
        name = f"\N{HAIR SPACE}{name}"
    if len(name) <= characters:
        return name
    head = characters * 2 // 3
    return f"{name[:head]}\N{HORIZONTAL ELLIPSIS}{name[head - characters + 1 :]}"


def show_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Draw one grey [1, H, W] or colour [3, H, W] image, values in [0, 1] or uint8, without axes."""
    pixels = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image[0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1, interpolation="nearest")
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=7, pad=2)


def tile(images: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Lay [N, C, H, W] images out as one [C, rows*(H+gap)-gap, columns*(W+gap)-gap] sheet, row by row; gaps are white.

    A sheet is one picture, so a hundred samples draw in milliseconds instead of a hundred axes in seconds.
    """
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    white = 255 if images.dtype == np.uint8 else 1
    sheet = np.full((channels, rows * (height + gap) - gap, columns * (width + gap) - gap), white, images.dtype)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet
