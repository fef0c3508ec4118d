"""Real images beside their reconstructions, and the errors by severity."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from failure_atlas.drawing.style import CLASS_COLORS, new_figure, save_figure, show_image, tile
from failure_atlas.judges.failures import AUDITOR
from stages.invert_images.summary import ERRORS

SHOWN, COLUMNS = 60, 10
TITLES = {
    "rmse": "RMSE of all pixels",
    "structure_rmse": "RMSE after smoothing",
    "noise_error": "noise, error",
    "edge_error": "flank, error in px",
}


def write_figures(
    folder: Path, images: np.ndarray, made: np.ndarray, table: pd.DataFrame, by_severity: pd.DataFrame
) -> None:
    """Draw `reconstructions` and `errors`, each with its table."""
    rows = np.flatnonzero(table["sample"])[:SHOWN]
    sheet = table.loc[rows, ["index", "class", f"{AUDITOR}_real", f"{AUDITOR}_reconstruction", *ERRORS, "usable"]]
    save_figure(
        draw_pairs(np.concatenate([images[rows], made[rows]], axis=2), sheet), folder / "reconstructions.png", sheet
    )
    save_figure(draw_errors(by_severity), folder / "errors.png", by_severity)


def draw_pairs(pairs: np.ndarray, table: pd.DataFrame) -> Figure:
    """Each real image above its reconstruction; pairs: uint8 [K, C, 2 H, W]."""
    height, width = pairs.shape[2:]
    rows = -(-len(pairs) // COLUMNS)
    inches = min(len(pairs), COLUMNS) * (width + 3) * 0.021 + 0.4, rows * (height + 3) * 0.021 + 0.6
    figure, axes = new_figure(1, 1, width=max(inches[0], 4.5), height=inches[1])
    show_image(axes[0, 0], tile(pairs, min(len(pairs), COLUMNS), 3))
    lost = int((~table["usable"]).sum())
    figure.suptitle(
        f"real images at random, each above its reconstruction ({lost} of {len(table)} not usable)", fontsize=9
    )
    return figure


def draw_errors(table: pd.DataFrame) -> Figure:
    """One panel per error: its mean with 95 % interval, of all images, of clean ones, and at each severity."""
    figure, axes = new_figure(1, len(ERRORS), width=2.7 * len(ERRORS), height=3.3)
    labels = [f"{row['step']} {row['severity'] or ''}".strip() + f"\nn={row['n']}" for row in table.to_dict("records")]
    colors = {step: CLASS_COLORS[place % len(CLASS_COLORS)] for place, step in enumerate(dict.fromkeys(table["step"]))}
    for name, ax in zip(ERRORS, axes[0], strict=True):
        for place, row in enumerate(table.to_dict("records")):
            reach = [[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]]
            ax.errorbar([row[name]], [place], xerr=reach, fmt="o", color=colors[row["step"]], markersize=4)
        if name.endswith("_error"):
            ax.axvline(0, color="black", linewidth=0.8)
        else:
            ax.set_xlim(left=0)
        ax.set_title(TITLES[name])
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_yticks(range(len(table)), labels if ax is axes[0, 0] else [""] * len(table), fontsize=7)
        ax.invert_yaxis()
    figure.suptitle("reconstruction against real image; an error is what the reconstruction has more", fontsize=9)
    return figure
