"""Figure 2, real corrupted images above generated ones; shares of both side by side; suspected copies.

And what the training of the generator left: samples of each class, and its course.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure, save_figure, show_image, tile
from failure_atlas.quality.copies import Nearest
from failure_atlas.quality.grey import EDGES, GENERATED, TEST, TRAINING, Kinds, average

MOST_LEVEL_NAMES = 12  # below an axis; more are turned upright
ROWS_PER_CLASS = 4
NEAREST_SHOWN = 16
SHEET_COLUMNS = 16
LARGEST_GAP_KIMG = 10  # between rows of a log that a line joins


def choose_examples(labels: np.ndarray, classes: int, rows: int = ROWS_PER_CLASS) -> np.ndarray:
    """Indices of samples for a sheet with one column per class, row by row: int64 [rows * classes].

    The first `rows` samples of each class; fewer rows where a class has fewer samples.
    """
    found = [np.flatnonzero(labels == label) for label in range(classes)]
    rows = min(rows, *(len(indices) for indices in found))
    return np.stack([indices[:rows] for indices in found], axis=1).ravel()


def draw_real_above_generated(
    path: Path,
    names: Sequence[str],
    real: tuple[np.ndarray, np.ndarray, np.ndarray],
    generated: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Two sheets with one column per class.

    real, generated: images [N, C, H, W], uint8 or in [0, 1], their classes and what the judge sees in them, int64 [N].
    """
    figure, axes = new_figure(2, 1, width=0.55 * len(names) + 0.4, height=0.55 * 2 * ROWS_PER_CLASS + 0.6)
    tables = []
    for ax, (images, labels, seen), title in zip(
        axes[:, 0], (real, generated), ("real, corrupted", "generated"), strict=True
    ):
        chosen = choose_examples(labels, len(names))
        show_image(ax, tile(images[chosen], len(names)), title)
        places = np.arange(len(chosen))
        table = {"source": title.split(",")[0], "row": places // len(names), "column": places % len(names)}
        table |= {"index": chosen}
        table |= {key: [names[label] for label in each[chosen]] for key, each in (("class", labels), ("judged", seen))}
        tables.append(pd.DataFrame(table))
    save_figure(figure, path, pd.concat(tables))


def draw_shares(path: Path, shares: Mapping[str, Mapping[str, dict[str, Any]]], xlabel: str, ylabel: str) -> None:
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
    crowded = len(names) > MOST_LEVEL_NAMES
    figure, axes = new_figure(
        1, 1, width=1.6 + (0.22 if crowded else 0.55) * len(names), height=4.4 if crowded else 3.2
    )
    ax = axes[0, 0]
    for offset, (source, color) in zip((-0.12, 0.12), (("real", WELL_COLOR), ("generated", MIS_COLOR)), strict=True):
        part = table[table["source"] == source]
        # A bound may pass the share by a rounding error; a bar cannot have a negative length.
        errors = np.clip([part["share"] - part["low"], part["high"] - part["share"]], 0, None)
        places = np.arange(len(part)) + offset
        ax.errorbar(places, part["share"], errors, fmt="o", color=color, label=source, markersize=4, capsize=2)
    ax.set(xticks=np.arange(len(names)), xlabel=xlabel, ylabel=ylabel)
    ax.set_xticklabels([name.replace("_", "\n") for name in names], rotation=90 if crowded else 0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    save_figure(figure, path, table)


def draw_extractors(path: Path, kernels: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Kernel distances of generated and of real training images to test images; a panel an extractor, 95 % intervals.

    kernels: extractor -> `generated` and `real` -> {value, low, high, n}, of `compare_kernels`.
    """
    figure, axes = new_figure(1, len(kernels), width=0.6 + 1.8 * len(kernels), height=2.8)
    rows = []
    for ax, (name, sources) in zip(axes[0], kernels.items(), strict=True):
        for place, (source, color) in enumerate((("real", WELL_COLOR), ("generated", MIS_COLOR))):
            found = sources[source]
            errors = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
            ax.errorbar([place], [found["value"]], errors, fmt="o", color=color, capsize=3)
            rows.append(
                {"extractor": name, "source": source, "kernel_distance": found["value"]}
                | {key: found[key] for key in ("low", "high", "n")}
            )
        ax.axhline(0, color="grey", linewidth=0.8)
        ax.set(title=name, xticks=[0, 1], xlim=(-0.5, 1.5))
        ax.set_xticklabels(["real", "generated"])
    axes[0, 0].set_ylabel("kernel distance x 1,000")
    save_figure(figure, path, pd.DataFrame(rows))


def draw_greys(path: Path, greys: Kinds) -> None:
    """The histogram of grey values of each source, one panel a kind, with 95 % intervals over images.

    greys: kind -> source -> [N, bins] of `share_greys`.
    """
    names = [str(low) if high - low == 1 else f"{low}-{high - 1}" for low, high in pairwise(EDGES)]
    places = np.arange(len(names))
    figure, axes = new_figure(1, len(greys), width=0.6 + 4.2 * len(greys), height=3.2)
    rows: list[dict[str, Any]] = []
    colors = {GENERATED: MIS_COLOR, TEST: WELL_COLOR, TRAINING: RANDOM_COLOR}
    for ax, (kind, sources) in zip(axes[0], greys.items(), strict=True):
        for offset, (source, shares) in zip((-0.2, 0, 0.2), sources.items(), strict=True):
            found = [average(column) for column in shares.T]
            told = [
                {"share" if key == "value" else key: part for key, part in each.as_dict().items()} for each in found
            ]
            rows += [{"kind": kind, "source": source, "grey": n} | each for n, each in zip(names, told, strict=True)]
            value, low, high = (np.array([getattr(each, part) for each in found]) for part in ("value", "low", "high"))
            label = f"{source} (n = {len(shares):,})"
            ax.errorbar(places + offset, value, [value - low, high - value], fmt=".", color=colors[source], label=label)
        ax.set(title=kind, yscale="log", xlabel="grey value", ylabel="share of pixels", xticks=places)
        ax.set_xticklabels(names, rotation=90)
        ax.legend()
    save_figure(figure, path, pd.DataFrame(rows))


def draw_nearest(path: Path, generated: np.ndarray, train: np.ndarray, nearest: Nearest) -> None:
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
    save_figure(figure, path, table)


def draw_sample_sheet(path: Path, images: np.ndarray, class_names: Sequence[str], kimg: float | None) -> None:
    """Sixteen samples of each class, [classes * 16, C, H, W], one class a row; the CSV names the rows.

    kimg: thousand images seen in training; None where nobody knows.
    """
    figure, axes = new_figure(1, 1, width=5.6, height=0.35 * len(class_names) + 0.4)
    show_image(
        axes[0, 0],
        tile(images, SHEET_COLUMNS),
        "generated, one class a row" + ("" if kimg is None else f", after {kimg:g} kimg"),
    )
    rows = {"row": range(len(class_names)), "class": class_names, "kimg": kimg, "n": SHEET_COLUMNS}
    save_figure(figure, path, pd.DataFrame(rows))


def draw_training_log(path: Path, log: pd.DataFrame) -> None:
    """Draw losses, the discriminator's scores, and the overfitting signal with the augmentation it called for.

    Where the log has a gap, as of a training that was led by other means for a while, so have the lines. Of an empty
    log, that of a generator that was brought, nothing is drawn.
    """
    if log.empty:
        return
    shown = log.where(log["kimg"].diff().fillna(0) <= LARGEST_GAP_KIMG)
    figure, axes = new_figure(1, 3, width=10, height=2.8)
    panels = [
        (
            "losses",
            {"discriminator_loss": "discriminator", "generator_loss": "generator", "critic_loss": "feature critic"},
        ),
        ("mean score of the discriminator", {"real_logit": "real", "fake_logit": "generated"}),
        ("overfitting signal", {"real_sign": "mean sign of D(real)", "augmentation_probability": "augmentation p"}),
    ]
    for panel, (title, columns) in zip(axes[0], panels, strict=True):
        for column, label in columns.items():
            if column in log:
                panel.plot(shown["kimg"], shown[column], label=label, linewidth=1)
        panel.set_title(title)
        panel.set_xlabel("thousand images seen")
        panel.legend()
    save_figure(figure, path, log)
