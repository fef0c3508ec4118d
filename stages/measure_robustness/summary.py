"""What the stage reports: how far failure lies by each kind of walk, and what the judge sees there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import LABEL_KEPT, VERDICTS
from failure_atlas.ranking.scores import FINITE_DIFFERENCE
from failure_atlas.statistics.estimates import proportion
from failure_atlas.statistics.survival import find_median, share_within
from failure_atlas.walks.kinds import BEYOND_STD
from failure_atlas.walks.space import KeptSlopes, StdSpace
from failure_atlas.walks.starts import MEAN, average_draws

LIMITS_STD = (1, 2, 3, 5, 10)


def summarize(
    table: pd.DataFrame, class_names: Sequence[str], max_shift_std: float, single_max_shift_std: float, space: StdSpace
) -> dict[str, Any]:
    """Figures of the table of starts, and what the walks through a space cost.

    from_means: means over draws of the noise of each mean, see `average_draws`; sets are of the first.
    population: the draw of samples as a whole, those in doubt from the start at distance 0.  from_samples, from_means:
    the walks alone.  joint, single, set: where 0.50 was reached, which the classifier mostly still gets right, so that
    label_kept_share tells how many images the judge still reads there; beyond: 1 std farther, where true_failure_share
    says what the walks lead to: like all shares of verdicts, of the ends that were reached.
    slope, slope_dimensions, slope_step_std: only where slopes are no gradients.
    Walks share networks, so the intervals, made for independent walks, are on the narrow side.
    """
    is_mean = table["start"] == MEAN
    draws = sorted(set(table.loc[is_mean, "noise_draw"]))
    samples, walked = table[~is_mean], table["walked"]
    summary: dict[str, Any] = {
        "max_shift_std": max_shift_std,
        "single_max_shift_std": single_max_shift_std,
        "population": _summarize_population(samples, max_shift_std),
        "per_class": {
            name: {
                **_summarize_population(samples[samples["class"] == name], max_shift_std),
                "median_set_size": _find_set_median(table[table["class"] == name], "set_size"),
            }
            for name in class_names
        },
        "from_samples": _summarize_walks(table[walked & ~is_mean], max_shift_std, single_max_shift_std),
        "from_means": {
            **average_draws(
                [
                    _summarize_walks(
                        table[walked & is_mean & (table["noise_draw"] == draw)], max_shift_std, single_max_shift_std
                    )
                    for draw in draws
                ]
            ),
            "noise_draws": len(draws),
        },
        "images": space.passes.images,
        "gradients": space.passes.gradients,
    }
    if space.kept:
        count, step_std = space.kept.dimensions.shape[1], space.kept.step_std
        summary |= {"slope": FINITE_DIFFERENCE, "slope_dimensions": count, "slope_step_std": step_std}
    return summary


def tell_slopes(kept: KeptSlopes | None) -> str:
    """What figures say of the slopes that joint walks and sets follow; empty for gradients."""
    if kept is None:
        return ""
    return f"slopes by finite differences, anew along the {kept.dimensions.shape[1]} steepest dimensions only"


def tell(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    walks = metrics["from_samples"]
    farther = walks["beyond"]

    def say(median: dict[str, Any], unit: str) -> str:
        return f"{median['value']:.1f} {unit}" if np.isfinite(median["value"]) else "beyond what was tried"

    return (
        f"median distance to failure from well-classified samples: {say(walks['joint']['median_std'], 'std')} jointly, "
        f"{say(walks['single']['median_std'], 'std')} along the best single dimension; greedy sets of "
        f"{say(walks['set']['median_size'], 'dimensions')}; {BEYOND_STD:g} std beyond the "
        f"joint ends the classifier is wrong on {farther['misclassified']['value']:.2f}, "
        f"{farther['true_failure_share']['value']:.2f} are true failures"
    )


def _summarize_population(samples: pd.DataFrame, max_shift_std: float) -> dict[str, Any]:
    distance, reached = _read(samples, "distance_std", "reached")
    return {
        "in_doubt_at_start": proportion(~samples["walked"].to_numpy(bool)),
        "misclassified_at_start": proportion((samples["start_predicted_class"] != samples["class"]).to_numpy(bool)),
        "median_distance_std": find_median(distance, reached),
        **_count_within("failed", distance, reached, max_shift_std),
    }


def _summarize_walks(walks: pd.DataFrame, max_shift_std: float, single_max_shift_std: float) -> dict[str, Any]:
    distance, reached = _read(walks, "distance_std", "reached")
    single, single_reached = _read(walks, "single_distance_std", "single_reached")
    sets = walks[walks["set_searched"]]
    moved = reached & (distance > 0)
    wrong = (walks["beyond_predicted_class"] != walks["class"]).to_numpy(bool)
    return {
        "walks": len(walks),
        "confirmed_at_start": proportion(walks["start_confirmed"].to_numpy(bool)),
        "joint": {
            **_summarize_rule(walks, "", max_shift_std),
            "median_path_std": find_median(walks["path_std"].to_numpy(float), reached),
            **_count_verdicts(walks, "", reached),
        },
        "beyond": {"misclassified": proportion(wrong[reached]), **_count_verdicts(walks, "beyond_", reached)},
        "single": {
            **_summarize_rule(walks, "single_", single_max_shift_std),
            **_count_verdicts(walks, "single_", single_reached),
        },
        "top": _summarize_rule(walks, "top_", single_max_shift_std),
        "single_over_joint": find_median(single[moved] / distance[moved], single_reached[moved]),
        "joint_is_shorter": proportion((distance < np.where(single_reached, single, np.inf))[reached]),
        "only_joint_reaches": proportion(reached & ~single_reached),
        "only_single_reaches": proportion(single_reached & ~reached),
        "set": {
            "searched": len(sets),
            "reached": proportion(sets["set_reached"].to_numpy(bool)),
            "median_size": _find_set_median(walks, "set_size"),
            "median_std": _find_set_median(walks, "set_distance_std"),
            "pruned": int(sets["set_pruned"].sum()),
            **_count_verdicts(sets, "set_", sets["set_reached"].to_numpy(bool)),
        },
    }


def _summarize_rule(walks: pd.DataFrame, prefix: str, farthest_std: float) -> dict[str, Any]:
    distance, reached = _read(walks, f"{prefix}distance_std", f"{prefix}reached")
    return {
        "reached": proportion(reached),
        "median_std": find_median(distance, reached),
        **_count_within("reached", distance, reached, farthest_std),
    }


def _read(table: pd.DataFrame, distance: str, reached: str) -> tuple[np.ndarray, np.ndarray]:
    return table[distance].to_numpy(float), table[reached].to_numpy(bool)


def _find_set_median(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """Median over the greedy sets; one that did not reach 0.50 would have to be larger."""
    return find_median(*_read(table[table["set_searched"]], column, "set_reached"))


def _count_within(name: str, distance: np.ndarray, reached: np.ndarray, farthest_std: float) -> dict[str, Any]:
    """Shares of all that reached 0.50 within each limit; unknown (NaN) farther out than was tried."""
    shares = share_within(distance, reached, LIMITS_STD, farthest_std)
    return {f"{name}_within_{limit}_std": share for limit, share in shares.items()}


def _count_verdicts(walks: pd.DataFrame, place: str, reached: np.ndarray) -> dict[str, Any]:
    """Share of each verdict among the ends that reached 0.50, and of those in which the judge still reads the class."""
    given, read = (walks[f"{place}{column}"].to_numpy(str)[reached] for column in ("verdict", "reading"))
    shares = {f"{verdict.replace(' ', '_')}_share": proportion(given == verdict) for verdict in VERDICTS}
    return {"label_kept_share": proportion(read == LABEL_KEPT)} | shares
