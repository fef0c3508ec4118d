"""A curve of bins with all that is said of it."""

import numpy as np

from stages.compute_curves.area import measure_area, measure_slope
from stages.compute_curves.curve import count_bins, split_bins
from stages.compute_curves.results import Key, Result
from stages.compute_curves.trend import check_bins, count_rises


def summarize_bins(
    key: Key, distance: np.ndarray, well: np.ndarray, judged: np.ndarray, bins: int, tail_quantile: float
) -> Result:
    """Accuracy of the classifier and of the judge in the same bins; well, judged: bool [N], who is right.

    distance, bins, tail_quantile: as for `bin_accuracy`.
    """
    parts = split_bins(distance, bins, tail_quantile)
    curve, ceiling, avoidable = (count_bins(distance, each, parts) for each in (well, judged, judged & ~well))
    return Result(
        key,
        curve,
        measure_area(curve),
        measure_slope(curve),
        ceiling,
        measure_area(ceiling),
        measure_area(avoidable),
        check_bins(curve),
        count_rises(curve),
    )
