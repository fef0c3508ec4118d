"""Two generators compared in names and in layers: how the influence is shared out, each against what chance gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.directions.naming import NAMELESS
from failure_atlas.statistics.estimates import Estimate, percentile
from stages.compare_generators.inputs import NamedRanking

NAN = float("nan")
Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]
Side = list[np.ndarray]  # of one generator: its shares [G], their bootstrap replicates and those by chance, both [R, G]
# Metrics as they stand in metrics.json; one row per group: kind, dimensions (how many of each generator are shared
# out), group, and of each generator its share with the 95 % bootstrap interval.
Compared = tuple[dict[str, Any], pd.DataFrame]


def compare_names(pair: Sequence[NamedRanking], top: int, replicates: int, random: np.random.Generator) -> Compared:
    """Names of the leading `top` dimensions: their shares of the influence, and which names both have.

    Shares are weighted by |score * std|, so a name counts as much as the softmax moves along its dimensions.
    Intervals: bootstrap over the dimensions.  Chance: names dealt out again among all dimensions that a generator has a
    name for, those that only a class ranks high included, so that what is left is how common a name is.
    """
    groups = sorted({name for each in pair for name in (*each.names.tolist(), *each.others.tolist())})
    sides: list[Side] = []
    for each in pair:
        influence, names, pool = each.influence[each.order[:top]], each.names[:top], [*each.names, *each.others]
        rows = draw_with_replacement(top, replicates, random)
        orders = draw_permutations(len(pool), replicates, random)[:, :top]
        variants = ((influence, names), (influence[rows], names[rows]), (influence, np.array(pool)[orders]))
        sides.append([share_influence(weight, group, groups) for weight, group in variants])
    # Having in common that nothing explains what is seen is no agreement.
    meaningful = np.array([name not in NAMELESS for name in groups])
    measures: dict[str, Compare] = {
        "name_share_overlap": overlap_shares,
        "name_jaccard": lambda a, b: compare_sets(a[..., meaningful], b[..., meaningful]),
    }
    metrics = _measure(measures, top, sides)
    first, second = ({*each.names[:top].tolist()} - {*NAMELESS} for each in pair)
    metrics["names_in_both"] = sorted(first & second)
    metrics["names_in_first_only"] = sorted(first - second)
    metrics["names_in_second_only"] = sorted(second - first)
    present = np.isin(groups, np.concatenate([each.names[:top] for each in pair]))
    return metrics, _tabulate("name", top, groups, sides).loc[present].reset_index(drop=True)


def compare_layers(pair: Sequence[NamedRanking], replicates: int, random: np.random.Generator) -> Compared:
    """Influence per layer: the shares, their cosine, and what it would be if layers did not matter.

    Intervals: bootstrap over the dimensions of each layer.  Chance: each generator's influence dealt out again over all
    its dimensions, so that what is left is how many dimensions a layer has.
    """
    layers, dimensions = list(dict.fromkeys(pair[0].layer.tolist())), len(pair[0].layer)
    sides: list[Side] = []
    for each in pair:
        rows = draw_with_replacement(dimensions, replicates, random, strata=each.layer)
        orders = draw_permutations(dimensions, replicates, random)
        variants = (each.influence, each.influence[rows], each.influence[orders])
        sides.append([share_influence(influence, each.layer, layers) for influence in variants])
    metrics = _measure({"layer_cosine": compare_directions}, dimensions, sides)
    return metrics, _tabulate("layer", dimensions, layers, sides)


def share_influence(influence: np.ndarray, group: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Share of the influence that each group carries: [G], summing to 1; NaN where there is no influence.

    influence: [..., K], none negative.  group: text [..., K], each among `groups`.  Returns [..., G].
    """
    sums = np.stack([(influence * (group == name)).sum(axis=-1) for name in groups], axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / influence.sum(axis=-1, keepdims=True))


def overlap_shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What two distributions have in common, sum of min: 1 if equal, 0 if disjoint; [..., G] to [...]."""
    return np.asarray(np.minimum(first, second).sum(axis=-1))


def compare_directions(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine between two vectors without negative entries: [..., G] to [...]; NaN where one is 0."""
    norms = np.sqrt(np.square(first).sum(axis=-1) * np.square(second).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((first * second).sum(axis=-1) / norms)


def compare_sets(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard index of the groups with any share in both: [..., G] to [...]; NaN where neither has any."""
    both, either = ((first > 0) & (second > 0)).sum(axis=-1), ((first > 0) | (second > 0)).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(both / either)


def draw_with_replacement(
    count: int, replicates: int, random: np.random.Generator, strata: np.ndarray | None = None
) -> np.ndarray:
    """Indices of bootstrap samples, int64 [R, count]; strata: [count], each drawn among its own, or None."""
    drawn = np.empty((replicates, count), np.int64)
    strata = np.zeros(count) if strata is None else strata
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn[:, members] = members[random.integers(0, len(members), (replicates, len(members)))]
    return drawn


def draw_permutations(count: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    """Random orders of `count` things: int64 [R, count]."""
    return random.permuted(np.tile(np.arange(count), (replicates, 1)), axis=1)


def bound(value: float, replicates: np.ndarray, n: int) -> dict[str, Any]:
    """A value with the 95 % interval of its bootstrap replicates, widened to hold it: `{value, low, high, n}`.

    Widened, because what is compared can only lose by resampling: a group that is not drawn is not in common.
    """
    known = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(known) == 0:
        return Estimate(NAN, n=n).as_dict()
    low, high = percentile(known)
    return Estimate(value, min(low, value), max(high, value), n).as_dict()


def describe_chance(value: float, chance: np.ndarray) -> dict[str, Any]:
    """What chance gives, and how often it gives as much as the value: `{value, low, high, n, p_value}`.

    chance: [R] values under the null hypothesis.  value, low, high: its mean and 95 % range.  p_value: one-sided, with
    the observed value counted as one more draw (Davison and Hinkley 1997, 4.3), so never 0.
    """
    known = chance[np.isfinite(chance)]
    if not np.isfinite(value) or len(known) == 0:
        return {**Estimate(NAN, n=0).as_dict(), "p_value": NAN}
    # Values of one kind that differ by rounding only are equal.
    p_value = (1 + int((known >= value - 1e-12).sum())) / (1 + len(known))
    return {**Estimate(float(known.mean()), *percentile(known), len(known)).as_dict(), "p_value": p_value}


def _measure(measures: Mapping[str, Compare], n: int, sides: Sequence[Side]) -> dict[str, Any]:
    """Each measure of the two with its interval, and what chance gives."""
    metrics: dict[str, Any] = {}
    for name, compare in measures.items():
        value, drawn, dealt = (compare(*both) for both in zip(*sides, strict=True))
        metrics[name] = bound(float(value), drawn, n)
        metrics[f"{name}_by_chance"] = describe_chance(float(value), dealt)
    return metrics


def _tabulate(kind: str, dimensions: int, groups: Sequence[str], sides: Sequence[Side]) -> pd.DataFrame:
    columns: dict[str, Any] = {"kind": kind, "dimensions": dimensions, "group": list(groups)}
    for name, (share, drawn, _) in zip(("first", "second"), sides, strict=True):
        low, high = zip(*map(percentile, drawn.T), strict=True)
        columns |= {f"{name}_share": share, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)
