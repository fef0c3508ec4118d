"""Sheets of claimed failures for people, and the verdicts as stacked bars."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.drawing import style
from failure_atlas.judges.failures import ALL
from failure_atlas.judges.verdicts import LABEL_CHANGED, STILL_RIGHT, TRUE_FAILURE, UNREADABLE
from stages.judge_failures.inputs import CORNER_CASE, POPULATION, REAL
from stages.judge_failures.sheet import REVIEW_COLUMNS, REVIEW_ID, tabulate_contact_sheet

COLORS = {TRUE_FAILURE: style.MIS_COLOR, LABEL_CHANGED: style.WELL_COLOR, UNREADABLE: "#bbbbbb", STILL_RIGHT: "#a6dba0"}
PLURALS = dict(zip(COLORS, ("true failures", "label changes", "unreadable", "still right"), strict=True))
DARK_INK = (UNREADABLE, STILL_RIGHT)  # on light colours
BARS = {POPULATION: "population", CORNER_CASE: "corner cases", REAL: "real test images"}
BLOCK_COLUMNS = 5
SHEET_COLUMNS = 2  # of blocks
FAR_OUT_MARK = "*"
LETTERS = 5  # of a class name above an image
GAP_PX = 11  # room for the text above an image, in image pixels
INCHES_PER_PX = 0.02
LEAST_WRITTEN = 0.06  # a narrower part of a bar has no room for its number


def save_figures(
    folder: Path,
    verdicts: pd.DataFrame,
    failures: pd.DataFrame,
    images: Sequence[np.ndarray],
    shown: dict[str, np.ndarray],
    review: pd.DataFrame,
) -> None:
    """Draw the verdicts, the contact sheet and the review sheet, each with its table.

    verdicts: see `tabulate_verdicts`.  images: those of the failures, in parts.  shown: verdict -> rows of failures.
    review: the blank form.
    """
    style.save_figure(draw_verdicts(verdicts), folder / "verdicts.png", verdicts)
    claimed = np.concatenate(images)
    contact = tabulate_contact_sheet(failures, shown, BLOCK_COLUMNS)
    blocks = [claimed[rows] for rows in shown.values()]
    style.save_figure(draw_contact_sheet(blocks, contact), folder / "contact_sheet.png", contact)
    order = failures[REVIEW_ID].to_numpy().argsort(kind="stable")[len(failures) - len(review) :]
    style.save_figure(draw_review_sheet(claimed[order], review["id"].tolist()), folder / "review_sheet.png", review)


def draw_verdicts(table: pd.DataFrame) -> Figure:
    """Stacked bars of the verdict shares: one bar per source on the left, one per class of all claims on the right.

    table: see `tabulate_verdicts`; its source `all` stands for all claims.
    """
    figure, axes = style.new_figure(1, 2, width=9.5, height=3.8)
    sources = table[table["class"] == ALL]
    _stack(axes[0, 0], [(label, sources[sources["source"] == name]) for name, label in BARS.items()])
    axes[0, 0].set_title("by source")
    claims = table[(table["source"] == ALL) & (table["class"] != ALL)]
    counts, most = claims.groupby("class", sort=False)["n"].first(), len(style.CLASS_COLORS)
    told = f", the {most} with most" if len(counts) > most else ""
    shown = claims[claims["class"].isin(counts.nlargest(most).index)].groupby("class", sort=False)
    _stack(axes[0, 1], [(style.shorten(str(name)), own) for name, own in shown])
    axes[0, 1].set(title=f"claimed failures by meant class{told}", ylabel="meant class")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def draw_contact_sheet(images: Sequence[np.ndarray], table: pd.DataFrame) -> Figure:
    """A block per verdict, two side by side; above each image what was meant and what the classifier says.

    images: one [K, C, H, W] uint8 per verdict, in the order of COLORS.  table: see `tabulate_contact_sheet`.
    """
    rows = max(1, *(-(-len(block) // BLOCK_COLUMNS) for block in images))
    height, width = images[0].shape[-2:]
    inches = ((height + GAP_PX) * rows * INCHES_PER_PX + 1.2, (width + GAP_PX) * BLOCK_COLUMNS * INCHES_PER_PX + 0.4)
    sheet_rows = -(-len(COLORS) // SHEET_COLUMNS)
    figure, axes = style.new_figure(
        sheet_rows, SHEET_COLUMNS, width=SHEET_COLUMNS * inches[1], height=sheet_rows * inches[0]
    )
    if engine := figure.get_layout_engine():
        engine.set(wspace=0.07)  # type: ignore[call-arg]  # of the constrained layout: blocks stand apart
    for axis, verdict, block in zip(axes.flat, COLORS, images, strict=True):
        own = table[table["verdict"] == verdict]
        texts = [*map(_tell_claim, own["class"], own["predicted_class"], own["rival_class"], own["far_out"])]
        colors = [style.WELL_COLOR if source == CORNER_CASE else "black" for source in own["source"]]
        _show_block(axis, block, texts, colors, BLOCK_COLUMNS, rows)
        axis.set_title(f"{PLURALS[verdict]} ({len(block)} shown)", pad=16, color="black", fontsize=10)
    figure.suptitle(
        "meant \u2192 classifier's class; black: population sample, blue: corner case "
        "(in brackets: the next class, where the classifier still says the meant one)\n"
        f"{FAR_OUT_MARK}: farther from real images than nearly all of these are from one another",
        fontsize=8,
    )
    return figure


def draw_review_sheet(images: np.ndarray, numbers: Sequence[int]) -> Figure:
    """The same images without a verdict or a class: an id above each; images [K, C, H, W] uint8."""
    rows = max(1, -(-len(images) // REVIEW_COLUMNS))
    height, width = images.shape[-2:]
    size = ((width + GAP_PX) * REVIEW_COLUMNS * INCHES_PER_PX * 1.3, (height + GAP_PX) * rows * INCHES_PER_PX * 1.3)
    figure, axes = style.new_figure(1, 1, width=size[0] + 0.2, height=size[1] + 0.5)
    _show_block(axes[0, 0], images, [f"{number}" for number in numbers], ["black"] * len(images), REVIEW_COLUMNS, rows)
    axes[0, 0].set_title("ids as in review.csv", pad=16)
    return figure


def draw_confusions(tables: Sequence[tuple[str, str, pd.DataFrame]]) -> Figure:
    """Counts of one rater's readings against another's, one panel per pair.

    tables: (rater of the rows, rater of the columns, counts with the readings as index and columns).
    """
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure, axes = style.new_figure(rows, columns, width=3.5 * columns, height=3.3 * rows)
    for axis in axes.flat[len(tables) :]:
        axis.set_axis_off()
    for axis, (first, second, counts) in zip(axes.flat, tables, strict=False):
        values = counts.to_numpy()
        axis.imshow(values, cmap="Greys", vmin=0, vmax=max(1, 1.6 * values.max()))
        for (row, column), count in np.ndenumerate(values):
            axis.text(column, row, str(count), ha="center", va="center")
        labels = [name.replace(" ", "\n") for name in counts.columns]
        axis.set(xticks=range(len(labels)), xticklabels=labels, yticks=range(len(labels)), yticklabels=labels)
        axis.set(xlabel=second, ylabel=first, title=f"n={values.sum()}")
        axis.grid(visible=False)
    return figure


def _stack(axis: Axes, bars: Sequence[tuple[str, pd.DataFrame]]) -> None:
    """Horizontal bars from top to bottom, a part per verdict; a line is the 95 % interval of the first part."""
    for place, (_, own) in enumerate(bars):
        shares = own.set_index("verdict")["value"].fillna(0.0)
        left = 0.0
        for verdict, color in COLORS.items():
            value = float(shares[verdict])
            axis.barh(place, value, left=left, color=color, height=0.7, label=PLURALS[verdict] if place == 0 else None)
            if value >= LEAST_WRITTEN:
                ink = "black" if verdict in DARK_INK else "white"
                axis.text(left + value / 2, place, f"{value:.0%}", ha="center", va="center", color=ink, fontsize=8)
            left += value
        first = own[own["verdict"] == TRUE_FAILURE]
        ends = first[["low", "high"]].to_numpy(float)[0]
        # Below the bar, so that it crosses no number; NaN, where there is nothing to judge, draws nothing.
        axis.plot(ends, [place + 0.42] * 2, color="black", linewidth=1.5, marker="|", markersize=5)
    axis.set_yticks(range(len(bars)), [f"{label} (n={own['n'].iloc[0]})" for label, own in bars])
    axis.set(xlim=(0, 1), xlabel="share of verdicts (line: 95 % interval of true failures)")
    axis.invert_yaxis()
    axis.grid(visible=False)


def _show_block(
    axis: Axes, images: np.ndarray, texts: Sequence[str], colors: Sequence[str], columns: int, rows: int
) -> None:
    """Images on one sheet of a fixed size, a text above each; a sheet without images says so."""
    height, width = images.shape[-2:]
    blank = np.full((columns * rows - len(images), *images.shape[1:]), 255, np.uint8)
    style.show_image(axis, style.tile(np.concatenate([images, blank]), columns, GAP_PX))
    for place, (text, color) in enumerate(zip(texts, colors, strict=True)):
        top, left = place // columns * (height + GAP_PX), place % columns * (width + GAP_PX)
        axis.text(left + width / 2, top - 1.5, text, ha="center", va="bottom", fontsize=8, color=color)
    if not len(images):
        axis.text(0.5, 0.9, "none", transform=axis.transAxes, ha="center", color=style.RANDOM_COLOR)


def _tell_claim(meant: str, said: str, rival: str, far_out: bool) -> str:
    meant, said, rival = (style.shorten(each, LETTERS) for each in (meant, said, rival if said == meant else ""))
    return f"{meant} \u2192 {said}{f' ({rival})' if rival else ''}{FAR_OUT_MARK if far_out else ''}"
