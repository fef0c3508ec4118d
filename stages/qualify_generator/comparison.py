"""Generated against real, and real against real, in one extractor's features."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from failure_atlas.quality.frechet import divide_means, fit_gaussian, frechet_distance
from failure_atlas.quality.manifold import find_covered, fit_manifold
from failure_atlas.statistics.estimates import flatten, mean


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
    n = len(test)
    moments, manifold = fit_gaussian(test), fit_manifold(test, neighbours)

    def compare(features: np.ndarray) -> tuple[float, float, float]:
        distance = frechet_distance(fit_gaussian(features), moments)
        precision = find_covered(features, manifold).mean()
        recall = find_covered(test, fit_manifold(features, neighbours)).mean()
        advance()
        return distance, float(precision), float(recall)

    distances, precision, recall = np.array([compare(features) for features in generated]).T
    floors, precision_real, recall_real = np.array([compare(features) for features in train]).T
    return {
        "frechet_samples": n,
        "frechet_populations": len(generated),
        "frechet_train_subsets": len(train),
        **flatten("frechet_distance", mean(distances, n)),
        **flatten("frechet_floor", mean(floors, n)),
        **flatten("frechet_ratio", divide_means(distances, floors) | {"n": n}),
        **flatten("precision", mean(precision, n)),
        **flatten("recall", mean(recall, n)),
        **flatten("precision_real", mean(precision_real, n)),
        **flatten("recall_real", mean(recall_real, n)),
    }
