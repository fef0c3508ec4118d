"""Two generators compared in names and in layers, each against what chance gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.directions.naming import NAMELESS
from failure_atlas.statistics.estimates import percentile
from stages.compare_generators.chance import bound, describe_chance, draw_permutations, draw_with_replacement
from stages.compare_generators.inputs import View
from stages.compare_generators.shares import compare_directions, compare_sets, overlap_shares, share_influence

Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """metrics: as they stand in metrics.json.  table: one row per group, see `tabulate_shares`."""

    metrics: dict[str, Any]
    table: pd.DataFrame


def compare_names(first: View, second: View, top: int, replicates: int, random: np.random.Generator) -> Comparison:
    """Names of the leading `top` dimensions: their shares of the influence, and which names both have.

    Shares are weighted by |score * std|, so a name counts as much as the softmax moves along its dimensions.
    Intervals: bootstrap over the dimensions.  Chance: names dealt out again among all dimensions that a generator has a
    name for, those that only a class ranks high included, so that what is left is how common a name is.
    """
    views = (first, second)
    influences = [view.influence[view.order[:top]] for view in views]
    names = [view.names[:top] for view in views]
    known = [np.concatenate([view.names, view.others]) for view in views]
    groups = sorted(set(np.concatenate(known).tolist()))
    # Having in common that nothing explains what is seen is no agreement.
    meaningful = np.array([name not in NAMELESS for name in groups])
    shares = [share_influence(influence, name, groups) for influence, name in zip(influences, names, strict=True)]
    drawn, dealt = [], []
    for influence, name, pool in zip(influences, names, known, strict=True):
        rows = draw_with_replacement(top, replicates, random)
        drawn.append(share_influence(influence[rows], name[rows], groups))
        dealt.append(
            share_influence(influence, pool[draw_permutations(len(pool), replicates, random)[:, :top]], groups)
        )

    def compare_meaningful(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return compare_sets(a[..., meaningful], b[..., meaningful])

    measures: dict[str, Compare] = {"name_share_overlap": overlap_shares, "name_jaccard": compare_meaningful}
    metrics: dict[str, Any] = {}
    for measure, compare in measures.items():
        value = float(compare(*shares))
        metrics[measure] = bound(value, compare(*drawn), top)
        metrics[f"{measure}_by_chance"] = describe_chance(value, compare(*dealt))
    own = [set(part.tolist()) - set(NAMELESS) for part in names]
    metrics["names_in_both"] = sorted(own[0] & own[1])
    metrics["names_in_first_only"] = sorted(own[0] - own[1])
    metrics["names_in_second_only"] = sorted(own[1] - own[0])
    present = np.isin(groups, np.concatenate(names))
    return Comparison(metrics, tabulate_shares("name", top, groups, shares, drawn).loc[present].reset_index(drop=True))


def compare_layers(first: View, second: View, replicates: int, random: np.random.Generator) -> Comparison:
    """Influence per layer: the shares, their cosine, and what it would be if layers did not matter.

    Intervals: bootstrap over the dimensions of each layer.  Chance: each generator's influence dealt out again over all
    its dimensions, so that what is left is how many dimensions a layer has.
    """
    views = (first, second)
    layers = list(dict.fromkeys(first.layer.tolist()))
    shares = [share_influence(view.influence, view.layer, layers) for view in views]
    drawn, dealt = [], []
    for view in views:
        rows = draw_with_replacement(len(view.layer), replicates, random, strata=view.layer)
        drawn.append(share_influence(view.influence[rows], view.layer, layers))
        orders = draw_permutations(len(view.layer), replicates, random)
        dealt.append(share_influence(view.influence[orders], view.layer, layers))
    value = float(compare_directions(*shares))
    metrics = {
        "layer_cosine": bound(value, compare_directions(*drawn), len(first.layer)),
        "layer_cosine_by_chance": describe_chance(value, compare_directions(*dealt)),
    }
    return Comparison(metrics, tabulate_shares("layer", len(first.layer), layers, shares, drawn))


def tabulate_shares(
    kind: str, dimensions: int, groups: Sequence[str], shares: Sequence[np.ndarray], drawn: Sequence[np.ndarray]
) -> pd.DataFrame:
    """One row per group: kind, dimensions, group, and of each generator its share with the 95 % bootstrap interval.

    dimensions: how many of each generator are shared out.  shares: two of [G].  drawn: two of [R, G].
    """
    columns: dict[str, Any] = {"kind": kind, "dimensions": dimensions, "group": list(groups)}
    for name, share, replicates in zip(("first", "second"), shares, drawn, strict=True):
        bounds = np.array([percentile(column) for column in replicates.T])
        columns |= {f"{name}_share": share, f"{name}_low": bounds[:, 0], f"{name}_high": bounds[:, 1]}
    return pd.DataFrame(columns)
