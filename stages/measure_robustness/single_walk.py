"""Walks along single dimensions from the same starts, for comparison (the paper's corner cases, 2.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from stages.measure_robustness.crossing import bisect_pieces
from stages.measure_robustness.log_odds import LEVEL
from stages.measure_robustness.std_space import Measure

TOP = 10  # dimensions tried from each start


@dataclass(frozen=True)
class Candidates:
    """The dimensions to try from N starts, the most influential first; both [N, K].

    dimension: int64.  direction: -1 or 1, the move that lowers the true-class score; 0: nothing to walk there.
    """

    dimension: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class SingleWalks:
    """How far along single dimensions N starts fall to 0.50; arrays [N], distances in std, inf where never.

    top_std: along the first candidate.  best_std, best_place: the shortest of all, and which candidate it is (0 where
    none reached).
    """

    top_std: np.ndarray
    best_std: np.ndarray
    best_place: np.ndarray


def choose_candidates(
    ranking: pd.DataFrame, true_class: np.ndarray, class_names: Sequence[str], dimensions: int
) -> Candidates:
    """The top ten dimensions of each start's class that vary and have a score.

    ranking: as rank_dimensions leaves it.  true_class: [N].  dimensions: D of the generator.
    Raises StageError if the ranking lacks a class or ranks another number of dimensions.
    """
    places = min(TOP, dimensions)
    dimension = np.zeros((len(class_names), places), np.int64)
    direction = np.zeros((len(class_names), places), np.int64)
    for label, name in enumerate(class_names):
        block = ranking[ranking["scope"] == name]
        if len(block) != dimensions:
            raise StageError(
                f"ranking.csv: ranks {len(block)} dimensions in scope '{name}', the generator has {dimensions}; "
                "make it with: dvc repro rank_dimensions"
            )
        own = block[(block["std"] > 0) & (block["direction"] != 0)].head(places)
        dimension[label, : len(own)], direction[label, : len(own)] = own["dimension"], own["direction"]
    return Candidates(dimension[true_class], direction[true_class])


def walk_singly(
    measure: Measure,
    candidates: Candidates,
    dimensions: int,
    *,
    step_std: float,
    max_shift_std: float,
    on_end: Callable[[int], None] = lambda _: None,
) -> SingleWalks:
    """Follow each candidate alone, in equal steps of at most step_std, to its first point at or below log-odds 0.

    All starts must be above it. The candidates of a start are walked side by side, and those behind stop when one has
    arrived, for none of them can be the shortest; only the first goes on. The last step is bisected.
    A dip between two grid points is not seen.  on_end: told how many starts are done.
    """
    distance = np.full(candidates.dimension.shape, np.inf)
    steps = int(np.ceil(max_shift_std / step_std))
    length = max_shift_std / steps
    done = 0
    for before in np.arange(steps) * length:
        walking = np.isinf(distance) & (candidates.direction != 0)
        walking[:, 1:] &= np.isinf(distance).all(axis=1, keepdims=True)
        ended = int(np.count_nonzero(~walking.any(axis=1)))
        on_end(ended - done)
        done = ended
        walks = np.argwhere(walking)
        if not walks.size:
            break
        value = _measure_at(measure, candidates, walks, np.full(len(walks), before + length), dimensions)
        arrived = walks[value <= LEVEL]
        share = _bisect_steps(measure, candidates, arrived, before, length, value[value <= LEVEL], dimensions)
        distance[tuple(arrived.T)] = before + share * length
    on_end(len(distance) - done)
    best = distance.argmin(axis=1)
    return SingleWalks(distance[:, 0], distance[np.arange(len(best)), best], best)


def move_single(dimension: np.ndarray, amount_std: np.ndarray, dimensions: int) -> np.ndarray:
    """Offsets [K, D] that move one dimension each; dimension [K] int64, amount_std [K]."""
    offset = np.zeros((len(dimension), dimensions))
    offset[np.arange(len(dimension)), dimension] = amount_std
    return offset


def _measure_at(
    measure: Measure, candidates: Candidates, walks: np.ndarray, amount_std: np.ndarray, dimensions: int
) -> np.ndarray:
    """Log-odds [K] at a distance along walks [K, 2], pairs of start and place."""
    rows, place = walks.T
    signed = candidates.direction[rows, place] * amount_std
    return measure(rows, move_single(candidates.dimension[rows, place], signed, dimensions))


def _bisect_steps(
    measure: Measure,
    candidates: Candidates,
    walks: np.ndarray,
    before: float,
    length: float,
    far_value: np.ndarray,
    dimensions: int,
) -> np.ndarray:
    """Share of the step from `before` to `before + length` at which each of the walks [K, 2] crosses."""
    return bisect_pieces(
        lambda pieces, share: _measure_at(measure, candidates, walks[pieces], before + share * length, dimensions),
        far_value,
    )
