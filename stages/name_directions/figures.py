"""Figures: the named directions as rows of images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.attributes.registry import ATTRIBUTES, NOISE
from failure_atlas.directions.moves import find_typical
from failure_atlas.drawing.style import new_figure, shorten, show_image, tile
from failure_atlas.world.show import World, move_styles
from stages.common.artefacts.attributes import Measured
from stages.common.artefacts.names import join_names
from stages.common.artefacts.population import Samples
from stages.common.artefacts.ranking import GLOBAL

STEPS_STD = np.arange(-3, 4)
SHOWN_PER_CLASS = 3  # directions of each class in the figure; the table holds all
GAP_PX = 2
INCHES_PER_PX = 0.0125
INCHES_PER_LETTER = 0.07  # of a label on the left
MOST_ROWS = 200
Drawn = tuple[Figure, pd.DataFrame]  # a figure and its numbers


def draw_steps(world: World, samples: Samples, measured: Measured, table: pd.DataFrame) -> dict[str, Drawn]:
    """The figures `directions` and `class_directions`: a typical sample moved along each row of directions.csv.

    measured: of these samples. Without rows no figure.
    """
    is_global, values = table["scope"] == GLOBAL, measured.population[:, measured.meaningful].astype(np.float64)
    figures = {}
    for name, rows, what in (
        ("directions", is_global, "the most influential over all classes"),
        (
            "class_directions",
            ~is_global & (table["rank"] <= SHOWN_PER_CLASS),
            f"the {SHOWN_PER_CLASS} most influential on each class",
        ),
    ):
        if rows.any():
            shown = head_effects(table[rows])
            sheet = show_steps(world, samples, values, shown)
            count = shown["name"].value_counts()
            finding = f"Most often {count.index[0]}: {count.iloc[0]} of {len(shown)} directions, {what}"
            title = f"{finding}\na typical noisy sample, moved along them"
            figures[name] = draw_directions(sheet, shown, title), shown
    return figures


def show_steps(world: World, samples: Samples, values: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Images uint8 [R, 7, C, H, W] of a typical noisy sample of each row's scope, from -3 to 3 std of the move.

    values: [N, M], what is measured of the samples, the noise in the column NOISE.
    """
    starts = []
    for scope in table["scope"]:
        own = np.arange(len(values))
        if scope != GLOBAL:
            own = np.flatnonzero(samples.true_class == samples.class_names.index(scope))
        starts.append(own[find_typical(values[own], values[own, NOISE])])
    styles = np.repeat(samples.styles[starts], len(STEPS_STD), axis=0)
    dimensions = np.repeat(table["dimension"].to_numpy(), len(STEPS_STD))
    amounts = np.outer(table["direction"] * table["std"], STEPS_STD).ravel()
    noise = np.repeat(samples.noise[starts], len(STEPS_STD))
    images = world.show(move_styles(styles, dimensions, amounts), (), noise=noise).images
    return images.reshape(len(table), len(STEPS_STD), *images.shape[1:])


def head_effects(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of directions.csv that a figure shows, with the effect that gave the name: effect_per_std."""
    measured = {word: m.name for m in ATTRIBUTES for word in (m.more, m.less) if word}
    rows = table.reset_index(drop=True)
    for end in ("", "_low", "_high"):
        found = [row.get(f"{measured.get(row['name'])}{end}", np.nan) for row in rows.to_dict("records")]
        rows[f"effect_per_std{end}"] = np.array(found, float)
    return rows


def draw_directions(images: np.ndarray, table: pd.DataFrame, title: str) -> Figure:
    """One row per direction, from 3 std against it to 3 std along it; images: uint8 [R, 7, C, H, W], table: R rows.

    Of more than 200 directions the first are drawn, for a picture has a largest size.
    """
    if len(images) > MOST_ROWS:
        title = f"{title} (the first {MOST_ROWS} of {len(images)})"
        images, table = images[:MOST_ROWS], table.iloc[:MOST_ROWS]
    count, columns, _, height, width = images.shape
    step = height + GAP_PX
    scopes = ["" if scope == GLOBAL else f"class {shorten(scope)}, " for scope in table["scope"]]
    longer = max([0, *(len(scope) - len("class 0, ") for scope in scopes)]) * INCHES_PER_LETTER
    figure, axes = new_figure(
        1, 1, width=columns * (width + GAP_PX) * INCHES_PER_PX + 5.6 + longer, height=count * step * INCHES_PER_PX + 0.8
    )
    panel = axes[0, 0]
    show_image(panel, tile(images.reshape(-1, *images.shape[2:]), columns, GAP_PX))
    for column, amount in enumerate(STEPS_STD):
        middle = column * (width + GAP_PX) + width / 2
        panel.text(middle, -3, f"{amount:+d} std" if amount else "sample", ha="center", va="bottom", fontsize=7)
    edge = columns * (width + GAP_PX) + 3
    for place, (scope, row) in enumerate(zip(scopes, table.to_dict("records"), strict=True)):
        middle = place * step + height / 2
        label = f"{scope}{row['rank']}: {row['dimension']}  {row['layer']}"
        panel.text(-5, middle, label, ha="right", va="center", fontsize=7)
        name = join_names(row["name"], row["second_name"]) + (f"  ({row['reach']})" if row["reach"] != "none" else "")
        panel.text(edge, middle - 6, name, ha="left", va="center", fontsize=7.5, weight="bold")
        panel.text(edge, middle + 7, _tell_effect(row), ha="left", va="center", fontsize=6.5, color="#555555")
    panel.set_title(title, pad=16, fontsize=11)
    return figure


def _tell_effect(row: Mapping[Any, Any]) -> str:
    effect, low, high = (row[f"effect_per_std{end}"] for end in ("", "_low", "_high"))
    text = f"{effect:+.2f} [{low:+.2f}, {high:+.2f}] spreads; " if np.isfinite(effect) else ""
    return f"{text}noise {row['noise_sigma_per_std']:+.3f}, blur {row['blur_sigma_per_std']:+.2f} px; per std"
