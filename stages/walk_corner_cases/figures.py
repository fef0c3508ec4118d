"""Figures 5 and 7 and the true failures: sheets of images, each with text above it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from failure_atlas.drawing.style import MIS_COLOR, WELL_COLOR, new_figure, save_figure, shorten, show_image, tile
from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, UNREADABLE
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.starts import MEAN
from failure_atlas.world.show import CLASSIFIER, World, move_styles
from stages.common.artefacts.names import shorten_name
from stages.common.artefacts.walks import Opened
from stages.walk_corner_cases.params import WalkCornerCasesParams

Pictured = tuple[np.ndarray, pd.DataFrame]  # images [N, channels, H, W] uint8, and a row of a table for each
PROGRESS = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of the shift at which a walk ended
MOST_ROWS = 60
LETTERS = 8  # of a class name above an image
GAP_PX = 12  # room for one line of text, in image pixels
LINE_PX = 5  # for each further line
FRAME_PX = 1.5  # between an image and its frame
INCHES_PER_PX = 0.021
BLACK, GREY = "black", "#777777"
ARROWS = {-1: "\u2193", 1: "\u2191"}
LEGEND_INCHES = 10.5  # width of the legend of figure 7 on one line
LEAST_COLUMNS = 8  # of a sheet: no title is wider
MOST_SHOWN = 10  # true failures of a class
# Frames differ in line and in colour: neither print nor eye need tell colours apart.
FRAMES = {LABEL_KEPT: (WELL_COLOR, "-"), LABEL_CHANGED: ("#e08214", "--"), UNREADABLE: (GREY, ":")}
MEANINGS = {
    LABEL_KEPT: "the judge sees the class",
    LABEL_CHANGED: "the judge sees another",
    UNREADABLE: "the judge is sure of none",
}


def write_figures(
    folder: Path, opened: Opened, space: StdSpace, starts: Pictured, ends: Pictured, failed: Pictured,
    section: WalkCornerCasesParams,
) -> None:  # fmt: skip
    """Figures 5 and 7, of class means under their first draw of noise, and the nearest true failures of all walks.

    space, starts: class means first.  ends, failed: of the walks that are kept, and of those that meet a true failure.
    """
    (images, corner_cases), (failure_images, true_failures) = ends, failed
    class_names = opened.samples.class_names
    # The means under their first draw of noise, which come first.
    shown = corner_cases[(corner_cases["start"] == MEAN) & (corner_cases["noise_draw"] == 0)]
    means = starts[0][: len(class_names)], starts[1][: len(class_names)]
    write_walks(folder, "", opened, space, means, (images[: len(shown)], shown), section)
    nearest = choose_nearest(true_failures, class_names)
    if len(nearest):
        found = failure_images[nearest], true_failures.iloc[nearest]
        figure = draw_true_failures(found, class_names, len(true_failures))
        save_figure(figure, folder / "true_failures.png", found[1])


def write_walks(
    folder: Path, suffix: str, opened: Opened, space: StdSpace, starts: Pictured, ends: Pictured,
    section: WalkCornerCasesParams,
) -> None:  # fmt: skip
    """Figures 7 and 5 of the walks from one start of each class; suffix: of their names and of what starts are called.

    space: its first starts are these.  starts: their images and table.  ends: of their walks.
    """
    class_names, what = opened.samples.class_names, "real image" if suffix else "mean style"
    ending = "the first true failure of its walks" if section.only_true_failures else "its corner cases"
    shown = ends[1]
    figure = draw_corner_cases(starts, ends, what, ending, opened.judge.confidence)
    save_figure(figure, folder / f"fig7_corner_cases{suffix}.png", shown)
    for index in section.figure_classes:
        if index >= len(class_names):  # the classes of another data set: no reason to stop after all the work before
            allowed = f"0 to {len(class_names) - 1}"
            logging.info("walk_corner_cases.figure_classes: %d: classes are %s; no figure 5", index, allowed)
            continue
        own = shown[shown["class"] == class_names[index]]
        if not len(own):
            logging.info("class %s: no walk from its %s to show; no figure 5", class_names[index], what)
            continue
        start = int(np.flatnonzero(starts[1]["class"] == class_names[index])[0])
        traced = trace_walks(opened.world, space, own, start, class_names)
        figure = draw_degradation(traced, class_names[index], what)
        save_figure(figure, folder / f"fig5_degradation{suffix}_class{index}.png", traced[1])


def trace_walks(
    world: World, space: StdSpace, corner_cases: pd.DataFrame, start: int, class_names: Sequence[str]
) -> Pictured:
    """Images and outputs on the way of M walks from one start, at each fraction of PROGRESS, walk by walk.

    start: which of the space's.  Returns images [P * M, channels, H, W] uint8 and a table of as many rows.
    """
    count = len(corner_cases)
    move = (corner_cases["direction"] * corner_cases["shift"]).to_numpy(float)
    styles = move_styles(
        np.tile(space.styles[start], (len(PROGRESS) * count, 1)),
        np.tile(corner_cases["dimension"].to_numpy(), len(PROGRESS)),
        np.outer(PROGRESS, move).ravel(),
    )
    noise = space.seeds(np.full(len(styles), start))
    shown = world.show(styles, [CLASSIFIER], noise=noise)
    copied = corner_cases[["class", "rank", "dimension", "layer", "kind", "direction", "name", "reached"]]
    table = pd.concat([copied] * len(PROGRESS), ignore_index=True)
    table["progress"] = np.repeat(PROGRESS, count)
    table["shift_std"] = np.outer(PROGRESS, corner_cases["shift_std"]).ravel()
    table["probability"] = shown.score(np.full(len(styles), space.true_class[start]))
    table["predicted_class"] = np.array(class_names)[shown.predicted()]
    return shown.images, table


@dataclass(frozen=True)
class Cell:
    """One image [channels, H, W] uint8 of a sheet with the text above it.

    reading: what the frame around it stands for; empty: no frame.
    """

    image: np.ndarray
    title: str
    color: str = BLACK
    reading: str = ""


def draw_sheet(rows: Sequence[Sequence[Cell]], labels: Sequence[str], title: str, *, lines: int = 1) -> Figure:
    """Lay rows of cells out on one sheet, a label on the left of each; short rows are filled with white.

    lines: of text above each image.  Of more than 60 rows the first are drawn, for a picture has a largest size.
    """
    if len(rows) > MOST_ROWS:
        title = f"the first {MOST_ROWS} of {len(rows)} rows: {title}"
        rows, labels = rows[:MOST_ROWS], labels[:MOST_ROWS]
    columns = max(LEAST_COLUMNS, *(len(row) for row in rows))
    blank = np.full_like(rows[0][0].image, 255)
    images = np.stack([row[place].image if place < len(row) else blank for row in rows for place in range(columns)])
    height, width = images.shape[-2:]
    gap = GAP_PX + (lines - 1) * LINE_PX
    size = ((width + gap) * columns + 2 * gap, (height + gap) * len(rows) + 2 * gap)
    figure, axes = new_figure(1, 1, width=size[0] * INCHES_PER_PX, height=size[1] * INCHES_PER_PX)
    show_image(axes[0, 0], tile(images, columns, gap))
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = index * (height + gap)
        axes[0, 0].text(-4, top + height / 2, shorten(label), ha="right", va="center", fontsize=9)
        for place, cell in enumerate(row):
            left = place * (width + gap)
            above = (left + width / 2, top - 1.5 - FRAME_PX)
            axes[0, 0].text(*above, cell.title, ha="center", va="bottom", fontsize=7, color=cell.color)
            if cell.reading:
                corner = (left - 0.5 - FRAME_PX, top - 0.5 - FRAME_PX)
                axes[0, 0].add_patch(_frame(cell.reading, corner, width + 2 * FRAME_PX, height + 2 * FRAME_PX))
    axes[0, 0].set_title(title, pad=9 * lines + 9, fontsize=11)
    return figure


def draw_degradation(traced: Pictured, class_name: str, what: str) -> Figure:
    """Figure 5 of the paper: rows are fractions of the shift, columns the walks of one start; what: it is."""
    titles = "{dimension}{arrow} {probability:.2f}\n{caption}"
    cells = [
        Cell(
            image,
            titles.format_map(entry | {"arrow": ARROWS[entry["direction"]], "caption": _caption(entry["name"])}),
            BLACK if entry["reached"] else MIS_COLOR,
        )
        for image, entry in _pair(traced)
    ]
    count = len(cells) // len(PROGRESS)
    rows = [cells[first : first + count] for first in range(0, len(cells), count)]
    title = (
        f"class {class_name}: from the {what} to the end of each walk\n"
        "titles: dimension, direction, true-class softmax, what the move does\n"
        "red: never fell to 0.50"
    )
    return draw_sheet(rows, [f"{share:.0%}" for share in PROGRESS], title, lines=2)


def draw_corner_cases(starts: Pictured, ends: Pictured, what: str, ending: str, confidence: float) -> Figure:
    """Figure 7 of the paper: one row a class, its start and then its corner cases.

    Titles give predicted class and shift in std; walks that never fell to 0.50 show their farthest image. Frames give
    what the judge reads.  what: starts are, such as `mean style`.  ending: where the walks of the table end.
    confidence: from which on it sees a class.
    """
    means = [
        Cell(
            image,
            f"{what.split()[0]}: {shorten(start['predicted_class'], LETTERS)}, p {start['start_probability']:.2f}"
            + ("" if start["walked"] else ", no walk"),
            GREY,
        )
        for image, start in _pair(starts)
    ]
    cells = []
    for image, case in _pair(ends):
        seen = tell_seen(case["predicted_class"], case["rival_class"], case["class"])
        text = f"{seen}, {case['shift_std']:.1f} std" if case["reached"] else f"not by {case['shift_std']:.0f} std"
        color, reading = (BLACK, case["reading"]) if case["reached"] else (MIS_COLOR, "")
        cells.append(Cell(image, f"{text}\n{_caption(case['name'])}", color, reading))
    class_names, corner_cases = list(starts[1]["class"]), ends[1]
    own = _group(cells, corner_cases["class"], class_names)
    rows = [[mean, *each] for mean, each in zip(means, own, strict=True)]
    reached = corner_cases[corner_cases["reached"]]
    far = f", half of these within {reached['shift_std'].median():.1f} std" if len(reached) else ""
    title = (
        f"{len(reached)} of {len(corner_cases)} walks arrive{far}\n"
        f"{what} of each class, then {ending}\n"
        "titles: predicted class (the next one, if still right), shift, what the move does\n"
        f"red: never fell to 0.50; frames: what the judge reads in the image, at confidence {confidence:g}"
    )
    figure = draw_sheet(rows, class_names, title, lines=2)
    count = corner_cases["reading"].value_counts()
    frames = [_frame(reading, (0, 0), 1, 1) for reading in FRAMES]
    labels = [f"{reading}: {MEANINGS[reading]} (n={count.get(reading, 0)})" for reading in FRAMES]
    fits = figure.get_figwidth() >= LEGEND_INCHES
    figure.legend(frames, labels, loc="outside lower center", ncols=len(FRAMES) if fits else 1)
    return figure


def tell_seen(predicted: str, rival: str, class_name: str) -> str:
    """The class that the classifier sees; at 0.50 against several others that is the own one, and the next counts."""
    if predicted != class_name:
        return shorten(predicted, LETTERS)
    if len(predicted) + len(rival) < LETTERS:
        return f"{predicted} ({rival})"
    return f"({shorten(rival, LETTERS - 2)})"  # long names would run into the next title


def choose_nearest(true_failures: pd.DataFrame, class_names: Sequence[str]) -> np.ndarray:
    """Rows of the nearest true failures of each class, at most ten of each, class by class; [K] int64."""
    shift = true_failures["true_failure_shift_std"].to_numpy(float)
    own = [np.flatnonzero(true_failures["class"] == name) for name in class_names]
    return np.concatenate([rows[np.argsort(shift[rows], kind="stable")][:MOST_SHOWN] for rows in own])


def draw_true_failures(nearest: Pictured, class_names: Sequence[str], total: int) -> Figure:
    """The nearest true failures, one row a class that has any; total: true failures found, shown or not."""
    cells = [
        Cell(
            image,
            f"{shorten(case['predicted_class'], LETTERS)}, {case['true_failure_shift_std']:.1f} std\n"
            f"judge {case['true_failure_judge_probability']:.2f}\n{_caption(case['name'])}",
        )
        for image, case in _pair(nearest)
    ]
    table = nearest[1]
    found = set(table["class"])
    labels, without = ([name for name in class_names if (name in found) == wanted] for wanted in (True, False))
    title = (
        f"first true failure on each walk, nearest first ({len(table)} of {total})\n"
        "titles: class that the classifier sees, shift, the judge's probability of the true class,\n"
        "what the move does" + (f"\nno walk meets one: {', '.join(without)}" if without else "")
    )
    return draw_sheet(_group(cells, table["class"], labels), labels, title, lines=3)


def _pair(pictured: Pictured) -> Iterator[tuple[np.ndarray, dict[Any, Any]]]:
    return zip(pictured[0], pictured[1].to_dict("records"), strict=True)


def _group(cells: Sequence[Cell], classes: pd.Series, class_names: Sequence[str]) -> list[list[Cell]]:
    """The cells of each class, in their order; classes: of each cell."""
    return [[cells[place] for place in np.flatnonzero(classes == name).tolist()] for name in class_names]


def _frame(reading: str, corner: tuple[float, float], width: float, height: float) -> Rectangle:
    color, line = FRAMES[reading]
    return Rectangle(corner, width, height, fill=False, edgecolor=color, linestyle=line, linewidth=1.6, clip_on=False)


def _caption(words: object) -> str:
    """The first of the words, short enough for an image's width."""
    return shorten_name(str(words)).removeprefix("class-specific ")
