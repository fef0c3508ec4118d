"""Walks and their starts as tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.judges.verdicts import LABEL_KEPT, READINGS, read_labels
from failure_atlas.statistics.estimates import find_median
from failure_atlas.stylegan2.generator import StyleLayer
from failure_atlas.walks.starts import Starts
from failure_atlas.walks.walks import LEVEL, Candidates, TrueFailures, Walks
from stages.common.artefacts.names import Names
from stages.common.artefacts.ranking import GLOBAL


def choose_candidates(
    ranking: pd.DataFrame, scope: str, true_class: np.ndarray, class_names: Sequence[str], dimensions: int
) -> list[Candidates]:
    """The ranked dimensions of each start: those of its own class (scope `class`) or those of all (`global`).

    ranking: as rank_dimensions leaves it.  true_class: [S].  dimensions: D of the generator.
    Raises StageError if the ranking lacks a scope or ranks another number of dimensions.
    """
    names = [GLOBAL] if scope == GLOBAL else list(class_names)
    blocks = {name: ranking[ranking["scope"] == name] for name in names}
    for name, block in blocks.items():
        if len(block) != dimensions:
            raise StageError(
                f"ranking.csv: ranks {len(block)} dimensions in scope '{name}', the generator has {dimensions}; "
                "make it with: dvc repro rank_dimensions"
            )
    by_scope = {
        name: Candidates(
            block["dimension"].to_numpy(np.int64), (block["direction"] * block["std"]).to_numpy(np.float64)
        )
        for name, block in blocks.items()
    }
    return [by_scope[GLOBAL if scope == GLOBAL else class_names[index]] for index in true_class]


def tabulate_walks(
    walks: Walks,
    starts: Starts,
    start_softmax: np.ndarray,
    end_softmax: np.ndarray,
    layout: Sequence[StyleLayer],
    words: Names,
    class_names: Sequence[str],
) -> pd.DataFrame:
    """One row per walk, in the order of `walks`.

    start_softmax: [S, C].  end_softmax: [M, C].  layout: the layers of S, in order.
    words: for what the move does to the image, `not named` where nobody measured it.
    shift, shift_std: how far the walk went, in raw style units and in stds, never negative; the farthest tried where
    the walk did not reach 0.50.  predicted_class, rival_class: the most probable at the end, and the most
    probable apart from the true one.
    """
    names = np.array(class_names)
    layers = [layer for layer in layout for _ in range(layer.channels)]
    true_class = starts.true_class[walks.start]
    others = end_softmax.copy()
    others[np.arange(len(others)), true_class] = -1
    rival = others.argmax(axis=1)
    direction = np.sign(walks.step).astype(np.int64)
    return pd.DataFrame(
        {
            "class": names[true_class],
            "start": np.array(starts.names)[walks.start],
            "rank": walks.place + 1,
            "dimension": walks.dimension,
            "layer": [layers[dimension].name for dimension in walks.dimension],
            "kind": [layers[dimension].kind for dimension in walks.dimension],
            "direction": direction,
            "name": words.name_rows(list(names[true_class]), list(walks.dimension), list(direction)),
            "shift": np.abs(walks.step) * walks.shift_std,
            "shift_std": walks.shift_std,
            "start_probability": start_softmax[walks.start, true_class],
            "end_probability": walks.probability,
            "predicted_class": names[end_softmax.argmax(axis=1)],
            "rival_class": names[rival],
            "rival_probability": end_softmax[np.arange(len(rival)), rival],
            "reached": walks.reached,
        }
    )


def add_readings(
    table: pd.DataFrame, opinion: np.ndarray, true_class: np.ndarray, failures: TrueFailures, confidence: float
) -> pd.DataFrame:
    """The table of walks that end at 0.50 with what the judge says there and with their first true failures.

    opinion: [M, C], the judge's probabilities at the ends.  true_class: [M].  confidence: see `read_labels`.
    reading: of the image alone, missing where a walk did not reach 0.50; no verdict, for at 0.50 the classifier is
    mostly still right.  true_failure_*: missing where there is none.
    """
    readings = np.array(READINGS, object)[read_labels(opinion, true_class, confidence)]
    readings[~table["reached"].to_numpy(bool)] = None
    return table.assign(
        judge_probability=opinion[np.arange(len(opinion)), true_class],
        reading=readings,
        **_describe_failures(failures),
    )


def add_failures(table: pd.DataFrame, failures: TrueFailures) -> pd.DataFrame:
    """The table of walks that end at their first true failure with the same columns; failures: of these walks."""
    return table.assign(
        judge_probability=failures.judge_probability, reading=LABEL_KEPT, **_describe_failures(failures)
    )


def _describe_failures(failures: TrueFailures) -> dict[str, np.ndarray]:
    return {
        "true_failure": failures.found,
        "true_failure_shift_std": failures.shift_std,
        "true_failure_judge_probability": failures.judge_probability,
    }


def tabulate_starts(
    starts: Starts, softmax: np.ndarray, walks: Walks, skipped: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """One row per start; `walked` is false where the true-class softmax is 0.50 or less already.

    softmax: [S, C].  skipped: [S], dimensions without effect.  median_shift_std is missing where most walks did not
    reach 0.50.
    """
    own = [walks.start == index for index in range(len(softmax))]
    medians = np.array([find_median(walks.shift_std[chosen], walks.reached[chosen])[0] for chosen in own])
    names = np.array(class_names)
    probability = softmax[np.arange(len(softmax)), starts.true_class]
    return pd.DataFrame(
        {
            "class": names[starts.true_class],
            "start": starts.names,
            "start_probability": probability,
            "predicted_class": names[softmax.argmax(axis=1)],
            "walked": probability > LEVEL,
            "walks": [int(chosen.sum()) for chosen in own],
            "reached": [int(walks.reached[chosen].sum()) for chosen in own],
            "median_shift_std": np.where(np.isfinite(medians), medians, np.nan),
            "skipped_no_effect": skipped,
        }
    )
