"""The share still well classified against distance, and the joint walks of the class means as images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing import style
from failure_atlas.statistics.survival import estimate_survival
from failure_atlas.walks.kinds import BEYOND, BEYOND_STD, JOINT, SINGLE
from failure_atlas.walks.space import KeptSlopes
from failure_atlas.walks.starts import MEAN
from failure_atlas.world.show import Shown
from stages.measure_robustness.summary import tell_slopes
from stages.measure_robustness.table import START

ALL = "all"
CLASSES, RULES = "classes", "rules"  # the panels of the robustness figure
RULE_COLUMNS = {
    "joint walk": ("distance_std", "reached", style.MIS_COLOR),
    "greedy set": ("set_distance_std", "set_reached", "#762a83"),
    "best single dimension": ("single_distance_std", "single_reached", style.WELL_COLOR),
    "top single dimension": ("top_distance_std", "top_reached", style.RANDOM_COLOR),
}
COLUMNS = ("start", "softmax 0.50", "change", f"{BEYOND_STD:g} std farther", "best single")
CELL_WIDTH, CELL_HEIGHT = 1.5, 1.32  # in image widths: room for the text
INCHES_PER_IMAGE = 0.95
BAND, CLASS_BAND = 0.18, 0.05  # opacity; the bands of few samples each lie over one another


def write_figures(
    folder: Path, table: pd.DataFrame, shown: Mapping[str, Shown], class_names: Sequence[str], kept: KeptSlopes | None
) -> None:
    """Both figures; table: of starts.  shown: of the same starts, by place.  kept: where slopes are no gradients."""
    is_mean, note = table["start"] == MEAN, tell_slopes(kept)
    curves = tabulate_curves(table[~is_mean], class_names)
    style.save_figure(draw_robustness(curves, class_names, note), folder / "robustness.png", curves)
    # The means under their first draw of noise come first, so their rows are those of what is shown.
    means = table[is_mean & (table["noise_draw"] == 0)]
    style.save_figure(draw_joint_walks(shown, means, note), folder / "joint_walks.png", means)


def tabulate_curves(samples: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Kaplan-Meier curves of both panels, one row per step; samples: the table of starts without the means.

    Panel `classes`: all samples and those of each class, samples in doubt from the start at distance 0.  Panel
    `rules`: from the samples that are walked, by each kind of walk.
    """
    walked = samples[samples["walked"]]
    parts = [(CLASSES, ALL, samples, "distance_std", "reached")]
    parts += [(CLASSES, name, samples[samples["class"] == name], "distance_std", "reached") for name in class_names]
    for rule, (distance, reached, _) in RULE_COLUMNS.items():
        searched = walked[walked["set_searched"]] if distance.startswith("set") else walked
        parts.append((RULES, rule, searched, distance, reached))
    blocks = []
    for panel, scope, own, distance, reached in parts:
        curve = estimate_survival(own[distance].to_numpy(float), own[reached].to_numpy(bool))
        blocks.append(pd.DataFrame({"panel": panel, "scope": scope, **vars(curve)}))
    return pd.concat(blocks, ignore_index=True).rename(columns={"distance": "distance_std"})


def draw_robustness(curves: pd.DataFrame, class_names: Sequence[str], note: str = "") -> Figure:
    """Share still well classified against distance: per class and in all, then by each kind of walk.

    note: on the slopes that walks follow, where they are no gradients.
    """
    figure, axes = style.new_figure(1, 2, width=10.5, height=3.9)
    told, most = "", len(style.CLASS_COLORS)
    if len(class_names) > most:
        halved = curves[(curves["panel"] == CLASSES) & (curves["share"] <= 0.5)].groupby("scope")["distance_std"].min()
        class_names = halved.reindex(list(class_names)).nsmallest(most).index.tolist()
        told = f": the {len(class_names)} that fall to half first"
    colors = {name: style.CLASS_COLORS[label % len(style.CLASS_COLORS)] for label, name in enumerate(class_names)}
    looks = [(CLASSES, name, colors[name], 1.0, CLASS_BAND) for name in class_names]
    looks += [(CLASSES, ALL, "black", 2.0, BAND)]
    looks += [(RULES, rule, color, 1.6, BAND) for rule, (_, _, color) in RULE_COLUMNS.items()]
    for panel, scope, color, width, opacity in looks:
        ax = axes[0, 0] if panel == CLASSES else axes[0, 1]
        own = curves[(curves["panel"] == panel) & (curves["scope"] == scope)]
        n = int(own["n"].iloc[0]) if len(own) else 0
        label = f"{style.shorten(scope) if panel == CLASSES else scope} (n={n})"
        ax.step(own["distance_std"], own["share"], where="post", color=color, linewidth=width, label=label)
        ax.fill_between(
            own["distance_std"], own["low"], own["high"], step="post", color=color, alpha=opacity, linewidth=0
        )
    label = "straight distance of the joint walk, in std" + (f"\n{note}" if note else "")
    axes[0, 0].set(title=f"all samples, by class{told}; bands: 95 %", xlabel=label)
    axes[0, 0].set_ylabel("share for which no failure is found yet")
    axes[0, 1].set(title="well-classified samples, by the kind of walk", xlabel="straight distance of the walk, in std")
    for ax in axes.flat:
        ax.set(xlim=(0, None), ylim=(0, 1.01))
        ax.legend(fontsize=7, loc="upper right")
    return figure


def draw_joint_walks(shown: Mapping[str, Shown], table: pd.DataFrame, note: str = "") -> Figure:
    """A row per start: start, end of its joint walk, the change, 1 std farther, and its best single-dimension case.

    shown: of the same starts as the rows of the table, by place.  note: as in `draw_robustness`.
    """
    most = len(style.CLASS_COLORS)
    told = f", the {most} shortest" if len(table) > most else ""
    table = table.reset_index(drop=True)
    chosen = table["distance_std"].nsmallest(most).index.sort_values()
    entries = table.loc[chosen].to_dict("records")
    width, height = len(COLUMNS) * CELL_WIDTH, len(entries) * CELL_HEIGHT
    figure, axes = style.new_figure(1, 1, width=width * INCHES_PER_IMAGE + 0.4, height=height * INCHES_PER_IMAGE + 0.8)
    ax = axes[0, 0]
    for row, entry in enumerate(entries):
        top = row * CELL_HEIGHT
        ax.text(-0.12, top + 0.5, style.shorten(entry["class"]), ha="right", va="center", fontsize=10)
        images = [shown[place].images[chosen[row]] for place in (START, JOINT, JOINT, BEYOND, SINGLE)]
        for column, (image, text) in enumerate(zip(images, _caption(entry), strict=True)):
            left = column * CELL_WIDTH
            pixels = np.moveaxis(image, 0, -1) if len(image) == 3 else image[0]
            colors: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
            if COLUMNS[column] == "change":
                pixels = (images[1].astype(float) - images[0]).mean(axis=0)
                colors = {"cmap": "RdBu_r", "vmin": -255, "vmax": 255}
            ax.imshow(pixels, extent=(left, left + 1, top + 1, top), interpolation="nearest", **colors)
            color = style.MIS_COLOR if "not by" in text else "black"
            ax.text(left + 0.5, top - 0.03, text, ha="center", va="bottom", fontsize=7, color=color)
    for column, name in enumerate(COLUMNS):
        ax.text(column * CELL_WIDTH + 0.5, -0.36, name, ha="center", va="bottom", fontsize=9, weight="bold")
    ax.set_xlim(-0.3, width - CELL_WIDTH + 1.25)
    ax.set_ylim(height - CELL_HEIGHT + 1.05, -0.55)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(
        (f"{note}\n" if note else "")
        + f"joint walks from the mean style of each class{told}: straight distance in std, what the classifier (C)\n"
        "and the judge (J) see, and the verdict (still right: C sees the class yet); red: never fell to 0.50"
    )
    return figure


def _caption(row: Mapping[Any, Any]) -> list[str]:
    """Text above each cell of a row, in the order of COLUMNS."""

    def tell(place: str, reached: str, digits: int = 1) -> str:
        distance = f"{row[f'{place}distance_std']:.{digits if not row[reached] else 1}f} std"
        if not row[reached]:
            return f"not by {distance}"
        said, judged = (style.shorten(row[f"{place}{column}"], 6) for column in ("predicted_class", "judge_class"))
        return f"{distance}, C {said}, J {judged}\n{row[f'{place}verdict']}"

    begin = f"C {row['start_probability']:.2f}, J {row['start_judge_probability']:.2f}"
    return [begin, tell("", "reached"), "", tell("beyond_", "reached"), tell("single_", "single_reached", digits=0)]
