"""The modes side by side, a strip of pictures for each, and the map."""

from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.attributes.registry import REGISTRY
from failure_atlas.decisions.summary import CONTRADICTED, CORROBORATED, NO_MODE, TOO_FEW
from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure, shorten, show_image, tile
from stages.find_modes.findings import ENOUGH, Findings
from stages.find_modes.inputs import Evidence

MARKS = {CORROBORATED: (WELL_COLOR, "o"), CONTRADICTED: (MIS_COLOR, "X"), TOO_FEW: (RANDOM_COLOR, "s")}
GENERATED = "black"
MOST_LETTERS = 5  # of both names of a pair, for which there is room above each image


def draw_modes(table: pd.DataFrame, metrics: Mapping[str, Any], name: str) -> Figure:
    """Failure rates in each mode: generated, real, and elsewhere."""
    figure, axes = new_figure(1, 1, width=9.0, height=0.5 * max(len(table), 1) + 1.3)
    panel, kinds = axes[0, 0], int((table["within"] == "").sum())
    for place, row in enumerate(table.to_dict("records")):
        color, marker = MARKS[row["verdict"]]
        for side, tint, shape, shift in (("rate", GENERATED, "|", -0.14), ("real_rate", color, marker, 0.14)):
            if not np.isnan(row[side]):
                reach = [[row[side] - row[f"{side}_low"]], [row[f"{side}_high"] - row[side]]]
                options = {"fmt": shape, "color": tint, "markersize": 6, "linewidth": 1}
                panel.errorbar([row[side]], [place + shift], xerr=reach, **options)
        panel.plot([row["rate_elsewhere"]], [place - 0.14], ".", color=GENERATED, markersize=4)
    labels = [f"{row['rank']}. {row['sentence']}" for row in table.to_dict("records")]
    panel.set_yticks(range(len(table)), ["\n".join(wrap(shorten(label, 110), 58)) for label in labels], fontsize=8)
    panel.set_ylim(max(len(table), 1) - 0.5, -0.5)
    highest = table[["rate_high", "real_rate_high"]].to_numpy(float) if len(table) else np.ones(1)
    panel.set_xlim(0, min(1, 1.1 * float(np.nanmax(highest))))
    panel.set_xlabel("share misread, with 95 % interval")
    panel.plot([], [], "|-", color=GENERATED, label="generated (dot: elsewhere)")
    for verdict, (color, marker) in MARKS.items():
        if (table["verdict"] == verdict).any():
            panel.plot([], [], marker, color=color, label=f"real images: {verdict}")
    panel.legend(fontsize=7, loc="best")
    share = metrics["explained_share"]["value"]
    told = f"{share:.0%} of its failures lie in {kinds} kind{'s' * (kinds != 1)} of input" if kinds else NO_MODE
    panel.set_title(f"{shorten(name, 40)}: {told}")
    return figure


def draw_pictures(place: int, found: Findings, evidence: Evidence, most: int) -> Figure:
    """Generated failures of a mode on the left, the true ones first, real ones on the right; what they are read as."""
    figure, axes = new_figure(1, 2, width=9.0, height=1.1)
    real = found.real_members[place]
    sides = (
        (evidence.generated, found.members[place] & found.half, evidence.confirmed, "generated"),
        (evidence.real, real, np.zeros(len(real), bool), "real"),
    )
    for panel, (seen, member, true, title) in zip(axes[0], sides, strict=True):
        failures = np.flatnonzero(member & seen.wrong)
        rows = failures[np.argsort(~true[failures], kind="stable")][:most]
        if true.any():
            title += f" ({true[rows].sum()} of {len(rows)} true failures)"
        panel.set_axis_off()
        answers = "none is misread"
        if len(rows):
            blank = np.full((most - len(rows), *seen.images.shape[1:]), 255, np.uint8)  # equal sizes in all strips
            show_image(panel, tile(np.concatenate([seen.images[rows], blank]), most))
            answers = _tell_answers(
                [[evidence.class_names[label] for label in each[rows]] for each in (seen.true_class, seen.predicted)]
            )
        panel.set_title(f"{title}: {answers}", fontsize=8)
    return figure


def _tell_answers(names: Sequence[Sequence[str]]) -> str:
    """What each image shows and is read as; where names are long, of the commonest pair alone.

    names: true classes and answers.
    """
    pairs = [f"{true}\N{RIGHTWARDS ARROW}{read}" for true, read in zip(*names, strict=True)]
    if max(map(len, pairs)) <= MOST_LETTERS:
        return "  ".join(pairs)
    (pair, count), *_ = Counter(pairs).most_common(1)
    return f"{shorten(pair, 32)} {count} of {len(pairs)}"


def draw_map(table: pd.DataFrame, evidence: Evidence, name: str) -> Figure:
    """Accuracy over pairs of attributes; pale: fewer than 30 samples.  rings: real images that are misread."""
    panels = [((str(x), str(y)), own) for (x, y), own in table.groupby(["x", "y"], sort=False)]
    figure, axes = new_figure(1, len(panels), width=4.3 * len(panels) + 0.6, height=3.9)
    for panel, ((x, y), own) in zip(axes[0], panels, strict=True):
        cells = own.sort_values(["y_low", "x_low"])
        bins = cells["x_low"].nunique()
        edges = [np.append(cells[f"{side}_low"].unique(), cells[f"{side}_high"].max()) for side in ("x", "y")]
        accuracy, n = (cells[column].to_numpy().reshape(-1, bins) for column in ("accuracy", "n"))
        alpha = np.where(n < ENOUGH, 0.35, 1.0)
        mesh = panel.pcolormesh(*edges, accuracy, cmap="RdYlBu", vmin=0, vmax=1, alpha=alpha)
        for row in cells[cells["n"] > 0].to_dict("records"):
            centre = (row["x_low"] + row["x_high"]) / 2, (row["y_low"] + row["y_high"]) / 2
            color = "white" if row["accuracy"] > 0.85 and row["n"] >= ENOUGH else "black"
            told = f"{row['accuracy']:.2f}\n{row['n']}"
            panel.text(*centre, told, ha="center", va="center", fontsize=6, color=color)
        _draw_real(panel, evidence, (x, y))
        panel.set_xlim(edges[0][[0, -1]])
        panel.set_ylim(edges[1][[0, -1]])
        panel.set_xlabel(_label(x))
        panel.set_ylabel(_label(y))
        panel.grid(visible=False)
    figure.colorbar(mesh, ax=list(axes[0]), label="accuracy", shrink=0.8)
    worst = table.loc[table["n"] >= ENOUGH, "accuracy"].min()
    told = f"accuracy falls to {worst:.2f} where {ENOUGH} samples or more lie"
    figure.suptitle(f"{shorten(name, 40)}: {told} (cells: accuracy, n; rings: real images misread)", fontsize=9)
    return figure


def _draw_real(panel: Axes, evidence: Evidence, pair: tuple[str, str]) -> None:
    columns = [each.name for each in evidence.attributes]
    dots = evidence.real.looks[evidence.real.wrong]
    x, y = (dots[:, columns.index(each)] for each in pair)
    panel.plot(x, y, "o", markerfacecolor="none", markeredgecolor="black", markersize=3, alpha=0.5)


def _label(name: str) -> str:
    unit = REGISTRY[name].short_unit
    return f"{name}, {unit}" if unit else name
