"""The modes side by side, a strip of pictures for each, and the map."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.attributes.registry import REGISTRY
from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure, shorten, show_image, tile
from failure_atlas.inversion.corroboration import CONTRADICTED, CORROBORATED, TOO_FEW
from stages.find_modes.findings import ENOUGH, Findings
from stages.find_modes.inputs import Evidence, Seen

MARKS = {CORROBORATED: (WELL_COLOR, "o"), CONTRADICTED: (MIS_COLOR, "X"), TOO_FEW: (RANDOM_COLOR, "s")}
GENERATED = "black"


def draw_modes(table: pd.DataFrame, metrics: dict[str, object], name: str) -> Figure:
    """Failure rates in each mode: generated, real, and elsewhere."""
    figure, axes = new_figure(1, 1, width=8.5, height=0.42 * max(len(table), 1) + 1.3)
    panel = axes[0, 0]
    for place, row in enumerate(table.to_dict("records")):
        color, marker = MARKS[row["verdict"]]
        for side, tint, shape, shift in (("rate", GENERATED, "|", -0.14), ("real_rate", color, marker, 0.14)):
            if np.isnan(row[side]):
                continue
            reach = [[row[side] - row[f"{side}_low"]], [row[f"{side}_high"] - row[side]]]
            panel.errorbar([row[side]], [place + shift], xerr=reach, fmt=shape, color=tint, markersize=6, linewidth=1)
        panel.plot([row["rate_elsewhere"]], [place - 0.14], ".", color=GENERATED, markersize=4)
    panel.set_yticks(range(len(table)), [f"{shorten(text, 70)}" for text in table["sentence"]], fontsize=8)
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.set_xlabel("share misread (bars: 95 %; black: generated, dot: elsewhere; colour: real images)")
    marks = [panel.plot([], [], marker, color=color, label=f"real images: {verdict}")[0]
             for verdict, (color, marker) in MARKS.items()]  # fmt: skip
    panel.legend(handles=marks, fontsize=7, loc="upper right")
    share = metrics["explained_share"]
    told = f"{share['value']:.0%} of its failures lie in" if isinstance(share, dict) and len(table) else "no failures lie in"
    panel.set_title(f"{shorten(name, 40)}: {told} {len(table)} kind{'s' * (len(table) != 1)} of input")
    return figure


def draw_pictures(row: dict[str, object], place: int, found: Findings, evidence: Evidence, most: int) -> Figure:
    """Generated failures of a mode on the left, real ones on the right, with what they are read as."""
    figure, axes = new_figure(1, 2, width=9.0, height=1.75)
    sides = (
        (evidence.generated, found.members[place] & found.half & evidence.confirmed, "generated"),
        (evidence.real, found.real_members[place], "real test images"),
    )
    for panel, (seen, member, title) in zip(axes[0], sides, strict=True):
        _draw_strip(panel, seen, np.flatnonzero(member & seen.wrong)[:most], most, title, evidence.class_names)
    figure.suptitle(shorten(str(row["sentence"]), 110), fontsize=9)
    return figure


def _draw_strip(panel, seen: Seen, rows: np.ndarray, most: int, title: str, names: list[str]) -> None:  # type: ignore[no-untyped-def]
    if not len(rows):
        panel.set_axis_off()
        panel.set_title(f"{title}: none is misread", fontsize=8)
        return
    show_image(panel, tile(seen.images[rows], min(most, len(rows))))
    answers = " ".join(f"{shorten(names[seen.true_class[row]], 8)}→{shorten(names[seen.predicted[row]], 8)}" for row in rows)
    panel.set_title(f"{title}: {answers}", fontsize=8)


def draw_map(table: pd.DataFrame, evidence: Evidence, name: str) -> Figure:
    """Accuracy over pairs of attributes; what holds fewer than 30 samples is pale, real misread images are dots."""
    pairs = list(dict.fromkeys(zip(table["x"], table["y"], strict=True)))
    figure, axes = new_figure(1, max(len(pairs), 1), width=4.3 * max(len(pairs), 1), height=3.9)
    columns = [each.name for each in evidence.attributes]
    mesh = None
    for panel, (x, y) in zip(axes[0], pairs, strict=False):
        own = table[(table["x"] == x) & (table["y"] == y)]
        bins = round(len(own) ** 0.5)
        x_edges = np.append(own["x_low"].to_numpy()[::bins], own["x_high"].iloc[-1])
        y_edges = np.append(own["y_low"].to_numpy()[:bins], own["y_high"].iloc[-1])
        accuracy = own["accuracy"].to_numpy().reshape(bins, bins).T
        n = own["n"].to_numpy().reshape(bins, bins).T
        mesh = panel.pcolormesh(x_edges, y_edges, accuracy, cmap="RdYlBu", vmin=0, vmax=1, alpha=np.where(n < ENOUGH, 0.35, 1.0))
        for column in range(bins):
            for line in range(bins):
                if n[line, column]:
                    centre = (x_edges[column] + x_edges[column + 1]) / 2, (y_edges[line] + y_edges[line + 1]) / 2
                    panel.text(*centre, f"{accuracy[line, column]:.2f}\n{n[line, column]}", ha="center", va="center", fontsize=6)
        real, wrong = evidence.real.values, evidence.real.wrong
        dots = [real[wrong, columns.index(each)] for each in (x, y)]
        inside = (dots[0] >= x_edges[0]) & (dots[0] <= x_edges[-1]) & (dots[1] >= y_edges[0]) & (dots[1] <= y_edges[-1])
        panel.plot(dots[0][inside], dots[1][inside], ".", color="black", markersize=3, alpha=0.6)
        panel.set_xlabel(f"{x}, {REGISTRY[x].short_unit or 'grey'}" if REGISTRY[x].short_unit else x)
        panel.set_ylabel(f"{y}, {REGISTRY[y].short_unit}" if REGISTRY[y].short_unit else y)
        panel.grid(visible=False)
    if mesh is not None:
        figure.colorbar(mesh, ax=list(axes[0]), label="accuracy", shrink=0.8)
    worst = table.loc[table["n"] >= ENOUGH, "accuracy"].min() if len(table) else np.nan
    figure.suptitle(f"{shorten(name, 40)}: accuracy falls to {worst:.2f} (cells: accuracy, n; dots: real images that are misread)", fontsize=9)
    return figure
