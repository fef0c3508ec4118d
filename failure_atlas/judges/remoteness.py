"""How far out an image is: from the real images, in a network's features, and by how real it looks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree

from failure_atlas.core.device import device_of
from failure_atlas.images.image_set import to_unit
from failure_atlas.judges.ensemble import Ensemble

NEIGHBOUR = 5  # which of the nearest real images is measured to


def represent(ensemble: Ensemble, images: np.ndarray, *, batch_size: int) -> np.ndarray:
    """`Ensemble.features` of images as they are stored, uint8 [N, C, H, W]: [N, F] float64."""
    batches = [images[first : first + batch_size] for first in range(0, max(len(images), 1), batch_size)]
    with torch.no_grad():
        parts = [ensemble.features(to_unit(batch).to(device_of(ensemble))).double().cpu().numpy() for batch in batches]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Surroundings:
    """R real images, as the measure of how far others are from them.

    tree: of their features.  neighbour: k.  own: [R] float64, the distance of each to its k-th nearest other one.
    """

    tree: cKDTree
    neighbour: int
    own: np.ndarray

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Euclidean distance to the k-th nearest real image, exact: [M] float64; features: [M, F] of other images."""
        return np.asarray(self.tree.query(features, k=[self.neighbour])[0][:, 0])

    def find_far(self, distance: np.ndarray, percentile: float) -> np.ndarray:
        """Which images are far out, [M] bool; distance: [M] float64, see `measure`.

        More than `percentile` of all real images are at most as far from their own k-th nearest other real image as
        this one is from its k-th nearest; all classes together, for a failure may look like another.
        """
        return np.asarray(place_among(distance, self.own) > percentile)


def fit_surroundings(features: np.ndarray) -> Surroundings:
    """features: [R, F] of the real images.  k is 5; of fewer than six images, as many as there are others.

    Raises ValueError of fewer than two images.
    """
    if len(features) < 2:
        raise ValueError(f"{len(features)} real image(s), which have no neighbours")
    neighbour, tree = min(NEIGHBOUR, len(features) - 1), cKDTree(features)
    # Each image is its own nearest neighbour, at distance 0.
    return Surroundings(tree, neighbour, np.asarray(tree.query(features, k=[neighbour + 1])[0][:, 0]))


def find_percentiles(
    values: np.ndarray, true_class: np.ndarray, reference: np.ndarray, reference_class: np.ndarray
) -> np.ndarray:
    """Share in percent of the population's samples of the same class that are at or below each value, [M].

    values, true_class: [M].  reference, reference_class: [N]. A sample of the population itself is not left out of its
    own comparison: among 1,000 of a class this moves a percentile by 0.1 at most.
    """
    percentiles = np.full(len(values), np.nan)
    for label in np.unique(true_class):
        own, known = true_class == label, reference[reference_class == label]
        if len(known):
            percentiles[own] = place_among(values[own], known)
    return percentiles


def place_among(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Share in percent of the reference [R] that is at or below each value [M]: [M] float64."""
    return np.asarray(100 * np.searchsorted(np.sort(reference), values, side="right") / len(reference))


@dataclass(frozen=True)
class Yardstick:
    """Real images and a population as the measure of others.

    real: the real test images.  true_class: [N] int64, realism: [N] float64, of the population's samples.
    far_out_percentile: in percent.
    """

    real: Surroundings
    true_class: np.ndarray
    realism: np.ndarray
    far_out_percentile: float

    def find_far(self, distance: np.ndarray) -> np.ndarray:
        """Which images are far out, [M] bool; distance: [M] float64."""
        return self.real.find_far(distance, self.far_out_percentile)

    def tabulate(self, distance: np.ndarray, true_class: np.ndarray, realism: np.ndarray) -> pd.DataFrame:
        """Distances, realism and their percentiles, M rows.

        distance: as in `find_far`.  true_class: [M] int64.  realism: [M] float64.
        far_out_in_realism: more than far_out_percentile of the population's samples of its class look more real.
        """
        realism_place = find_percentiles(realism, true_class, self.realism, self.true_class)
        return pd.DataFrame(
            {
                "distance_to_real": distance,
                "distance_to_real_percentile": place_among(distance, self.real.own),
                "far_out": self.find_far(distance),
                "realism": realism,
                "realism_percentile": realism_place,
                "far_out_in_realism": realism_place < 100 - self.far_out_percentile,
            }
        )
