"""Taking the class out of features, so that the mix of classes does not confound what is compared."""

import numpy as np


def subtract_class_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Features with the mean of each class moved to the origin.

    features: [N, F].  labels: [N]. Returns [N, F] float64.
    """
    centred = features.astype(np.float64)
    for label in np.unique(labels):
        own = labels == label
        centred[own] -= centred[own].mean(axis=0)
    return centred
