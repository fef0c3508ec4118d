"""How far out each claimed failure is: in S, and by how real its image looks, each against the population."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.judge_failures.claims import Claims
from stages.judge_failures.style_distance import Spread, find_percentiles, measure_std_distance


@dataclass(frozen=True)
class Yardstick:
    """A population as the measure of others.

    spread: of its styles.  true_class: [N] int64.  mahalanobis, realism: [N] float64, of its own samples.
    """

    spread: Spread
    true_class: np.ndarray
    mahalanobis: np.ndarray
    realism: np.ndarray


def tabulate_remoteness(
    yardstick: Yardstick, claims: Claims, mahalanobis: np.ndarray, realism: np.ndarray, far_out_percentile: float
) -> pd.DataFrame:
    """Distances, realism and their percentiles, M rows.

    mahalanobis, realism: [M] float64, of the claims.  far_out_percentile: in percent. A failure is far out if more than
    this share of its class is nearer to the class's mean (far_out_in_s), or more than this share looks more real
    (far_out_in_realism).
    """

    def place(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return find_percentiles(values, claims.true_class, reference, yardstick.true_class)

    distance_place, realism_place = place(mahalanobis, yardstick.mahalanobis), place(realism, yardstick.realism)
    beyond, unreal = distance_place > far_out_percentile, realism_place < 100 - far_out_percentile
    return pd.DataFrame(
        {
            "mahalanobis": mahalanobis,
            "mahalanobis_percentile": distance_place,
            "distance_std": measure_std_distance(yardstick.spread, claims.styles, claims.true_class),
            "realism": realism,
            "realism_percentile": realism_place,
            "far_out_in_s": beyond,
            "far_out_in_realism": unreal,
            "far_out": beyond | unreal,
        }
    )
