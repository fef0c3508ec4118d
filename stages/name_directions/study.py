"""The whole study of one ranking: every chosen dimension moved, measured and named."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.directions.calibration import Calibration
from failure_atlas.directions.measurements import LEAST_SPREAD
from failure_atlas.directions.moves import MoveEffects, Renderer, measure_move
from failure_atlas.directions.naming import CLASS_REACH, Effects, estimate_effects, find_reach, name_effects
from failure_atlas.images.image_set import subtract_class_means
from stages.common.artefacts.population import Samples
from stages.common.artefacts.ranking import GLOBAL
from stages.name_directions.choice import choose_balanced
from stages.name_directions.table import describe_direction

LEVELS = 2  # columns that stand behind the measurements: noise and blur as real images would need them


@dataclass(frozen=True)
class Study:
    """What all directions share.

    spread: [M], of the mended measurements within the classes.  fdr, step_std, samples, seed: of the params.
    """

    renderer: Renderer
    calibration: Calibration
    spread: np.ndarray
    samples: Samples
    count: int
    step_std: float
    fdr: float
    seed: int

    def name_all(self, directions: pd.DataFrame, advance: Callable[[int], object] = lambda _: None) -> pd.DataFrame:
        """One row of directions.csv for each row of `choose_directions`; advance: told of each row."""
        classes = len(self.samples.class_names)
        shared = choose_balanced(
            self.samples.true_class, self.count, classes, numpy_stream(self.seed, "samples", GLOBAL)
        )
        kept: dict[tuple[int, int], MoveEffects] = {}  # a dimension may stand in several rankings
        rows = []
        for ranked in directions.itertuples():
            dimension, direction = int(str(ranked.dimension)), int(str(ranked.direction))
            std = direction * float(str(ranked.std))
            if (dimension, direction) not in kept:
                kept[dimension, direction] = self._move(shared, dimension, std)
            over_all = kept[dimension, direction]
            moved = over_all
            if ranked.scope != GLOBAL:
                own = self._choose_own(str(ranked.scope))
                moved = self._move(own, dimension, std)
            effects = estimate_effects(moved.differences[:, :-LEVELS])
            levels: Effects = estimate_effects(moved.differences[:, -LEVELS:])
            change = float(moved.pixel_change.mean())
            name = name_effects(effects, self.spread, change, self.fdr, self.calibration.world.rest)
            reach = CLASS_REACH
            if name.measurement >= 0:
                reach = find_reach(
                    over_all.differences[:, name.measurement],
                    self.samples.true_class[shared],
                    classes,
                    float(effects.mean[name.measurement]),
                    self.fdr,
                )
            rows.append(describe_direction(ranked, name, reach, effects, levels, moved.pixel_change, self.spread))
            advance(1)
        return pd.DataFrame(rows)

    def _choose_own(self, scope: str) -> np.ndarray:
        members = np.flatnonzero(self.samples.true_class == self.samples.class_names.index(scope))
        return np.sort(numpy_stream(self.seed, "samples", scope).permutation(members)[: self.count])

    def _move(self, chosen: np.ndarray, dimension: int, std: float) -> MoveEffects:
        return measure_move(self.renderer, self._measure, self.samples.styles[chosen], dimension, std, self.step_std)

    def _measure(self, images: np.ndarray) -> np.ndarray:
        """Mended measurements, then the levels of noise and blur: [N, M + 2]."""
        values = self.calibration.measure(images)
        return np.column_stack([self.calibration.mend(values), *self.calibration.read_levels(values)])


def measure_spread(values: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """The unit of each measurement, [M]: its standard deviation within the classes, at least `least_spread`.

    values: [N, M]; rows with NaN are left out. NaN where fewer than two images show a stroke.
    """
    known = np.isfinite(values).all(axis=1)
    if known.sum() < 2:
        return np.full(values.shape[1], np.nan)
    spread = subtract_class_means(values[known], true_class[known]).std(axis=0, ddof=1)
    return np.asarray(np.maximum(spread, LEAST_SPREAD[: len(spread)]))
