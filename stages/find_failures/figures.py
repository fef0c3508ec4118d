"""Failures beside the images they start from, and the distance to failure as a curve."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, MIS_COLOR, new_figure, save_figure, shorten, show_image, tile
from failure_atlas.judges.failures import ALL
from failure_atlas.statistics.survival import estimate_survival
from stages.find_failures.attempts import DRAWN
from stages.find_failures.examination import Examined
from stages.find_failures.summary import read_distances

SHOWN, COLUMNS, REAL_COLUMNS = 50, 5, 4
LINE_PX = 9  # room for a line of text above a pair, in image pixels
INCHES_PER_PX = 0.018
LETTERS, LINE_LETTERS = 5, 15  # of class names above a pair: of two in one line, and of one where any is longer
ARROW = "\N{RIGHTWARDS ARROW}"
SHEET = ["class", "predicted_class", "distance_std", "image_distance", "judge_probability", "auditor_probability",
         "auditor_confirms", "readable", "far_out"]  # fmt: skip


def write_figures(
    folder: Path, walked: Examined, starts: pd.DataFrame, class_names: Sequence[str], farthest_std: float
) -> None:
    """Draw `failures` and `distance`, each with its table."""
    drawn = (starts["start"] == DRAWN).to_numpy()[walked.attempt.row] & walked.table["distinct"].to_numpy(bool)
    rows = _choose(walked.table[drawn], class_names)
    if len(rows):
        sheet = walked.table.loc[rows, SHEET]
        pairs = np.concatenate([walked.start_images[rows], walked.images[rows]], axis=3)
        title = f"start, and its nearest true failure: meant {ARROW} classifier's class"
        save_figure(draw_pairs(pairs, sheet, title), folder / "failures.png", sheet)
    table = tabulate_survival(starts, class_names, farthest_std)
    save_figure(draw_survival(table), folder / "distance.png", table)


def write_real(folder: Path, walked: Examined, pictures: np.ndarray) -> None:
    """Draw `real_images`: real images, their reconstructions and nearest true failures, with the table.

    walked: of the walks from them.  pictures: uint8 [S, C, H, W], where these walks began.
    """
    rows = np.arange(len(walked.table))[:SHOWN]
    if len(rows):
        sheet = walked.table.loc[rows, SHEET]
        begun = pictures[walked.attempt.row[rows]]
        triples = np.concatenate([begun, walked.start_images[rows], walked.images[rows]], axis=3)
        title = f"real image, reconstruction, nearest true failure: meant {ARROW} classifier's class"
        save_figure(draw_pairs(triples, sheet, title, REAL_COLUMNS), folder / "real_images.png", sheet)


def _choose(table: pd.DataFrame, class_names: Sequence[str]) -> np.ndarray:
    """Equally many of each class, 50 in all at most: the first in the order of the starts, which is random."""
    most = max(1, SHOWN // len(class_names))
    rows = [table.index[table["class"] == name][:most] for name in class_names]
    return np.concatenate(rows)[:SHOWN]


def draw_pairs(pairs: np.ndarray, table: pd.DataFrame, title: str, columns: int = COLUMNS) -> Figure:
    """Each start beside its nearest true failure; above, what was meant, what the classifier says, and how far.

    pairs: uint8 [K, C, H, 2 W], or 3 W.  table: K rows.  Red: the auditor is not sure of the class that was meant.
    """
    height, width = pairs.shape[2:]
    rows = -(-len(pairs) // columns)
    long = table[["class", "predicted_class"]].map(len).to_numpy().max() > LETTERS
    letters, gap = (LINE_LETTERS, 2 * LINE_PX) if long else (LETTERS, LINE_PX)
    padded = np.full((len(pairs), pairs.shape[1], height + gap, width), 255, np.uint8)
    padded[:, :, gap:] = pairs
    inches = columns * (width + 1) * INCHES_PER_PX + 0.2, rows * (height + gap + 1) * INCHES_PER_PX + 0.6
    figure, axes = new_figure(1, 1, width=inches[0], height=inches[1])
    show_image(axes[0, 0], tile(padded, columns))
    for place, row in enumerate(table.to_dict("records")):
        left, top = place % columns * (width + 1), place // columns * (height + gap + 1)
        meant, read = (shorten(row[name], letters) for name in ("class", "predicted_class"))
        color, far = "black" if row["auditor_confirms"] else MIS_COLOR, f"{row['distance_std']:.1f} std"
        told = f"{meant}  {far}\n{ARROW} {read}" if long else f"{meant} {ARROW} {read}  {far}"
        axes[0, 0].text(left + width / 2, top + gap - 1.5, told, ha="center", va="bottom", fontsize=7, color=color)
    figure.suptitle(title, fontsize=9)
    return figure


def tabulate_survival(starts: pd.DataFrame, class_names: Sequence[str], farthest_std: float) -> pd.DataFrame:
    """Share of the starts for which no true failure is found within a distance, over all classes and for each."""
    parts = []
    for name in (ALL, *class_names):
        own = starts if name == ALL else starts[starts["class"] == name]
        curve = estimate_survival(*read_distances(own, farthest_std))
        columns = {"distance_std": curve.distance, "share": curve.share, "low": curve.low, "high": curve.high}
        parts.append(pd.DataFrame({"class": name, **columns, "at_risk": curve.at_risk, "n": curve.n}))
    return pd.concat(parts, ignore_index=True)


def draw_survival(table: pd.DataFrame) -> Figure:
    """The curve of all classes with its 95 % band, and those of the classes."""
    figure, axes = new_figure(1, 1, width=6, height=3.8)
    ax, reached = axes[0, 0], table.loc[table["share"].diff() < 0, "distance_std"]
    for place, (name, own) in enumerate(table.groupby("class", sort=False)):
        whole = name == ALL
        label = f"all (n={own['n'].iloc[0]})" if whole else shorten(str(name))
        color = "black" if whole else CLASS_COLORS[(place - 1) % len(CLASS_COLORS)]
        width = 2.0 if whole else 0.8
        ax.step(own["distance_std"], own["share"], where="post", color=color, linewidth=width, label=label)
        if whole:
            ax.fill_between(
                own["distance_std"], own["low"], own["high"], step="post", color=color, alpha=0.15, linewidth=0
            )
    ax.set(
        xlabel="straight distance from the start in W, in std of the class",
        ylabel="share without a true failure yet",
        title="distance to the nearest true failure found inside the population",
        xlim=(0, 1.1 * reached.max() if len(reached) else None),
        ylim=(0, 1.01),
    )
    if len(table) and table["class"].nunique() <= 2 * len(CLASS_COLORS):
        ax.legend(fontsize=7, ncols=2)
    return figure
