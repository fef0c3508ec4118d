"""The map: accuracy over pairs of attributes, with real images in the same cells."""

from itertools import combinations

import numpy as np
import pandas as pd

from failure_atlas.attributes.registry import Attribute
from failure_atlas.statistics.estimates import estimate_share
from stages.find_modes.findings import Findings
from stages.find_modes.inputs import Evidence

PAIRS = 3  # of attributes, at most
REACH = 0.005  # of the samples lie beyond the map on either side


def choose_pairs(found: Findings, evidence: Evidence) -> list[tuple[int, int]]:
    """Pairs of the attributes that modes are made of most often; counts make no axis."""
    used = [each for mode in found.modes for each in mode.bounds if _is_axis(evidence.attributes[each])]
    order = sorted(set(used), key=lambda each: (-used.count(each), each))
    order += [
        each for each in range(len(evidence.attributes)) if _is_axis(evidence.attributes[each]) and each not in order
    ]
    return list(combinations(order[:3], 2))[:PAIRS]


def _is_axis(attribute: Attribute) -> bool:
    return not attribute.counted[0]


def tabulate_map(found: Findings, evidence: Evidence, bins: int) -> pd.DataFrame:
    """map.csv: cells of equal width, their n, accuracy and interval, and real images in them; all samples."""
    made, real, rows = evidence.generated, evidence.real, []
    for pair in choose_pairs(found, evidence):
        edges = [_cut(made.looks[:, each], bins) for each in pair]
        looks = [each.looks[:, list(pair)] for each in (made, real)]
        looks = [looks[0], looks[0][~made.wrong], looks[1], looks[1][~real.wrong]]
        counts = [np.histogramdd(each, bins=edges)[0].astype(int) for each in looks]
        names = [evidence.attributes[each].name for each in pair]
        for x in range(bins):
            for y in range(bins):
                n, right, n_real, real_right = (int(each[x, y]) for each in counts)
                share = estimate_share(right, n)
                rows.append({
                    "x": names[0], "y": names[1], "x_low": edges[0][x], "x_high": edges[0][x + 1],
                    "y_low": edges[1][y], "y_high": edges[1][y + 1], "n": n, "right": right,
                    "accuracy": share.value, "low": share.low, "high": share.high, "n_real": n_real,
                    "real_right": real_right,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _cut(values: np.ndarray, bins: int) -> np.ndarray:
    low, high = np.nanquantile(values, (REACH, 1 - REACH))
    return np.linspace(low, high if high > low else low + 1, bins + 1)
