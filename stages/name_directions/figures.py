"""Figures: the named directions as rows of images, the calibration, and the confusion of the naming check."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.directions.calibration import Calibration
from failure_atlas.directions.measurements import EDGE, MEASUREMENTS, NOISE
from failure_atlas.directions.naming_check import GROUP_IMAGES
from failure_atlas.drawing.style import CLASS_COLORS, new_figure, shorten, show_image, tile
from failure_atlas.images.image_set import Severities
from failure_atlas.statistics.estimates import mean, wilson
from stages.common.artefacts.ranking import GLOBAL

STEPS_STD = (-3, -2, -1, 0, 1, 2, 3)
GAP_PX = 2
INCHES_PER_PX = 0.0125
INCHES_PER_LETTER = 0.07  # of a label on the left
MOST_ROWS = 200
SHOWN_LEVELS = 3  # curves per panel of the calibration
HALF = 0.5  # shares above it stand on dark blue
INTERVAL = 1.96  # standard errors on each side: 95 %


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
    for place, (scope, row) in enumerate(zip(scopes, table.itertuples(), strict=True)):
        middle = place * step + height / 2
        panel.text(-5, middle, f"{scope}{row.rank}: {row.dimension}  {row.layer}", ha="right", va="center", fontsize=7)
        edge = columns * (width + GAP_PX) + 3
        panel.text(edge, middle - 6, _tell_name(row), ha="left", va="center", fontsize=7.5, weight="bold")
        panel.text(edge, middle + 7, _tell_effect(row), ha="left", va="center", fontsize=6.5, color="#555555")
    panel.set_title(title, pad=16)
    return figure


def head_effects(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of directions.csv that a figure shows, with the effect that gave the name: effect_per_std."""
    rows = table.reset_index(drop=True)
    found = np.array([_find_effect(row) for _, row in rows.iterrows()])
    return rows.assign(effect_per_std=found[:, 0], effect_per_std_low=found[:, 1], effect_per_std_high=found[:, 2])


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


def tabulate_calibration(calibration: Calibration) -> pd.DataFrame:
    """Mean measurement at each pair of noise and blur, of the two measurements that levels are read from."""
    rows = []
    for kind, index in (("noise", NOISE), ("edge", EDGE)):
        for a, noise in enumerate(calibration.noise_std):
            for b, blur in enumerate(calibration.blur_std_px):
                value, half = calibration.mean[a, b, index], INTERVAL * calibration.standard_error[a, b, index]
                rows.append(
                    {
                        "panel": "clean, corrupted by a known level",
                        "measurement": kind,
                        "noise_std": noise,
                        "blur_std_px": blur,
                        "value": value,
                        "low": value - half,
                        "high": value + half,
                        "n": calibration.n,
                    }
                )
    return pd.DataFrame(rows)


def draw_calibration(curves: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """Response of the two measurements to known noise and blur, and what they read from real corrupted images."""
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
        error = [own["value"] - own["low"], own["high"] - own["value"]]
        target.errorbar(own["level"] + offset, own["value"], error, fmt="o-", color=color, markersize=3, linewidth=1)
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
    return figure


def tabulate_confusion(check: pd.DataFrame) -> pd.DataFrame:
    """Groups by known change and given name; share, with its 95 % interval, is of the groups of that change."""
    keys = ["expected", "change"]
    counts = check.groupby([*keys, "named"], sort=False).size().rename("groups").reset_index()
    total = counts.groupby(keys)["groups"].transform("sum")
    low, high = wilson(counts["groups"].to_numpy(float), total.to_numpy(float))
    return counts.assign(
        share=counts["groups"] / total, share_low=low, share_high=high, n_groups=total, images_per_group=GROUP_IMAGES
    )


def draw_confusion(confusion: pd.DataFrame, accuracy: dict[str, float]) -> Figure:
    """Known change against the name that the rule gave; accuracy: {value, low, high, n}."""
    rows = list(dict.fromkeys(zip(confusion["expected"], confusion["change"], strict=True)))
    expected = list(dict.fromkeys(confusion["expected"]))
    columns = expected + sorted(set(confusion["named"]) - set(expected))
    grid = np.zeros((len(rows), len(columns)))
    for entry in confusion.itertuples():
        grid[rows.index((str(entry.expected), str(entry.change))), columns.index(str(entry.named))] = float(
            str(entry.share)
        )
    figure, axes = new_figure(1, 1, width=0.33 * len(columns) + 4.2, height=0.3 * len(rows) + 2.0)
    panel = axes[0, 0]
    panel.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    panel.grid(visible=False)
    for y, x in zip(*np.nonzero(grid), strict=True):
        color = "white" if grid[y, x] > HALF else "black"
        panel.text(x, y, f"{grid[y, x]:.0%}", ha="center", va="center", fontsize=6, color=color)
    panel.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    panel.set_yticks(range(len(rows)), [f"{name} ({change})" for name, change in rows], fontsize=8)
    panel.set(xlabel="name given", ylabel="known change of real clean images")
    panel.set_title(
        f"right {accuracy['value']:.1%} [{accuracy['low']:.1%}, {accuracy['high']:.1%}]\n"
        f"({accuracy['n']:.0f} groups of {GROUP_IMAGES} images)"
    )
    return figure


def _draw_response(panel: Axes, curves: pd.DataFrame, kind: str, along: str, other: str, text: str) -> None:
    own = curves[curves["measurement"] == kind]
    levels = np.unique(own[other])
    chosen = levels[np.linspace(0, len(levels) - 1, min(SHOWN_LEVELS, len(levels))).round().astype(int)]
    for level, color in zip(chosen, CLASS_COLORS, strict=False):
        curve = own[own[other] == level]
        error = [curve["value"] - curve["low"], curve["high"] - curve["value"]]
        panel.errorbar(
            curve[along], curve["value"], error, fmt="o-", color=color, markersize=3, linewidth=1,
            label=text.format(level),
        )  # fmt: skip
    panel.legend(fontsize=7)


def _find_effect(row: "pd.Series[Any]") -> tuple[float, ...]:
    measurement = next((m.name for m in MEASUREMENTS if m.more and row["name"] in (m.more, m.less)), None)
    if measurement is None:
        return (np.nan, np.nan, np.nan)
    return tuple(float(row[f"{measurement}{end}"]) for end in ("", "_low", "_high"))


def _tell_name(row: object) -> str:
    second = getattr(row, "second_name", "")
    reach = getattr(row, "reach", "")
    return f"{getattr(row, 'name', '')}{', ' + second if second else ''}" + (f"  ({reach})" if reach != "none" else "")


def _tell_effect(row: object) -> str:
    effect = getattr(row, "effect_per_std", np.nan)
    low, high = getattr(row, "effect_per_std_low", np.nan), getattr(row, "effect_per_std_high", np.nan)
    noise, blur = getattr(row, "noise_sigma_per_std", np.nan), getattr(row, "blur_sigma_per_std", np.nan)
    text = f"{effect:+.2f} [{low:+.2f}, {high:+.2f}] spreads; " if np.isfinite(effect) else ""
    return text + f"noise {noise:+.3f}, blur {blur:+.2f} px; per std"
