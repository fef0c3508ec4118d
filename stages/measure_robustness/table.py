"""What was found, as tables: one row per start, and one per dimension that a greedy set holds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from failure_atlas.statistics.estimates import wilson
from failure_atlas.walks.kinds import BEYOND, JOINT, SET, SINGLE, Found
from failure_atlas.walks.space import measure_length
from failure_atlas.walks.starts import Starts
from failure_atlas.world.show import JUDGE, Shown
from stages.common.artefacts.population import tabulate_styles
from stages.common.artefacts.ranking import GLOBAL
from stages.common.artefacts.walks import Opened

START = "start"  # the place where all rules begin


def tabulate_starts(opened: Opened, starts: Starts, found: Found, shown: Mapping[str, Shown]) -> pd.DataFrame:
    """One row per start.

    shown: the start and the ends of its joint walk, of that walk 1 std farther, of its single-dimension walk and
    of its set.
    Distances are straight L2 distances in std; where 0.50 was not reached, that of the farthest point. Reading and
    verdict (see `read_labels`, `give_verdicts`) are given where it was reached; on a start that is in doubt from the
    outset they are those of the start itself. At 0.50 the classifier is in doubt rather than wrong, so that most
    verdicts there are `still right`: rival_class is the most probable class apart from the true one, and the walk 1 std
    farther tells true failures.  judge_probability: of the true class at the joint end.  start_confirmed: whether the
    judge sees the true class in the start.  Columns of the greedy set are empty where none was looked for.
    """
    names, true_class, searched = np.array(opened.samples.class_names), starts.true_class, found.searched
    confidence = opened.judge.confidence
    joint, single, sets = (found.moves[place] for place in (JOINT, SINGLE, SET))
    set_reached = sets.reached & searched
    dimension, any_single = found.single_dimension, found.single_dimension >= 0
    single_names = opened.words.name_rows(names[true_class], dimension, np.sign(single.offset.sum(axis=1)))
    certainty = shown[START].score(true_class, JUDGE)

    def see(place: str, reached: np.ndarray, *columns: str) -> dict[str, np.ndarray]:
        """Columns on what the networks say at a place; reading and verdict where it was reached."""
        said, opinion = shown[place], shown[place].softmax(JUDGE)
        readings = np.array(READINGS)[read_labels(opinion, true_class, confidence)]
        verdicts = np.array(VERDICTS)[give_verdicts(opinion, true_class, said.predicted(), confidence)]
        known = {
            "predicted_class": names[said.predicted()],
            "rival_class": names[said.rival(true_class)],
            "judge_class": names[said.predicted(JUDGE)],
            "judge_probability": said.score(true_class, JUDGE),
            "reading": np.where(reached, readings, ""),
            "verdict": np.where(reached, verdicts, ""),
        }
        prefix = "" if place == JOINT else f"{place}_"
        return {f"{prefix}{column}": known[column] for column in (*columns, "reading", "verdict")}

    table: dict[str, Any] = {
        "class": names[true_class],
        "start": starts.names,
        "noise_draw": starts.draw,
        "start_probability": shown[START].score(true_class),
        "start_predicted_class": names[shown[START].predicted()],
        "start_judge_probability": certainty,
        "start_confirmed": certainty >= confidence,
        "walked": found.walked,
        "path_std": joint.length_std,
        "distance_std": measure_length(joint.offset),
        "reached": joint.reached,
        "end_probability": shown[JOINT].score(true_class),
        **see(JOINT, joint.reached, "predicted_class", "rival_class", "judge_class", "judge_probability"),
        "beyond_distance_std": measure_length(found.moves[BEYOND].offset),
        **see(BEYOND, joint.reached, "predicted_class", "judge_class"),
        "top_distance_std": found.top_std,
        "top_reached": found.top_reached,
        "single_best_dimension": pd.Series(dimension, dtype="Int64").where(any_single),
        "single_best_name": pd.Series(single_names).where(any_single),
        "single_distance_std": single.length_std,
        "single_reached": single.reached,
        **see(SINGLE, single.reached, "predicted_class", "rival_class", "judge_class"),
        "set_searched": searched,
        "set_size": pd.Series((sets.offset != 0).sum(axis=1), dtype="Int64").where(searched),
        "set_pruned": pd.Series(found.pruned, dtype="Int64").where(searched),
        "set_distance_std": np.where(searched, measure_length(sets.offset), np.nan),
        "set_reached": set_reached,
        **see(SET, set_reached),
    }
    return pd.DataFrame(table)


def tabulate_dimensions(opened: Opened, found: Found) -> pd.DataFrame:
    """How often each dimension is in a greedy set that reached 0.50, the most frequent first.

    chosen: in how many of the n sets, with share and 95 % Wilson interval.  mean_move_std: mean signed
    move where chosen.  name: what such a move does to images of all classes, `not named` where nobody measured it.
    """
    sets = found.moves[SET]
    offset = sets.offset[found.searched & sets.reached]
    chosen = (offset != 0).sum(axis=0)
    order = np.lexsort((np.arange(len(chosen)), -chosen))[: np.count_nonzero(chosen)]
    move = offset.sum(axis=0)[order] / chosen[order]
    low, high = wilson(chosen[order], np.full(len(order), len(offset)))
    names = opened.words.name_rows([GLOBAL] * len(order), order, np.sign(move))
    share = chosen[order] / max(len(offset), 1)
    table = tabulate_styles(opened.generator.style_layout()).iloc[order][["dimension", "layer", "kind"]]
    table = table.assign(name=names, chosen=chosen[order], share=share, low=low, high=high, n=len(offset))
    return table.assign(mean_move_std=move)
