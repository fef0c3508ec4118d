"""Which of the failures that were found are different ones: no near-copies, and one of each start or lineage."""

import numpy as np
from scipy.spatial import cKDTree


def measure_spacing(features: np.ndarray, true_class: np.ndarray, classes: int) -> np.ndarray:
    """Half the median distance of a class's real images to their nearest other one, [C]; 0 of fewer than two.

    features: [R, F] of real images.  true_class: [R].
    """
    spacing = np.zeros(classes)
    for label in range(classes):
        own = features[true_class == label]
        if len(own) > 1:
            spacing[label] = np.median(cKDTree(own).query(own, k=[2])[0]) / 2
    return spacing


def choose_distinct(
    features: np.ndarray, true_class: np.ndarray, lineage: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """In their order, those farther than the class's spacing from every one chosen before, [M] bool.

    features: [M, F] of the failures' images.  true_class, lineage: [M]; of a lineage at most one is chosen.
    spacing: [C], see `measure_spacing`.
    """
    chosen: list[int] = []
    for row in range(len(features)):
        before = [index for index in chosen if true_class[index] == true_class[row]]
        if any(lineage[index] == lineage[row] for index in before):
            continue
        apart = np.linalg.norm(features[before] - features[row], axis=1)
        if not before or apart.min() > spacing[true_class[row]]:
            chosen.append(row)
    kept = np.zeros(len(features), bool)
    kept[chosen] = True
    return kept
