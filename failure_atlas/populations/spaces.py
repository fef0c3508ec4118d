"""What a space separates: as cross-validated numbers, and as a t-SNE with equal bytes for equal inputs.

A probe is a logistic regression on standardised features. Every sample is scored by a probe that was fitted without
it, so a space with many dimensions gains nothing by memory.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.initialization import pca
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from failure_atlas.statistics.estimates import Z, proportion

REGULARISATION = 0.01  # inverse strength C: spaces of 64 and 512 dimensions on a few thousand samples
MAX_ITERATIONS = 200


def measure_class_separation(features: np.ndarray, labels: np.ndarray, *, folds: int, seed: int) -> dict[str, Any]:
    """Accuracy of a probe that reads the class, with its Wilson interval; chance is one over the number of classes.

    features: [N, F].  labels: [N], each class at least `folds` times.
    """
    with threadpool_limits(1):  # equal bytes whatever the number of threads
        predicted = cross_val_predict(_probe(), _plain(features), labels, cv=_splits(folds, seed))
    return proportion(predicted == labels)


def score_outcomes(features: np.ndarray, well: np.ndarray, *, folds: int, seed: int) -> np.ndarray:
    """Scores of a probe that tells well- from misclassified samples, each by a probe that was fitted without it: [N].

    features: [N, F].  well: bool [N].  NaN where either kind has fewer than `folds` samples.
    """
    if min(np.count_nonzero(well), np.count_nonzero(~well)) < folds:
        return np.full(len(well), np.nan)
    with threadpool_limits(1):
        return np.asarray(
            cross_val_predict(_probe(), _plain(features), well, cv=_splits(folds, seed), method="decision_function")
        )


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Area under the ROC curve with the 95 % interval of DeLong et al. (1988): {value, low, high, n}; chance is 0.5.

    scores: [N], NaN where they are not known; then so are the values.  positive: bool [N], with both kinds present.
    Ties count one half.
    """
    area = _estimate_mean(*place_samples(scores, positive))
    return area | {"low": max(0.0, area["low"]), "high": min(1.0, area["high"])}


def compare_roc_auc(first: np.ndarray, second: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Area of the first scores less that of the second, of the same samples, with DeLong's paired interval."""
    pairs = zip(place_samples(first, positive), place_samples(second, positive), strict=True)
    above, below = (one - other for one, other in pairs)
    return _estimate_mean(above, below)


def place_samples(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each positive sample the share of the others that it lies above, of each other that of those above it."""
    if np.isnan(scores).any():
        return np.full(np.count_nonzero(positive), np.nan), np.full(np.count_nonzero(~positive), np.nan)
    upper, lower = scores[positive], scores[~positive]
    ranks = stats.rankdata(np.concatenate([upper, lower]))  # in O(N log N)
    above = (ranks[: len(upper)] - stats.rankdata(upper)) / len(lower)
    return above, 1 - (ranks[len(upper) :] - stats.rankdata(lower)) / len(upper)


def _estimate_mean(above: np.ndarray, below: np.ndarray) -> dict[str, Any]:
    """The mean of placements, with the variance that both kinds of samples give it."""
    value = float(above.mean()) if len(above) else np.nan
    variance = sum(each.var(ddof=1) / len(each) for each in (above, below) if len(each) > 1)
    half = float(Z * np.sqrt(variance))
    return {"value": value, "low": value - half, "high": value + half, "n": len(above) + len(below)}


def embed_spaces(spaces: Mapping[str, np.ndarray], *, perplexity: float, seed: int) -> dict[str, np.ndarray]:
    """Embed each space [N, F] in the plane [N, 2]; the spaces run side by side.

    Within a space everything runs on one thread: t-SNE amplifies the last bit of a sum, and threads change its order.
    perplexity: lowered to (N - 1) / 3 where there are too few samples for it.
    """
    with threadpool_limits(1), ThreadPoolExecutor(len(spaces)) as pool:
        planes = pool.map(lambda space: embed(space, perplexity=perplexity, seed=seed), spaces.values())
        return dict(zip(spaces, planes, strict=True))


def embed(features: np.ndarray, *, perplexity: float, seed: int) -> np.ndarray:
    """t-SNE of features [N, F] from exact neighbours and a PCA start: [N, 2] (van der Maaten and Hinton 2008).

    The schedule is the usual one: 250 steps with the affinities exaggerated twelvefold, then 500 without.
    """
    features = np.ascontiguousarray(features, np.float64)
    perplexity = min(perplexity, (len(features) - 1) / 3)
    affinities = PerplexityBasedNN(features, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)
    plane = TSNEEmbedding(
        pca(features, random_state=seed), affinities, negative_gradient_method="bh", n_jobs=1, random_state=seed
    )
    plane = plane.optimize(n_iter=250, exaggeration=12, momentum=0.5)
    return np.asarray(plane.optimize(n_iter=500, momentum=0.8))


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=MAX_ITERATIONS))


def _splits(folds: int, seed: int) -> StratifiedKFold:
    return StratifiedKFold(folds, shuffle=True, random_state=seed)


def _plain(features: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(features, np.float64)
