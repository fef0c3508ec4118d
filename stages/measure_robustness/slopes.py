"""Which dimensions slopes are differenced along, for a classifier that gives no gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.measure_robustness.std_space import Differences
from stages.rank_dimensions.score_choice import FINITE_DIFFERENCE

ALL_TOGETHER = "all dimensions together"


def choose_dimensions(
    ranking: pd.DataFrame, true_class: np.ndarray, class_names: Sequence[str], count: int
) -> np.ndarray:
    """The `count` dimensions of each start's class in which a move by one std counts most: [N, K] int64.

    ranking: as rank_dimensions leaves it, with every class.  true_class: [N].  A walk moves dimensions in proportion
    to |std * slope|, so they are chosen by |std * score|, not by |score|, the order of the table.
    """
    chosen = []
    for name in class_names:
        block = ranking[ranking["scope"] == name]
        effect = (block["score"] * block["std"]).abs().to_numpy()
        chosen.append(block["dimension"].to_numpy()[np.argsort(-effect, kind="stable")[:count]])
    return np.asarray(np.array(chosen)[true_class], np.int64)


def describe_slopes(differences: Differences | None) -> dict[str, Any]:
    """How slopes were had where there are no gradients; metrics without these keys are of gradients."""
    if differences is None:
        return {}
    return {
        "slope": FINITE_DIFFERENCE,
        "slope_dimensions": differences.dimensions.shape[1],
        "slope_step_std": differences.step_std,
    }


def tell_slopes(differences: Differences | None) -> str:
    """What joint walks and greedy sets move, for the figures."""
    if differences is None:
        return ALL_TOGETHER
    return f"the {differences.dimensions.shape[1]} leading dimensions, by finite differences"
