"""The study of one ranking: which directions are named and from what, every one moved and measured, and the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.attributes.calibration import Calibration
from failure_atlas.attributes.registry import NAMES
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.directions import naming
from failure_atlas.directions.moves import choose_balanced, measure_move
from failure_atlas.statistics.estimates import flatten, mean, proportion
from failure_atlas.world.show import World
from stages.common.artefacts.population import Samples
from stages.common.artefacts.ranking import GLOBAL
from stages.name_directions.params import NameDirectionsParams

COPIED = ["scope", "rank", "dimension", "layer", "kind", "score", "standard_error", "std", "direction"]
LEVELS = ["noise_sigma_per_std", "blur_sigma_per_std"]  # as real images would need them; behind the measurements
Moved = tuple[np.ndarray, np.ndarray]  # see `measure_move`


def choose_directions(
    ranking: pd.DataFrame, class_names: Sequence[str], style_dimensions: int, top: int, class_top: int
) -> pd.DataFrame:
    """The first rows of the global ranking and of each class's; a dimension that pushes nowhere is left out.

    ranking: as rank_dimensions leaves it. Raises StageError if it lacks a scope or ranks another number of dimensions.
    """
    blocks = []
    for scope in (GLOBAL, *class_names):
        block = ranking[ranking["scope"] == scope]
        if len(block) != style_dimensions:
            raise StageError(
                f"ranking.csv: ranks {len(block)} dimensions in scope '{scope}', the generator has "
                f"{style_dimensions}; make it with: dvc repro rank_dimensions"
            )
        pushing = block[(block["direction"] != 0) & (block["std"] > 0)]
        blocks.append(pushing.sort_values("rank").head(top if scope == GLOBAL else class_top))
    return pd.concat(blocks, ignore_index=True)


@dataclass(frozen=True)
class Study:
    """What all directions share.  spread: [M], of the mended measurements within the classes."""

    world: World
    calibration: Calibration
    spread: np.ndarray
    samples: Samples
    section: NameDirectionsParams

    def name_all(self, directions: pd.DataFrame, advance: Callable[[int], object] = lambda _: None) -> pd.DataFrame:
        """One row of directions.csv for each row of `choose_directions`; advance: told of each row."""
        stream = numpy_stream(self.section.seed, "samples", GLOBAL)
        shared = choose_balanced(self.samples.true_class, self.section.samples, len(self.samples.class_names), stream)
        kept: dict[tuple[int, int], Moved] = {}  # a dimension may stand in several rankings
        rows = []
        for ranked in directions.to_dict("records"):
            place = int(ranked["dimension"]), int(ranked["direction"])
            if place not in kept:
                kept[place] = self._move(shared, ranked)
            moved = kept[place]
            if ranked["scope"] != GLOBAL:
                moved = self._move(self._choose_own(ranked["scope"]), ranked)
            rows.append(self._describe(ranked, moved, kept[place][0], self.samples.true_class[shared]))
            advance(1)
        return pd.DataFrame(rows)

    def _choose_own(self, scope: str) -> np.ndarray:
        members = np.flatnonzero(self.samples.true_class == self.samples.class_names.index(scope))
        stream = numpy_stream(self.section.seed, "samples", scope)
        return np.sort(stream.permutation(members)[: self.section.samples])

    def _move(self, chosen: np.ndarray, ranked: dict[Any, Any]) -> Moved:
        std, styles = ranked["direction"] * ranked["std"], self.samples.styles[chosen]
        dimension, noise = int(ranked["dimension"]), self.samples.noise[chosen]
        return measure_move(self.world, self._measure, styles, dimension, std, self.section.step_std, noise)

    def _measure(self, images: np.ndarray) -> np.ndarray:
        """Mended measurements, then the levels of noise and blur: [N, M + 2]."""
        values = self.calibration.measure(images)
        return np.column_stack([self.calibration.mend(values), *self.calibration.read_levels(values)])

    def _describe(
        self, ranked: dict[Any, Any], moved: Moved, over_all: np.ndarray, true_class: np.ndarray
    ) -> dict[str, Any]:
        """One row of directions.csv; columns of measurements are in units of spread.

        over_all: [n, M + 2], differences of samples of all classes, whose classes are true_class [n].
        """
        differences, pixel_change = moved
        effects, levels = (naming.estimate_effects(differences[:, part]) for part in (slice(None, -2), slice(-2, None)))
        pixels, fdr = mean(pixel_change), self.section.fdr
        name = naming.name_effects(effects, self.spread, pixels["value"], fdr, naming.name_rest(self.calibration.scene))
        reach = naming.NO_REACH
        if (index := name.measurement) >= 0:
            sign, classes = float(effects.mean[index]), len(self.samples.class_names)
            reach = naming.find_reach(over_all[:, index], true_class, classes, sign, fdr)
        row = {column: ranked[column] for column in COPIED}
        row |= {"name": name.first, "second_name": name.second, "reach": reach}
        for column, *parts in zip(LEVELS, levels.mean, levels.low, levels.high, strict=True):
            row |= _bounded(column, *parts)
        row |= _bounded("pixel_change_per_std", *(pixels[part] for part in ("value", "low", "high")))
        parts = [naming.standardise(values, self.spread) for values in (effects.mean, effects.low, effects.high)]
        for column, *each in zip(NAMES[: len(self.spread)], *parts, strict=True):
            row |= _bounded(column, *each)
        return row | {"n": effects.n}


def summarize_names(table: pd.DataFrame) -> dict[str, Any]:
    """Figures of all rows, of the global ones and of the classes' ones; table: directions.csv.

    A dimension that stands in several rankings counts once in each. Rows share samples, so the intervals, made for
    independent ones, are on the narrow side.
    """
    of_classes = table["scope"] != GLOBAL
    return {
        "directions": len(table),
        "style_dimensions": int(table["dimension"].nunique()),
        "all": _summarize(table),
        "global": _summarize(table[~of_classes]),
        "classes": _summarize(table[of_classes]),
    }


def _summarize(rows: pd.DataFrame) -> dict[str, Any]:
    named = ~rows["name"].isin(naming.NAMELESS)
    reach = rows.loc[named, "reach"] == naming.GLOBAL_REACH
    return {
        "named": int(named.sum()),
        "named_dimensions": int(rows.loc[named, "dimension"].nunique()),
        **flatten("share_named", proportion(named.to_numpy(bool))),
        **flatten("share_global_reach", proportion(reach.to_numpy(bool))),
        "share_of_name": {name: proportion((rows["name"] == name).to_numpy()) for name in sorted(set(rows["name"]))},
    }


def _bounded(column: str, value: float, low: float, high: float) -> dict[str, float]:
    return {column: value, f"{column}_low": low, f"{column}_high": high}
