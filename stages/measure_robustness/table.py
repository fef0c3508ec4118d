"""What was found, as tables: one row per start, and one per dimension that a greedy set holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from failure_atlas.statistics.estimates import wilson
from failure_atlas.stylegan2.generator import StyleLayer
from stages.common.artefacts.names import Names
from stages.common.artefacts.ranking import GLOBAL
from stages.measure_robustness.search import Found
from stages.measure_robustness.starts import Starts
from stages.measure_robustness.std_space import measure_length
from stages.measure_robustness.view import View

JOINT, BEYOND, SINGLE, SET, START = "joint", "beyond", "single", "set", "start"  # the places that are looked at


def tabulate_starts(
    starts: Starts,
    found: Found,
    views: dict[str, View],
    words: Names,
    class_names: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """One row per start.

    views: of the start and of the ends of its joint walk, of that walk 1 std farther, of its single-dimension walk and
    of its set.  words: for what the best single dimension does to images of the class.
    Distances are straight L2 distances in std; where 0.50 was not reached, that of the farthest point. Reading and
    verdict (see `read_labels`, `give_verdicts`) are given where it was reached; on a start that is in doubt from the
    outset they are those of the start itself. At 0.50 the classifier is in doubt rather than wrong, so that most
    verdicts there are `still right`: rival_class is the most probable class apart from the true one, and the walk 1 std
    farther tells true failures.  judge_probability: of the true class at the joint end.  start_confirmed: whether the
    judge sees the true class in the start.  Columns of the greedy set are empty where none was looked for.
    """
    names = np.array(class_names)
    true_class, rows = starts.true_class, np.arange(len(starts.true_class))

    def judge(place: str, reached: np.ndarray) -> dict[str, np.ndarray]:
        view, predicted = views[place], views[place].softmax.argmax(axis=1)
        prefix = "" if place == JOINT else f"{place}_"
        readings = np.array(READINGS)[read_labels(view.opinion, true_class, confidence)]
        verdicts = np.array(VERDICTS)[give_verdicts(view.opinion, true_class, predicted, confidence)]
        said = {"reading": readings, "verdict": verdicts}
        return {f"{prefix}{column}": np.where(reached, words, "") for column, words in said.items()}

    def find_predicted(name: str) -> np.ndarray:
        return np.asarray(names[views[name].softmax.argmax(axis=1)])

    def find_rival(name: str) -> np.ndarray:
        others = views[name].softmax.copy()
        others[rows, true_class] = -1
        return np.asarray(names[others.argmax(axis=1)])

    lost, farther = found.joint.reached, found.beyond.reached
    table: dict[str, Any] = {
        "class": names[true_class],
        "start": starts.names,
        "start_probability": views[START].read(true_class),
        "start_predicted_class": find_predicted(START),
        "start_judge_probability": views[START].opinion[rows, true_class],
        "start_confirmed": views[START].opinion[rows, true_class] >= confidence,
        "walked": found.walked,
        "path_std": found.joint.length_std,
        "distance_std": measure_length(found.joint.offset),
        "reached": lost,
        "end_probability": views[JOINT].read(true_class),
        "predicted_class": find_predicted(JOINT),
        "rival_class": find_rival(JOINT),
        "judge_class": names[views[JOINT].opinion.argmax(axis=1)],
        "judge_probability": views[JOINT].opinion[rows, true_class],
        **judge(JOINT, lost),
        "beyond_distance_std": measure_length(found.beyond.offset),
        "beyond_predicted_class": find_predicted(BEYOND),
        "beyond_judge_class": names[views[BEYOND].opinion.argmax(axis=1)],
        **judge(BEYOND, farther),
        "top_distance_std": found.top_std,
        "top_reached": found.top_reached,
        "single_best_dimension": pd.Series(found.single_dimension, dtype="Int64").where(found.single_dimension >= 0),
        "single_best_name": pd.Series(
            words.name_rows(
                list(names[true_class]), list(found.single_dimension), list(np.sign(found.single.offset.sum(axis=1)))
            )
        ).where(found.single_dimension >= 0),
        "single_distance_std": found.single.length_std,
        "single_reached": found.single.reached,
        "single_predicted_class": find_predicted(SINGLE),
        "single_rival_class": find_rival(SINGLE),
        "single_judge_class": names[views[SINGLE].opinion.argmax(axis=1)],
        **judge(SINGLE, found.single.reached),
        "set_searched": found.searched,
        "set_size": pd.Series((found.sets.offset != 0).sum(axis=1), dtype="Int64").where(found.searched),
        "set_pruned": pd.Series(found.pruned, dtype="Int64").where(found.searched),
        "set_distance_std": np.where(found.searched, measure_length(found.sets.offset), np.nan),
        "set_reached": found.sets.reached & found.searched,
        **judge(SET, found.sets.reached & found.searched),
    }
    return pd.DataFrame(table)


def tabulate_dimensions(found: Found, layout: Sequence[StyleLayer], words: Names) -> pd.DataFrame:
    """How often each dimension is in a greedy set that reached 0.50, the most frequent first.

    chosen: in how many of the n sets, with share and 95 % Wilson interval.  mean_move_std: mean signed
    move where chosen.  name: what such a move does to images of all classes, `not named` where nobody measured it.
    """
    offset = found.sets.offset[found.searched & found.sets.reached]
    chosen = (offset != 0).sum(axis=0)
    order = np.lexsort((np.arange(len(chosen)), -chosen))[: np.count_nonzero(chosen)]
    layers = [layer for layer in layout for _ in range(layer.channels)]
    move = offset.sum(axis=0)[order] / chosen[order]
    low, high = wilson(chosen[order], np.full(len(order), len(offset)))
    return pd.DataFrame(
        {
            "dimension": order,
            "layer": [layers[dimension].name for dimension in order],
            "kind": [layers[dimension].kind for dimension in order],
            "name": words.name_rows([GLOBAL] * len(order), list(order), list(np.sign(move))),
            "chosen": chosen[order],
            "share": chosen[order] / max(len(offset), 1),
            "low": low,
            "high": high,
            "n": len(offset),
            "mean_move_std": move,
        }
    )
