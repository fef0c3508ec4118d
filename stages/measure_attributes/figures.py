"""Figures: what was read against what was applied, the calibration, and the confusion of the naming check."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.attributes.calibration import Calibration
from failure_atlas.attributes.registry import BLUR, NOISE, REGISTRY
from failure_atlas.directions.naming_check import GROUP_IMAGES
from failure_atlas.drawing.style import CLASS_COLORS, MIS_COLOR, WELL_COLOR, new_figure
from failure_atlas.images.image_set import Severities
from failure_atlas.statistics.estimates import Z, mean, proportion, wilson

SHOWN_LEVELS = 3  # curves per panel of the calibration
HALF = 0.5  # shares above it stand on dark blue
COLUMNS = 4  # panels of the errors
Drawn = tuple[Figure, pd.DataFrame]  # a figure and its numbers


def draw_errors(errors: pd.DataFrame, table: pd.DataFrame) -> Drawn:
    """Read against applied: a panel per attribute, a point per known change, its bar the error of an image.

    errors: as `measure_errors` returns them.  table: attributes.csv, with spreads and stated errors.
    """
    stated = table.dropna(subset="error").set_index("attribute")
    rows = -(-len(stated) // COLUMNS)
    figure, axes = new_figure(rows, COLUMNS, width=3.1 * COLUMNS, height=2.9 * rows + 0.7)
    for panel in axes.flat[len(stated) :]:
        panel.set_axis_off()
    sound = stated["error"] < stated["spread"]
    for panel, name in zip(axes.flat, stated.index, strict=False):
        row = stated.loc[name]
        own, attribute = errors[errors["attribute"] == name], REGISTRY[str(name)]
        ends = np.array([own["applied"].min(), own["applied"].max()])
        panel.plot(ends, ends, color="#777777", linewidth=1.2)
        color = WELL_COLOR if row["error"] < row["spread"] else MIS_COLOR
        panel.errorbar(own["applied"], own["read"], own["error"], fmt="o", markersize=5, capsize=3, color=color)
        unit = f" {attribute.short_unit}" if attribute.short_unit else ""
        panel.set_title(f"{name}\nerror {row['error']:.2g}{unit}, spread {row['spread']:.2g}{unit}", fontsize=12)
        panel.tick_params(labelsize=11)
        panel.locator_params(nbins=4)
    figure.supxlabel("change that was made", fontsize=13)
    figure.supylabel("change that is read (bar: error of one image)", fontsize=13)
    count, n = int(sound.sum()), int(errors["n"].max())
    figure.suptitle(
        f"{count} of {len(stated)} attributes are read more closely than images of a class differ (blue)\n"
        f"known changes of up to {n} real clean images each; error: root mean square over all of them",
        fontsize=14,
    )
    return figure, errors


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
    _draw_response(axes[0, 1], curves, "blur", "blur_std_px", "noise_std", "noise {:g}")
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
    """Mean measurement at each pair of noise and blur, of the two attributes that levels are read from."""
    noise, blur = np.meshgrid(calibration.noise_std, calibration.blur_std_px, indexing="ij")
    tables = []
    for kind, index in (("noise", NOISE), ("blur", BLUR)):
        value, half = calibration.mean[..., index].ravel(), Z * calibration.standard_error[..., index].ravel()
        columns: dict[str, Any] = {"panel": "clean, corrupted by a known level", "attribute": kind}
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
    own = curves[curves["attribute"] == kind]
    levels = np.unique(own[other])
    chosen = levels[np.linspace(0, len(levels) - 1, min(SHOWN_LEVELS, len(levels))).round().astype(int)]
    for level, color in zip(chosen, CLASS_COLORS, strict=False):
        curve = own[own[other] == level]
        _draw_bars(panel, curve[along], curve, color=color, label=text.format(level))
    panel.legend(fontsize=7)


def _draw_bars(panel: Axes, x: "pd.Series[float]", curve: pd.DataFrame, **options: Any) -> None:
    error = [curve["value"] - curve["low"], curve["high"] - curve["value"]]
    panel.errorbar(x, curve["value"], error, fmt="o-", markersize=3, linewidth=1, **options)
