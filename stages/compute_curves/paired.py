"""Two classifiers on the same samples: the difference of their curves and of the areas under them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.curves.curve import weigh_area
from failure_atlas.statistics.bootstrap import find_band, resample_means
from failure_atlas.statistics.estimates import Z, percentile


@dataclass(frozen=True)
class Difference:
    """Accuracy of `second` minus that of `first` at the points x [T] of one kind of curve.

    low, high: of each point by itself.  band_low, band_high: of the whole curve at once.  n: [T].
    area: {value, low, high, n} of the area between the curves.
    """

    first: str
    second: str
    kind: str
    x: np.ndarray
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    band_low: np.ndarray
    band_high: np.ndarray
    n: np.ndarray
    area: dict[str, Any]

    @property
    def name(self) -> str:
        """The pair in the words of metrics.json."""
        return f"{self.second}_minus_{self.first}"


def pair_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every two classifiers, in the order they were given."""
    return list(combinations(names, 2))


def compare(
    first: str, second: str, kind: str, x: np.ndarray, gain: np.ndarray, member: np.ndarray, counts: np.ndarray
) -> Difference:
    """The difference of two curves whose samples are the same.

    x: [T], fixed.  gain: [T, N], 1 where only the second is right, -1 where only the first is, else 0.
    member: bool [T, N], the samples of each point, one at least.  counts: [R, N], of `draw_counts`.
    Standard errors of the points are those of matched pairs with half a sample added to each of the four outcomes
    (Agresti and Min 2005), so that no point claims to be certain; band and area are bootstrapped over samples, each
    with all its points, the area by percentiles.
    """
    n = member.sum(axis=1)
    outcomes = (gain > 0, gain < 0)
    gained, lost = (np.where(member, outcome, 0).sum(axis=1) / n for outcome in outcomes)
    drawn_gained, drawn_lost = (resample_means(outcome, member, counts) for outcome in outcomes)
    difference, replicates = gained - lost, drawn_gained - drawn_lost
    error = _find_error(gained, lost, n)
    band_low, band_high = find_band(difference, error, replicates, _find_error(drawn_gained, drawn_lost, n))
    weights = weigh_area(x)
    area_low, area_high = percentile(replicates @ weights)
    taking_part = int(np.count_nonzero(member.any(axis=0)))
    area = {"value": float(weights @ difference), "low": area_low, "high": area_high, "n": taking_part}
    return Difference(
        first,
        second,
        kind,
        np.asarray(x, float),
        difference,
        low=np.clip(difference - Z * error, -1, 1),
        high=np.clip(difference + Z * error, -1, 1),
        band_low=np.clip(band_low, -1, 1),
        band_high=np.clip(band_high, -1, 1),
        n=n,
        area=area,
    )


def tabulate_differences(differences: Sequence[Difference]) -> pd.DataFrame:
    """One row per point."""
    columns = ("x", "difference", "low", "high", "band_low", "band_high", "n")
    tables = [
        pd.DataFrame(
            {"pair": each.name, "kind": each.kind, "point": np.arange(len(each.x))}
            | {column: getattr(each, column) for column in columns}
        )
        for each in differences
    ]
    head = ["pair", "kind", "point", *columns]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=head)


def summarize_differences(differences: Sequence[Difference]) -> dict[str, dict[str, Any]]:
    """Areas between the curves: pair -> `area` by distance and `shift_area` by shift."""
    summary: dict[str, dict[str, Any]] = {}
    for each in differences:
        summary.setdefault(each.name, {})["area" if each.kind == "distance" else f"{each.kind}_area"] = each.area
    return summary


def _find_error(gained: np.ndarray, lost: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of a share gained minus a share lost, with half a sample added to each outcome."""
    total = n + 2
    gained, lost = (gained * n + 0.5) / total, (lost * n + 0.5) / total
    return np.asarray(np.sqrt((gained + lost - (gained - lost) ** 2) / total))
