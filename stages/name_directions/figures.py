"""Figures: the named directions as rows of images, the calibration, and the confusion of the naming check."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.directions.calibration import Calibration
from failure_atlas.directions.known_changes import GROUP_IMAGES
from failure_atlas.directions.measurements import EDGE, MEASUREMENTS, NOISE
from failure_atlas.directions.moves import find_typical
from failure_atlas.drawing.style import CLASS_COLORS, new_figure, shorten, show_image, tile
from failure_atlas.images.image_set import Severities
from failure_atlas.statistics.estimates import Z, mean, proportion, wilson
from failure_atlas.world.show import World, move_styles
from stages.common.artefacts.names import join_names
from stages.common.artefacts.population import Samples
from stages.common.artefacts.ranking import GLOBAL

STEPS_STD = np.arange(-3, 4)
SHOWN_PER_CLASS = 3  # directions of each class in the figure; the table holds all
GAP_PX = 2
INCHES_PER_PX = 0.0125
INCHES_PER_LETTER = 0.07  # of a label on the left
MOST_ROWS = 200
SHOWN_LEVELS = 3  # curves per panel of the calibration
HALF = 0.5  # shares above it stand on dark blue
Drawn = tuple[Figure, pd.DataFrame]  # a figure and its numbers


def draw_steps(
    world: World, samples: Samples, candidates: np.ndarray, values: np.ndarray, table: pd.DataFrame
) -> dict[str, Drawn]:
    """The figures `directions` and `class_directions`: a typical sample moved along each row of directions.csv.

    candidates: [N], samples that may be shown.  values: [N, M], what is measured of them. Without rows no figure.
    """
    is_global = table["scope"] == GLOBAL
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
            sheet = show_steps(world, samples, candidates, values, shown)
            count = shown["name"].value_counts()
            finding = f"Most often {count.index[0]}: {count.iloc[0]} of {len(shown)} directions, {what}"
            title = f"{finding}\na typical noisy sample, moved along them"
            figures[name] = draw_directions(sheet, shown, title), shown
    return figures


def show_steps(
    world: World, samples: Samples, candidates: np.ndarray, values: np.ndarray, table: pd.DataFrame
) -> np.ndarray:
    """Images uint8 [R, 7, C, H, W] of a typical noisy sample of each row's scope, from -3 to 3 std of the move."""
    starts = []
    for scope in table["scope"]:
        own = np.arange(len(candidates))
        if scope != GLOBAL:
            own = np.flatnonzero(samples.true_class[candidates] == samples.class_names.index(scope))
        starts.append(candidates[own[find_typical(values[own], values[own, NOISE])]])
    styles = np.repeat(samples.styles[starts], len(STEPS_STD), axis=0)
    dimensions = np.repeat(table["dimension"].to_numpy(), len(STEPS_STD))
    amounts = np.outer(table["direction"] * table["std"], STEPS_STD).ravel()
    noise = np.repeat(samples.noise[starts], len(STEPS_STD))
    images = world.show(move_styles(styles, dimensions, amounts), (), noise=noise).images
    return images.reshape(len(table), len(STEPS_STD), *images.shape[1:])


def head_effects(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of directions.csv that a figure shows, with the effect that gave the name: effect_per_std."""
    measured = {word: m.name for m in MEASUREMENTS for word in (m.more, m.less) if word}
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


def draw_calibration(calibration: Calibration, values: np.ndarray, severities: Severities) -> Drawn:
    """Response of the two measurements to known noise and blur, and what they read from real corrupted images.

    values: [N, M], of these images, measured before mending.
    """
    curves, levels = tabulate_calibration(calibration), read_severity_levels(calibration, values, severities)
    figure, axes = new_figure(1, 3, width=11, height=3.2)
    n = int(curves["n"].iloc[0])
    _draw_response(axes[0, 0], curves, "noise", "noise_std", "blur_std_px", "blur {:g} px")
    axes[0, 0].set(xlabel="known noise, sigma in grey", ylabel="measured noise, grey")
    axes[0, 0].set_title(f"noise of real clean images\n(n={n}, 95 % intervals)")
    _draw_response(axes[0, 1], curves, "edge", "blur_std_px", "noise_std", "noise {:g}")
    axes[0, 1].set(xlabel="known blur, sigma in px", ylabel="measured width of flanks, px")
    axes[0, 1].set_title(f"flanks of real clean images\n(n={n}, 95 % intervals)")
    panel, other = axes[0, 2], axes[0, 2].twinx()
    for target, kind, offset, color in (
        (panel, "noise", -0.06, CLASS_COLORS[0]),
        (other, "blur", 0.06, CLASS_COLORS[3]),
    ):
        own = levels[levels["corruption"] == kind]
        _draw_bars(target, own["level"] + offset, own, color=color)
        target.set_ylim(bottom=0)
        target.tick_params(axis="y", colors=color)
    panel.set_ylabel("noise read, sigma in grey", color=CLASS_COLORS[0])
    other.set_ylabel("blur read, sigma in px", color=CLASS_COLORS[3])
    other.grid(visible=False)
    panel.set_xlabel("severity (0: clean)")
    if levels.empty:
        panel.text(0.5, 0.5, "corrupted neither by blur\nnor by noise", ha="center", transform=panel.transAxes)
    count = int(levels.groupby("corruption")["n"].sum().max()) if len(levels) else 0
    panel.set_title(f"read from real corrupted test images\n(n={count}, 95 % intervals)")
    return figure, pd.concat([curves, levels], ignore_index=True)


def tabulate_calibration(calibration: Calibration) -> pd.DataFrame:
    """Mean measurement at each pair of noise and blur, of the two measurements that levels are read from."""
    noise, blur = np.meshgrid(calibration.noise_std, calibration.blur_std_px, indexing="ij")
    tables = []
    for kind, index in (("noise", NOISE), ("edge", EDGE)):
        value, half = calibration.mean[..., index].ravel(), Z * calibration.standard_error[..., index].ravel()
        columns: dict[str, Any] = {"panel": "clean, corrupted by a known level", "measurement": kind}
        columns |= {"noise_std": noise.ravel(), "blur_std_px": blur.ravel()}
        columns |= {"value": value, "low": value - half, "high": value + half, "n": calibration.n}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def read_severity_levels(calibration: Calibration, values: np.ndarray, severities: Severities) -> pd.DataFrame:
    """Mean level read from real corrupted images of each severity; values: [N, M], measured before mending.

    Noise and blur each, where the images were given it by a step of that name; else there is nothing to compare with.
    """
    noise, blurs = calibration.read_levels(values)
    known = np.isfinite(noise)
    rows = []
    for kind, levels in (("noise", noise), ("blur", blurs)):
        drawn = severities.by_step.get(kind, np.empty(0))
        for severity in np.unique(drawn[known] if len(drawn) else drawn):
            estimate = mean(levels[known & (drawn == severity)])
            rows.append({"panel": "real corrupted", "corruption": kind, "level": float(severity), **estimate})
    return pd.DataFrame(rows, columns=["panel", "corruption", "level", "value", "low", "high", "n"])


def draw_confusion(check: pd.DataFrame) -> Drawn:
    """Known change against the name that the rule gave; check: as `check_naming` returns it."""
    confusion, accuracy = tabulate_confusion(check), proportion(check["correct"].to_numpy(bool))
    expected = list(dict.fromkeys(confusion["expected"]))
    columns = expected + sorted(set(confusion["named"]) - set(expected))
    shares = confusion.pivot_table("share", ["expected", "change"], "named", fill_value=0, sort=False)
    grid = shares.reindex(columns=columns, fill_value=0).to_numpy()
    figure, axes = new_figure(1, 1, width=0.33 * len(columns) + 4.2, height=0.3 * len(grid) + 2.0)
    panel = axes[0, 0]
    panel.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    panel.grid(visible=False)
    for y, x in zip(*np.nonzero(grid), strict=True):
        color = "white" if grid[y, x] > HALF else "black"
        panel.text(x, y, f"{grid[y, x]:.0%}", ha="center", va="center", fontsize=6, color=color)
    panel.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    panel.set_yticks(range(len(grid)), [f"{name} ({change})" for name, change in shares.index], fontsize=8)
    panel.set(xlabel="name given", ylabel="known change of real clean images")
    panel.set_title(
        f"right {accuracy['value']:.1%} [{accuracy['low']:.1%}, {accuracy['high']:.1%}]\n"
        f"({accuracy['n']:.0f} groups of {GROUP_IMAGES} images)"
    )
    return figure, confusion


def tabulate_confusion(check: pd.DataFrame) -> pd.DataFrame:
    """Groups by known change and given name; share, with its 95 % interval, is of the groups of that change."""
    keys = ["expected", "change"]
    counts = check.groupby([*keys, "named"], sort=False).size().rename("groups").reset_index()
    total = counts.groupby(keys)["groups"].transform("sum")
    low, high = wilson(counts["groups"].to_numpy(float), total.to_numpy(float))
    return counts.assign(
        share=counts["groups"] / total, share_low=low, share_high=high, n_groups=total, images_per_group=GROUP_IMAGES
    )


def _draw_response(panel: Axes, curves: pd.DataFrame, kind: str, along: str, other: str, text: str) -> None:
    own = curves[curves["measurement"] == kind]
    levels = np.unique(own[other])
    chosen = levels[np.linspace(0, len(levels) - 1, min(SHOWN_LEVELS, len(levels))).round().astype(int)]
    for level, color in zip(chosen, CLASS_COLORS, strict=False):
        curve = own[own[other] == level]
        _draw_bars(panel, curve[along], curve, color=color, label=text.format(level))
    panel.legend(fontsize=7)


def _draw_bars(panel: Axes, x: "pd.Series[float]", curve: pd.DataFrame, **options: Any) -> None:
    error = [curve["value"] - curve["low"], curve["high"] - curve["value"]]
    panel.errorbar(x, curve["value"], error, fmt="o-", markersize=3, linewidth=1, **options)


def _tell_effect(row: Mapping[Any, Any]) -> str:
    effect, low, high = (row[f"effect_per_std{end}"] for end in ("", "_low", "_high"))
    text = f"{effect:+.2f} [{low:+.2f}, {high:+.2f}] spreads; " if np.isfinite(effect) else ""
    return f"{text}noise {row['noise_sigma_per_std']:+.3f}, blur {row['blur_sigma_per_std']:+.2f} px; per std"
