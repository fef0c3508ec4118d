"""Generated against real, and real against real, in one extractor's features.

Whose features they are decides what that says: those of the judge are of the family that a feature critic learned from.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.quality.manifold import find_covered, fit_manifold
from failure_atlas.statistics.estimates import CONFIDENCE, flatten, mean


def compare_features(
    generated: Sequence[np.ndarray],
    train: Sequence[np.ndarray],
    test: np.ndarray,
    neighbours: int,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Frechet distance, precision and recall of generated sets against the test set, beside those of train sets.

    generated, train: sets of features [M, F].  test: [M, F], of the same size, so that the bias that a small M gives
    all of these numbers is the same on both sides.  Intervals: Student's over the sets, for the one test set; n is M.
    advance: called after each set.
    """
    n, names = len(test), ("frechet_distance", "precision", "recall")
    moments, manifold = fit_gaussian(test), fit_manifold(test, neighbours)

    def compare(features: np.ndarray) -> tuple[float, float, float]:
        distance = frechet_distance(fit_gaussian(features), moments)
        precision = find_covered(features, manifold).mean()
        recall = find_covered(test, fit_manifold(features, neighbours)).mean()
        advance()
        return distance, float(precision), float(recall)

    made, real = (np.array([compare(features) for features in sets]).T for sets in (generated, train))
    repeats = dict(zip((*names, "frechet_floor", "precision_real", "recall_real"), (*made, *real), strict=True))
    counts = {"frechet_samples": n, "frechet_populations": len(generated), "frechet_train_subsets": len(train)}
    ratio = divide_means(repeats["frechet_distance"], repeats["frechet_floor"]) | {"n": n}
    metrics = counts | flatten("frechet_ratio", ratio)
    for name, values in repeats.items():
        metrics |= flatten(name, mean(values, n))
    return metrics


def divide_means(numerators: np.ndarray, denominators: np.ndarray) -> dict[str, Any]:
    """mean(numerators) / mean(denominators) of independent, positive repeats: {value, low, high}.

    The interval is symmetric on the logarithm (delta method), with Student's quantile at the degrees of freedom of
    Welch and Satterthwaite. Its bounds are NaN where either side has one repeat only or a mean that is not positive.
    """
    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(tops.mean() / bottoms.mean()) if bottoms.mean() > 0 else float("nan")
    if min(tops.size, bottoms.size) < 2 or tops.mean() <= 0 or bottoms.mean() <= 0:
        return {"value": value, "low": float("nan"), "high": float("nan")}
    variances = np.array([(side.std(ddof=1) / side.mean()) ** 2 / side.size for side in (tops, bottoms)])
    if variances.sum() == 0:
        return {"value": value, "low": value, "high": value}
    freedom = variances.sum() ** 2 / (variances**2 / np.array([tops.size - 1, bottoms.size - 1])).sum()
    factor = float(np.exp(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variances.sum())))
    return {"value": value, "low": value / factor, "high": value * factor}
