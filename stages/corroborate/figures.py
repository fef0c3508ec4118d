"""Generated beside real images: accuracy by distance, each claim, and accuracy under a move."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure, shorten
from failure_atlas.inversion.corroboration import CHANCE, CONTRADICTED, CORROBORATED, NO_CLAIM, TOO_FEW
from stages.corroborate.claims import NONE

MARKS = {
    CORROBORATED: (WELL_COLOR, "o"),
    CONTRADICTED: (MIS_COLOR, "X"),
    TOO_FEW: (RANDOM_COLOR, "s"),
    NO_CLAIM: ("#bbbbbb", "v"),
}
GENERATED = "black"


def draw_corroboration(claims: pd.DataFrame, curve: pd.DataFrame, shifts: pd.DataFrame, name: str) -> Figure:
    """Three panels; bars are 95 % intervals, of real images over images."""
    figure, axes = new_figure(1, 3, width=12.5, height=0.28 * len(claims) + 1.6)
    draw_points(axes[0, 0], curve, "distance", "accuracy by distance from the centre of the class")
    axes[0, 0].set_xlabel("distance in the leading dimensions, std")
    draw_claims(axes[0, 1], claims)
    draw_points(axes[0, 2], shifts, "shift_std", "accuracy, moved along the leading directions")
    axes[0, 2].set_xlabel("shift of each, std")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKS), fontsize=8)
    figure.suptitle(f"{shorten(name, 40)}: what generated images say, and real ones", fontsize=10)
    return figure


def draw_points(ax: Axes, table: pd.DataFrame, x: str, title: str) -> None:
    """Generated and real accuracy against x."""
    offset = 0.01 * float(table[x].max() - table[x].min() or 1)
    for side, color, shift in (("generated", GENERATED, -offset), ("real", WELL_COLOR, offset)):
        reach = [table[side] - table[f"{side}_low"], table[f"{side}_high"] - table[side]]
        ax.errorbar(
            table[x] + shift, table[side], yerr=[each.clip(lower=0) for each in reach], fmt="o-", color=color,
            markersize=4, linewidth=1, label=f"{side} (n={int(table[f'{side}_n'].max()):,}"
            + (" a bin)" if x == "distance" and side == "generated" else " at most a bin)" if x == "distance" else ")"),
        )  # fmt: skip
    ax.set_title(title)
    ax.set_ylabel("accuracy")
    ax.legend(fontsize=7)


def draw_claims(ax: Axes, claims: pd.DataFrame) -> None:
    """The chance that an error has the higher score, one row a claim."""
    seen = set()
    for place, row in enumerate(claims.to_dict("records")):
        color, marker = MARKS[row["verdict"]]
        for side, tint, shape, shift in (("generated", GENERATED, "|", -0.15), ("real", color, marker, 0.15)):
            reach = [[row[side] - row[f"{side}_low"]], [row[f"{side}_high"] - row[side]]]
            label = row["verdict"] if side == "real" and row["verdict"] not in seen else None
            ax.errorbar(
                [row[side]], [place + shift], xerr=reach, fmt=shape, color=tint, markersize=5, label=label, linewidth=1
            )
            seen |= {row["verdict"]} if side == "real" else set()
    labels = [
        row["claim"] if row["dimension"] == NONE else f"{row['dimension']} ({shorten(row['name'], 24)})"
        for row in claims.to_dict("records")
    ]
    ax.set_yticks(range(len(claims)), labels, fontsize=7)
    ax.axvline(CHANCE, color="black", linewidth=0.8)
    ax.invert_yaxis()
    ax.set_title("area under the ROC curve: errors against the rest\nblack: generated; colour: real")
