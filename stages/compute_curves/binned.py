"""A curve of bins with all that is said of it."""

import numpy as np

from stages.compute_curves.area import measure_area, measure_slope
from stages.compute_curves.bootstrap import band_shares, resample_influence
from stages.compute_curves.curve import count_bins, split_bins
from stages.compute_curves.results import Key, Result
from stages.compute_curves.trend import check_bins, count_rises


def summarize_bins(
    key: Key,
    distance: np.ndarray,
    well: np.ndarray,
    judged: np.ndarray,
    bins: int,
    tail_quantile: float,
    counts: np.ndarray | None = None,
) -> Result:
    """Accuracy of the classifier and of the judge in the same bins; well, judged: bool [N], who is right.

    distance, bins, tail_quantile: as for `bin_accuracy`.  counts: [R, N], of `draw_counts`, for the band, in
    which bins keep their samples; None for a draw among several, which are banded together.
    """
    parts = split_bins(distance, bins, tail_quantile)
    curve, ceiling, avoidable = (count_bins(distance, each, parts) for each in (well, judged, judged & ~well))
    influence = np.zeros((len(parts), len(distance)), np.float32)
    for row, part, accuracy in zip(influence, parts, curve.accuracy, strict=True):
        row[part] = (well[part] - accuracy) / len(part)
    band = None
    if counts is not None:
        band = band_shares(curve.accuracy, curve.n, resample_influence(curve.accuracy, influence, counts))
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
        influence,
        band,
    )
