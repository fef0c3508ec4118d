"""The rule that puts a measured effect into words."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from stages.name_directions.effects import Effects
from stages.name_directions.measurements import MEASUREMENTS, NAMED

NO_CHANGE, SHAPE_CHANGE, OTHER_CHANGE = "no visible change", "class-specific shape", "other change"
NAMELESS = (NO_CHANGE, SHAPE_CHANGE, OTHER_CHANGE)  # no measurement explains what is seen
# In spreads per std: below it ten std together move an image less than its class differs anyway, however sure the
# effect is; what is then seen is something else.
LEAST_EFFECT = 0.1
LEAST_PIXEL_CHANGE = 1 / 255  # mean over the frame; digits fill a seventh of it, so seven grey levels there
NEARLY = 0.7  # of the first effect: what a second one must reach to be named too


@dataclass(frozen=True)
class Name:
    """first, second: words, second may be empty.  measurement: index of the one that gave the name, -1 if none did."""

    first: str
    second: str
    measurement: int


def name_effects(
    effects: Effects, spread: np.ndarray, pixel_change: float, fdr: float, rest: str = SHAPE_CHANGE
) -> Name:
    """Name a move by its largest significant effect in units of the population's spread.

    spread: [M], standard deviation of each measurement within the classes; one that is NaN gives no name.
    pixel_change: mean absolute change of a pixel, in grey.  fdr: false discovery rate over the measurements (Benjamini
    and Hochberg 1995).  rest: the name of what is seen and no measurement tells.
    """
    if not pixel_change >= LEAST_PIXEL_CHANGE:
        return Name(NO_CHANGE, "", -1)
    standardised = standardise(effects.mean, spread)
    sure = np.zeros(len(spread), bool)
    named = NAMED[: len(spread)]
    sure[named] = stats.false_discovery_control(effects.p[named]) < fdr
    strength = np.where(sure & np.isfinite(standardised), np.abs(np.nan_to_num(standardised)), 0)
    first, second = np.argsort(-strength, kind="stable")[:2]
    if strength[first] < LEAST_EFFECT:
        return Name(rest, "", -1)
    close = strength[second] >= max(NEARLY * strength[first], LEAST_EFFECT)
    return Name(
        _say(int(first), standardised[first]), _say(int(second), standardised[second]) if close else "", int(first)
    )


def standardise(values: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Effects in units of the spread; NaN where the population does not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 0, values / spread, np.nan))


def _say(index: int, effect: float) -> str:
    return MEASUREMENTS[index].more if effect > 0 else MEASUREMENTS[index].less
