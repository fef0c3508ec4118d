"""Where each sample lies: how far from the centre of the well-classified ones (paper 2.4), or how far degraded.

The distance has no sign; the projection on the directions in which the score falls has one.
"""

from typing import Literal

import numpy as np

Centre = Literal["own_class", "all"]
CENTRES: tuple[Centre, ...] = ("own_class", "all")
SCALINGS = ("raw", "standardised")  # in style units as they are, or each dimension by its std


def find_centres(
    styles: np.ndarray, true_class: np.ndarray, well: np.ndarray, classes: int, centre: Centre
) -> np.ndarray:
    """The centre that each class's samples are measured from: [classes, D] float64.

    styles: [N, D].  true_class: [N] int64.  well: bool [N].  `own_class`: the mean of the class's well-classified
    samples, NaN where it has none; `all`: the mean of all well-classified samples, the same for every class.
    """
    if centre == "all":
        return np.tile(_average(styles[well]), (classes, 1))
    return np.stack([_average(styles[well & (true_class == label)]) for label in range(classes)])


def measure_deviations(
    styles: np.ndarray, true_class: np.ndarray, centres: np.ndarray, scale: np.ndarray | None
) -> np.ndarray:
    """Deviation from the own class's centre along each dimension, [N, D] float64.

    styles: [N, D].  true_class: [N] int64.  centres: [classes, D].  scale: [D], the unit of each dimension, such as its
    std, or None for raw style units.  A dimension of scale 0 counts as 0.
    """
    deviations = styles - centres[true_class]
    if scale is None:
        return np.asarray(deviations)
    return np.asarray(np.divide(deviations, scale, out=np.zeros_like(deviations), where=scale > 0))


def measure_distances(deviations: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Euclidean distance within some dimensions: [N]; deviations: [N, D] of `measure_deviations`."""
    return np.asarray(np.sqrt(np.square(deviations[:, dimensions]).sum(axis=1)))


def project(deviations: np.ndarray, dimensions: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Signed projection on the degradation directions of some dimensions, in std: [N].

    z = sum over the K dimensions of direction_j (s_j - centre_j) / std_j, divided by sqrt(K); for independent styles
    it has the variance 1 whatever K.  deviations: [N, D] of `measure_deviations`, in std.  direction: [D], by
    dimension, +1 where raising the style lowers the score, -1 where lowering it does, or 0.
    """
    return np.asarray(deviations[:, dimensions] @ direction[dimensions] / np.sqrt(len(dimensions)))


def _average(styles: np.ndarray) -> np.ndarray:
    if len(styles) == 0:
        return np.full(styles.shape[1], np.nan)
    return np.asarray(styles.mean(axis=0, dtype=np.float64))
