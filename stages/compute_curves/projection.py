"""How far each sample lies in the direction in which the score falls, with its sign."""

import numpy as np


def standardise(styles: np.ndarray, true_class: np.ndarray, centres: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Deviation from the own class's centre along each dimension, in std: [N, D] float64.

    styles: [N, D].  true_class: [N] int64.  centres: [classes, D].  std: [D]; a dimension of std 0 counts as 0.
    """
    deviations = styles - centres[true_class]
    return np.asarray(np.divide(deviations, std, out=np.zeros_like(deviations), where=std > 0))


def project(deviations: np.ndarray, dimensions: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Signed projection on the degradation directions of some dimensions, in std: [N].

    z = sum over the K dimensions of direction_j (s_j - centre_j) / std_j, divided by sqrt(K); for independent styles
    it has the variance 1 whatever K.  deviations: [N, D] of `standardise`.  direction: [D], by dimension, +1 where
    raising the style lowers the score, -1 where lowering it does, or 0.
    """
    return np.asarray(deviations[:, dimensions] @ direction[dimensions] / np.sqrt(len(dimensions)))
