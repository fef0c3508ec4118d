"""Figures of one classifier or ensemble, each from the table that its training left."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import MIS_COLOR, WELL_COLOR, new_figure, shorten

KINDS = ("test_set", "ensemble")  # the column that tells panels apart
PANEL_COLORS = (WELL_COLOR, MIS_COLOR)
TEST_COLORS = dict(zip(("clean", "corrupted"), PANEL_COLORS, strict=True))
CLASSES_THAT_FIT = 16  # into a confusion matrix of ordinary size
LARGEST_SCALE = 4.0


def draw_learning_curve(table: pd.DataFrame) -> Figure:
    """Loss in training, and accuracy in training and on the two test sets, against images seen."""
    thousands = table["images"] / 1000
    figure, grid = new_figure(1, 2, width=7, height=2.8)
    loss, accuracy = grid[0]
    loss.plot(thousands, table["train_loss"], "o-", color="black", markersize=3)
    loss.set(xlabel="training images seen, thousands", ylabel="cross-entropy", yscale="log", title="training loss")
    accuracy.plot(thousands, table["train_accuracy"], "o-", color="black", markersize=3, label="training")
    for name, color in TEST_COLORS.items():
        values = table[f"{name}_test_accuracy"]
        accuracy.plot(thousands, values, "o-", color=color, markersize=3, label=f"{name} test")
    accuracy.set(xlabel="training images seen, thousands", ylabel="accuracy", ylim=(0, 1.02), title="accuracy")
    accuracy.legend(loc="lower right")
    return figure


def draw_reliability(table: pd.DataFrame) -> Figure:
    """Accuracy against confidence, one panel each: on the diagonal a classifier is as often right as it claims."""
    panels = _split(table)
    figure, grid = new_figure(1, len(panels), width=7, height=3.4)
    for axes, color, (title, part) in zip(grid[0], PANEL_COLORS, panels.items(), strict=False):
        filled = part[part["n"] > 0]
        error = np.average((filled["accuracy"] - filled["mean_confidence"]).abs(), weights=filled["n"])
        spread = np.abs(filled[["low", "high"]].to_numpy().T - filled["accuracy"].to_numpy())
        axes.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8)
        axes.errorbar(filled["mean_confidence"], filled["accuracy"], spread, fmt="o", markersize=3.5, color=color)
        for x, y, n in filled[["mean_confidence", "accuracy", "n"]].itertuples(index=False):
            axes.annotate(f"{n:.0f}", (x, y), (3, -9), textcoords="offset points", fontsize=6, color="#555555")
        axes.set(
            xlabel="confidence (largest softmax output)",
            ylabel="accuracy",
            xlim=(0, 1.03),
            ylim=(0, 1.03),
            title=f"{title}: calibration error {error:.3f}",
        )
    return figure


def draw_confusion(table: pd.DataFrame) -> Figure:
    """True against predicted class, one panel each."""
    panels = _split(table)
    class_names = list(table["true_class"].unique())
    classes = len(class_names)
    short = [shorten(name) for name in class_names]
    scale = min(max(1.0, classes / CLASSES_THAT_FIT), LARGEST_SCALE)
    figure, grid = new_figure(1, len(panels), width=7.4 * scale, height=4.1 * scale)
    for axes, (title, part) in zip(grid[0], panels.items(), strict=True):
        matrix = part["n"].to_numpy().reshape(classes, classes)
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), n in np.ndenumerate(matrix):
            if n:
                color = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, str(n), ha="center", va="center", fontsize=6, color=color)
        axes.grid(visible=False)
        axes.set_xticks(range(classes), short, rotation=90 if max(map(len, short)) > 2 else 0)
        axes.set_yticks(range(classes), short)
        if classes > CLASSES_THAT_FIT * LARGEST_SCALE:
            axes.tick_params(labelsize=4)
        axes.set(xlabel="predicted class", ylabel="true class", title=title)
    return figure


def _split(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The parts of a table by what its panels are called."""
    kind = next(kind for kind in KINDS if kind in table)
    return {f"{name} {_words(kind)}": part for name, part in table.groupby(kind, sort=False)}


def draw_severities(table: pd.DataFrame) -> Figure:
    """Accuracy by severity, 0 for what was left clean: a grid of two steps of corruption, or one row per step."""
    down, across = table.columns[:2]
    paired = across != "severity"
    grid = table.pivot_table(index=down, columns=across, values="accuracy", sort=paired, observed=True)
    width, height = (4.4, 3.6) if paired else (5.4, 1.5 + 0.45 * len(grid))
    figure, axes = new_figure(1, 1, width=width, height=height)
    picture = axes[0, 0].imshow(grid.to_numpy(), cmap="RdBu", vmin=0, vmax=1, aspect="equal" if paired else "auto")
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        if np.isfinite(value):
            color = "black" if 0.25 < value < 0.75 else "white"
            axes[0, 0].text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
    axes[0, 0].grid(visible=False)
    axes[0, 0].set_xticks(range(len(grid.columns)), [str(level) for level in grid.columns])
    axes[0, 0].set_yticks(range(len(grid.index)), [_words(level) for level in grid.index])
    axes[0, 0].set(
        xlabel=_words(across), ylabel=_words(down) if paired else "", title="accuracy by severity (0: left clean)"
    )
    figure.colorbar(picture, ax=axes[0, 0], label="accuracy")
    return figure


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def draw_changes(table: pd.DataFrame) -> Figure:
    """Accuracy on clean test images as declared and with one thing changed, with 95 % intervals."""
    figure, grid = new_figure(1, 1, width=6, height=1.2 + 0.32 * len(table))
    axes, places = grid[0, 0], np.arange(len(table))
    for when, color, offset, label in (
        ("before", WELL_COLOR, 0.12, "as declared"),
        ("after", MIS_COLOR, -0.12, "changed"),
    ):
        value = table[f"accuracy_{when}"].to_numpy()
        spread = np.abs(table[[f"accuracy_{when}_low", f"accuracy_{when}_high"]].to_numpy().T - value)
        axes.errorbar(value, -places + offset, xerr=spread, fmt="o", markersize=4, color=color, label=label)
    axes.set_yticks(-places, [f"{change} (n = {n})" for change, n in table[["change", "n"]].itertuples(index=False)])
    axes.set(xlabel="accuracy on clean test images", xlim=(-0.02, 1.02), title="one thing declared otherwise")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), ncols=2)
    return figure
