"""Does what generated images say of a classifier hold of real ones? Real errors are rare, so cases are compared.

Cases are real images that the classifier gets wrong, controls are real images drawn at random that it gets right. An
area under the ROC curve compares the two as they are; an accuracy needs them weighted back to the shares that they have
among all real images. One image is there under several draws of its corruption: intervals are over images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from failure_atlas.populations.spaces import place_samples
from failure_atlas.statistics.estimates import NAN, TAIL, Estimate, adjust_holm, find_p_value, percentile, wilson

CORROBORATED, CONTRADICTED = "corroborated", "contradicted"
TOO_FEW, NO_CLAIM = "too few real images", "no claim"
VERDICTS = (CORROBORATED, CONTRADICTED, TOO_FEW, NO_CLAIM)
CHANCE = 0.5
LEAST_IMAGES = 10  # cases, or controls: fewer decide nothing


def weigh_cases(case: np.ndarray, error_rate: float) -> np.ndarray:
    """The weight of each case and control, which add up to 1: cases to the share of errors among all real images.

    case: bool [N].  error_rate: in [0, 1].
    """
    cases, controls = int(case.sum()), int((~case).sum())
    return np.where(case, error_rate / max(cases, 1), (1 - error_rate) / max(controls, 1))


def estimate_area(scores: np.ndarray, case: np.ndarray, image: np.ndarray) -> Estimate:
    """The chance that a case has the higher score, ties counting one half, with an interval over images.

    scores: [N].  case: bool [N].  image: int64 [N]; rows of one image vary together (Obuchowski 1997, who extends
    DeLong et al. 1988).  The interval is Student's with as many degrees of freedom as the rarer kind has images.  n:
    rows. NaN of fewer than LEAST_IMAGES images of either kind, or if a score is not known.
    """
    images = [int(np.unique(image[kind]).size) for kind in (case, ~case)]
    if min(images) < LEAST_IMAGES or np.isnan(scores).any():
        return Estimate(NAN, n=len(scores))
    above, below = place_samples(scores, case)
    value = float(above.mean())
    excess = np.zeros(len(scores))
    excess[case], excess[~case] = (above - value) / len(above), (below - value) / len(below)
    place = np.unique(image, return_inverse=True)[1]
    # Sums over an image's rows of either kind, and of both, which vary together.
    of_cases, of_controls = (np.bincount(place, np.where(kind, excess, 0)) for kind in (case, ~case))
    variance = sum(
        count / (count - 1) * np.square(each).sum() for count, each in zip(images, (of_cases, of_controls), strict=True)
    )
    count = len(of_cases)
    variance += 2 * count / (count - 1) * (of_cases * of_controls).sum()
    if value in (0.0, 1.0):  # no case among the controls: as if none of so many coin tosses had come out otherwise
        bound = float((2 * TAIL) ** (1 / min(images)))
        low, high = (bound, 1.0) if value else (0.0, 1 - bound)
        return Estimate(value, low, high, len(scores))
    half = float(special.stdtrit(min(images) - 1, 1 - TAIL) * np.sqrt(max(variance, 0.0)))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), len(scores))


@dataclass(frozen=True)
class Bins:
    """Accuracy in each of B bins.

    count, cases: int64 [B].  accuracy, low, high: [B], NaN where no image is.  replicates: [R, B], of the bootstrap.
    """

    count: np.ndarray
    cases: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    replicates: np.ndarray


def bin_accuracy(
    place: np.ndarray, case: np.ndarray, weight: np.ndarray, image: np.ndarray, bins: int, counts: np.ndarray
) -> Bins:
    """The weighted accuracy in each bin, with the 95 % percentile interval of a bootstrap over images.

    Where a bin holds cases alone, or controls alone, the interval is Wilson's.

    place: int64 [N], the bin of each case and control; others lie in none.  weight: of `weigh_cases`.  counts: [R, K],
    how often each of the K images is drawn (`draw_counts`), in rising order.
    """
    inside = place[:, None] == np.arange(bins)  # [N, B]
    row = np.unique(image, return_inverse=True)[1]
    drawn = counts[:, row].astype(np.float64) * weight
    right = inside & ~case[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = (drawn @ right) / (drawn @ inside)
        accuracy = (weight @ right) / (weight @ inside)
    with np.errstate(all="ignore"):
        low, high = np.array([_bound(column) for column in replicates.T]).reshape(-1, 2).T
    count, cases = inside.sum(axis=0), (inside & case[:, None]).sum(axis=0)
    # Where all are alike a bootstrap sees no doubt: as many independent images have some.
    alike = ((cases == 0) | (cases == count)) & (count > 0)
    low[alike], high[alike] = wilson(count[alike] - cases[alike], count[alike])
    return Bins(count, cases, accuracy, low, high, replicates)


def _bound(replicates: np.ndarray) -> tuple[float, float]:
    known = replicates[np.isfinite(replicates)]
    return percentile(known) if len(known) else (NAN, NAN)


def find_bins(distance: np.ndarray, bins: int, tail_quantile: float) -> np.ndarray:
    """Edges [bins + 1] between which equally many of the samples lie, the nearest `tail_quantile` of them."""
    return np.asarray(np.quantile(distance, np.linspace(0, tail_quantile, bins + 1)))


def place_in_bins(distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each distance, int64 [N]; what is nearer than the first edge is in the first, -1 beyond the last."""
    place = np.searchsorted(edges[1:-1], distance, side="right")
    return np.where(distance > edges[-1], -1, place)


def judge_claims(generated: Sequence[Estimate], real: Sequence[Estimate], significance: float) -> list[str]:
    """A verdict on each claim that an area under the ROC curve lies to one side of chance.

    Where the interval on generated images holds 0.5 nothing is claimed. Else the real images corroborate or contradict
    it if theirs is surely to a side, all claims together (Holm 1979), or they are too few.
    """
    side = np.array([_find_side(each) for each in generated])
    p_values = np.array(
        [find_p_value(each, CHANCE) if claimed else NAN for each, claimed in zip(real, side, strict=True)]
    )
    verdicts = []
    for each, claimed, p_value in zip(real, side, adjust_holm(p_values), strict=True):
        if not claimed:
            verdicts.append(NO_CLAIM)
        elif not p_value < significance:
            verdicts.append(TOO_FEW)
        else:
            verdicts.append(CORROBORATED if np.sign(each.value - CHANCE) == claimed else CONTRADICTED)
    return verdicts


def _find_side(estimate: Estimate) -> int:
    return int(estimate.low > CHANCE) - int(estimate.high < CHANCE)
