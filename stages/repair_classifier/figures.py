"""Gains with their intervals, modes before and after, planted faults before and after."""

from operator import itemgetter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure, shorten
from stages.repair_classifier.inputs import REAL_TESTS
from stages.repair_classifier.mixtures import PLAIN
from stages.repair_classifier.results import REPAIRED

TITLES = {"clean": "clean images", "recipe": "corrupted by the recipe", "outside": "corruptions outside the recipe"}


def draw_gains(table: pd.DataFrame, name: str) -> Figure:
    """Accuracy of each mixture less that of plain training, on each of the three tests."""
    figure, axes = new_figure(1, len(REAL_TESTS), width=12.0, height=3.6)
    for panel, test in zip(axes[0], REAL_TESTS, strict=True):
        own = table[(table["test"] == test) & (table["mixture"] != PLAIN)]
        labels = [row["mixture"] + f" ({row['generator']})" * bool(row["generator"]) for row in own.to_dict("records")]
        worse = np.where(own["over_plain_high"] < 0, MIS_COLOR, RANDOM_COLOR)
        _draw_bars(panel, own, "over_plain", np.where(own["over_plain_low"] > 0, WELL_COLOR, worse))
        panel.set_yticks(range(len(own)), labels if test == REAL_TESTS[0] else [""] * len(own), fontsize=7)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.invert_yaxis()
        panel.set_xlabel("points more than plain training (bars: 95 %)")
        panel.set_title(TITLES[test])
    trained_again = table[(table["test"] == "recipe") & (table["mixture"] != PLAIN)].to_dict("records")
    best = max(trained_again, key=itemgetter("over_plain"))
    own = table[(table["mixture"] == best["mixture"]) & (table["generator"] == best["generator"])].set_index("test")
    clean, recipe, outside = (f"{own.loc[test, 'over_plain']:+.2f}" for test in REAL_TESTS)
    told = f"{best['mixture']}: {recipe} points by the recipe, {outside} outside it, {clean} on clean images"
    figure.suptitle(f"{shorten(name, 40)}, trained again with {told}", fontsize=10)
    return figure


def draw_modes(table: pd.DataFrame, name: str) -> Figure:
    """How often each mode is misread before and after, on real images and where the auditor is sure."""
    first = table[table["generator"] == table["generator"].iloc[0]] if len(table) else table
    sides = [(str(side), own) for side, own in first.groupby("images", sort=False)]
    figure, axes = new_figure(1, max(len(sides), 1), width=11.0, height=0.5 * len(first) / max(len(sides), 1) + 1.6)
    for panel, (side, own) in zip(axes[0], sides, strict=False):
        for key, color, shift in (("before", MIS_COLOR, -0.12), ("after", WELL_COLOR, 0.12)):
            _draw_bars(panel, own, key, np.full(len(own), color), shift, key)
        labels = [shorten(sentence, 60) for sentence in own["sentence"]]
        panel.set_yticks(range(len(own)), labels if side == sides[0][0] else [""] * len(own), fontsize=8)
        panel.invert_yaxis()
        panel.set_xlim(left=0)
        panel.set_xlabel("misread, % (bars: 95 %)")
        panel.set_title(f"{side} images" if side == "real" else side)
        panel.legend(fontsize=7)
    real = first[first["images"] == "real"]
    told = f"{int((real['verdict'] == REPAIRED).sum())} of {len(real)} modes are misread less"
    figure.suptitle(f"{shorten(name, 40)}: {told} on real images after the repair", fontsize=10)
    return figure


def draw_planted(table: pd.DataFrame) -> Figure:
    """Failure rate in each planted cell of real images, before and after."""
    figure, axes = new_figure(1, 1, width=9.0, height=0.36 * len(table) + 1.6)
    panel = axes[0, 0]
    for key, color, shift, label in (
        ("before", MIS_COLOR, -0.2, "with the fault"), ("generated", RANDOM_COLOR, 0.0, "and generated images"),
        ("after", WELL_COLOR, 0.2, "and failures by mode"),
    ):  # fmt: skip
        _draw_bars(panel, table, key, np.full(len(table), color), shift, label)
    panel.plot(table["without"], range(len(table)), "|", color="black", label="without the fault")
    panel.set_yticks(range(len(table)), [f"{row.cell} ({row.kind})" for row in table.itertuples()], fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel("misread in the cell, share of real images (bars: 95 %)")
    panel.legend(fontsize=7)
    took = table[table["took"]]
    panel.set_title(f"{int(took['repaired'].sum())} of {len(took)} planted faults fall to a third or less")
    return figure


def _draw_bars(
    panel: Axes, table: pd.DataFrame, key: str, colors: np.ndarray, shift: float = 0, label: str = ""
) -> None:
    for place, (row, color) in enumerate(zip(table.to_dict("records"), colors, strict=True)):
        reach = [[row[key] - row[f"{key}_low"]], [row[f"{key}_high"] - row[key]]]
        panel.errorbar(
            [row[key]], [place + shift], xerr=np.maximum(reach, 0), fmt="o", color=color, markersize=4, linewidth=1,
            label=label if not place else None,
        )  # fmt: skip
