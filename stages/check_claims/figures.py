"""The claims as a table that can be read without the files."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.decisions.claims import Claim
from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure
from failure_atlas.statistics.estimates import FAILS, HOLDS, NOT_DECIDED

VERDICT_COLORS = {HOLDS: WELL_COLOR, FAILS: MIS_COLOR, NOT_DECIDED: RANDOM_COLOR}
CLAIM_WIDTH, SOURCE_WIDTH, EVIDENCE_WIDTH = 58, 20, 90  # characters
LINE_INCHES = 0.135
# Shares of the figure's width; corrected: for the number of claims.
PLACES = {"verdict": 0.0, "corrected": 0.075, "claim": 0.15, "paper": 0.44, "evidence": 0.54}


def tabulate_claims(claims: Sequence[Claim]) -> pd.DataFrame:
    """One row per claim, its evidence as text."""
    keys = ("id", "verdict", "corrected_verdict", "p_value", "holm_p_value", "claim", "versions", "source", "rule")
    return pd.DataFrame(
        {key: getattr(claim, key) for key in keys} | {"evidence": "; ".join(_tell_evidence(claim))} for claim in claims
    )


def draw_claims(claims: Sequence[Claim]) -> Figure:
    """Both verdicts, claim, place in the paper and evidence, one row per claim."""
    rows = [_wrap(claim) for claim in claims]
    lines = [max(len(cell) for cell in row.values()) + 1 for row in rows]
    total = sum(lines) + 2
    figure, axes = new_figure(1, 1, width=12.0, height=LINE_INCHES * total)
    ax = axes[0, 0]
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(total, 0)
    for name, place in PLACES.items():
        ax.text(place, 0.2, name, fontsize=8, weight="bold", va="top")
    top = 2.0
    for row, height in zip(rows, lines, strict=True):
        ax.axhline(top - 0.45, color="#cccccc", linewidth=0.6)
        for name, cell in row.items():
            bold = {"color": VERDICT_COLORS[cell[0]], "weight": "bold"} if name in ("verdict", "corrected") else {}
            ax.text(PLACES[name], top, "\n".join(cell), fontsize=7, va="top", linespacing=1.15, **bold)
        top += height
    return figure


def _wrap(claim: Claim) -> dict[str, list[str]]:
    evidence = _tell_evidence(claim) or ["none"]
    return {
        "verdict": [claim.verdict],
        "corrected": [claim.corrected_verdict],
        "claim": textwrap.wrap(f"{claim.claim} {claim.versions}", CLAIM_WIDTH),
        "paper": textwrap.wrap(claim.source, SOURCE_WIDTH),
        "evidence": [line for text in evidence for line in textwrap.wrap(text, EVIDENCE_WIDTH, subsequent_indent="  ")],
    }


def _tell_evidence(claim: Claim) -> list[str]:
    return [f"{name} {estimate.tell()}" for name, estimate in claim.evidence.items()]
