"""Figure 2, real corrupted images above generated ones; shares of both side by side; suspected copies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import MIS_COLOR, WELL_COLOR, new_figure, show_image, tile
from stages.qualify_generator.copies import Nearest

ROWS_PER_CLASS = 4
NEAREST_SHOWN = 16


def choose_examples(labels: np.ndarray, classes: int, rows: int = ROWS_PER_CLASS) -> np.ndarray:
    """Indices of samples for a sheet with one column per class, row by row: int64 [rows * classes].

    The first `rows` samples of each class; fewer rows where a class has fewer samples.
    """
    found = [np.flatnonzero(labels == label) for label in range(classes)]
    rows = min(rows, *(len(indices) for indices in found))
    return np.stack([indices[:rows] for indices in found], axis=1).ravel()


def draw_real_above_generated(real: np.ndarray, generated: np.ndarray, columns: int) -> Figure:
    """Two sheets of images [N, C, H, W] with one column per class, uint8 or in [0, 1]."""
    figure, axes = new_figure(2, 1, width=0.55 * columns + 0.4, height=0.55 * 2 * ROWS_PER_CLASS + 0.6)
    for ax, images, title in zip(axes[:, 0], (real, generated), ("real, corrupted", "generated"), strict=True):
        show_image(ax, tile(images, columns), title)
    return figure


def tabulate_examples(
    source: str, chosen: np.ndarray, labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """One row per image of a sheet: where it stands, its index in its set, its class, and the class the judge sees."""
    places = np.arange(len(chosen))
    return pd.DataFrame(
        {
            "source": source,
            "row": places // len(class_names),
            "column": places % len(class_names),
            "index": chosen,
            "class": [class_names[label] for label in labels[chosen]],
            "judged": [class_names[label] for label in predicted[chosen]],
        }
    )


def draw_shares(
    shares: Mapping[str, Mapping[str, dict[str, Any]]], xlabel: str, ylabel: str
) -> tuple[Figure, pd.DataFrame]:
    """Shares on real and on generated images side by side, with 95 % intervals.

    shares: `real` and `generated` -> kind -> {value, low, high, n}.
    """
    rows = [
        {"source": source, xlabel: name, **entry}
        for source, entries in shares.items()
        for name, entry in entries.items()
    ]
    table = pd.DataFrame(rows).rename(columns={"value": "share"})
    names = list(next(iter(shares.values())))
    figure, axes = new_figure(1, 1, width=1.6 + 0.55 * len(names), height=3.2)
    ax = axes[0, 0]
    for offset, (source, color) in zip((-0.12, 0.12), (("real", WELL_COLOR), ("generated", MIS_COLOR)), strict=True):
        part = table[table["source"] == source]
        # A bound may pass the share by a rounding error; a bar cannot have a negative length.
        errors = np.clip([part["share"] - part["low"], part["high"] - part["share"]], 0, None)
        places = np.arange(len(part)) + offset
        ax.errorbar(places, part["share"], errors, fmt="o", color=color, label=source, markersize=4, capsize=2)
    ax.set(xticks=np.arange(len(names)), xlabel=xlabel, ylabel=ylabel)
    ax.set_xticklabels([name.replace("_", "\n") for name in names])
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure, table


def draw_nearest(generated: np.ndarray, train: np.ndarray, nearest: Nearest) -> tuple[Figure, pd.DataFrame]:
    """The generated images that are nearest to a training image, above that image.

    generated: [N, C, H, W] in [0, 1].  train: uint8 [M, C, H, W].
    """
    chosen = np.argsort(nearest.distance, kind="stable")[:NEAREST_SHOWN]
    found = nearest.index[chosen]
    figure, axes = new_figure(2, 1, width=0.55 * len(chosen) + 0.4, height=1.8)
    sheets = (generated[chosen], "generated, nearest to a training image"), (train[found], "that training image")
    for ax, (images, title) in zip(axes[:, 0], sheets, strict=True):
        show_image(ax, tile(images, len(chosen)), title)
    table = pd.DataFrame({"index": chosen, "training_index": found, "distance": nearest.distance[chosen]})
    return figure, table
