"""Mean effect of a move on each measurement, how sure it is, whether the classes share it, and what it is called."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from failure_atlas.attributes.calibration import Scene
from failure_atlas.attributes.registry import ATTRIBUTES, NAMED
from failure_atlas.statistics.estimates import TAIL

SHARED = 0.7  # of the classes must show the effect with one sign
NO_CHANGE, SHAPE_CHANGE, OTHER_CHANGE = "no visible change", "class-specific shape", "other change"
NAMELESS = (NO_CHANGE, SHAPE_CHANGE, OTHER_CHANGE)  # no measurement explains what is seen
# In spreads per std: below it ten std together move an image less than its class differs anyway, however sure the
# effect is; what is then seen is something else.
LEAST_EFFECT = 0.1
LEAST_PIXEL_CHANGE = 1 / 255  # mean over the frame; digits fill a seventh of it, so seven grey levels there
NEARLY = 0.7  # of the first effect: what a second one must reach to be named too
GLOBAL_REACH, CLASS_REACH, NO_REACH = "global", "class-specific", "none"


def name_rest(scene: Scene) -> str:
    """The name of what is seen and that no attribute tells: with all else measured, a change of shape."""
    return SHAPE_CHANGE if scene.figures and not scene.colours else OTHER_CHANGE


@dataclass(frozen=True)
class Effects:
    """Of paired differences: mean, 95 % Student interval, p-value of no effect, [M] each; n: pairs."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    n: int


def estimate_effects(differences: np.ndarray) -> Effects:
    """The mean of paired differences [n, M]; pairs with NaN (an image without a stroke) are left out.

    A difference that is the same in all pairs is certain: p is 0, or 1 where it is 0. With fewer than two pairs the
    interval is NaN and p is 1.
    """
    kept = differences[np.isfinite(differences).all(axis=1)]
    n, columns = len(kept), differences.shape[1]
    if n < 2:
        unknown = np.full(columns, np.nan)
        return Effects(kept.mean(axis=0) if n else unknown, unknown, unknown, np.ones(columns), n)
    mean, error = kept.mean(axis=0), kept.std(axis=0, ddof=1) / np.sqrt(n)
    error[np.ptp(kept, axis=0) == 0] = 0  # rounding aside
    half = stats.t.ppf(1 - TAIL, n - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(mean) / error, n - 1)
    p = np.where(error > 0, p, np.where(mean == 0, 1.0, 0.0))
    return Effects(mean, mean - half, mean + half, p, n)


def find_reach(differences: np.ndarray, true_class: np.ndarray, classes: int, sign: float, level: float) -> str:
    """`global` if the classes share an effect of this sign, else `class-specific`.

    Shared means either that at least 70 % of the classes show it, each with p < level; or, for a class has few samples
    of its own, that it is there over all classes (p < level), that 70 % of the class means have its sign, and that the
    classes do not differ (interaction p >= level). One-sided t-tests and an F-test with the variance within the
    classes.
    differences: [n], of one measurement, over samples of all classes; NaN are left out.  true_class: [n] int64.
    """
    known = np.isfinite(differences)
    towards, labels = np.sign(sign) * differences[known], true_class[known]
    count = np.bincount(labels, minlength=classes)
    freedom = len(towards) - classes
    if freedom < 1 or count.min() < 1:
        return CLASS_REACH
    means = np.bincount(labels, towards, minlength=classes) / count
    variance = np.square(towards - means[labels]).sum() / freedom
    if variance == 0:
        return GLOBAL_REACH if np.mean(means > 0) >= SHARED else CLASS_REACH
    each = stats.t.sf(means / np.sqrt(variance / count), freedom) < level
    over_all = stats.t.sf(means.sum() / np.sqrt(variance * (1 / count).sum()), freedom) < level
    between = (count * np.square(means - towards.mean())).sum() / (classes - 1) / variance if classes > 1 else 0.0
    alike = stats.f.sf(between, max(classes - 1, 1), freedom) >= level
    shared = np.mean(each) >= SHARED or (over_all and alike and np.mean(means > 0) >= SHARED)
    return GLOBAL_REACH if shared else CLASS_REACH


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
    # What moves in no image at all, as what is cut off where nothing reaches the frame, is no test among others.
    tested = NAMED[: len(spread)] & ((effects.mean != 0) | (effects.low != effects.high))
    if tested.any():
        sure[tested] = stats.false_discovery_control(effects.p[tested]) < fdr
    strength = np.where(sure & np.isfinite(standardised), np.abs(np.nan_to_num(standardised)), 0)
    first, second = map(int, np.argsort(-strength, kind="stable")[:2])
    if strength[first] < LEAST_EFFECT:
        return Name(rest, "", -1)
    close = strength[second] >= max(NEARLY * strength[first], LEAST_EFFECT)
    words = [ATTRIBUTES[each].more if standardised[each] > 0 else ATTRIBUTES[each].less for each in (first, second)]
    return Name(words[0], words[1] if close else "", first)


def standardise(values: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Effects in units of the spread; NaN where the population does not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 0, values / spread, np.nan))
