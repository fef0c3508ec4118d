"""A curve of bins with all that is said of it."""

import numpy as np

from failure_atlas.curves.curve import count_bins, measure_area, measure_slope, split_bins
from failure_atlas.statistics.bootstrap import band_shares, resample_influence
from failure_atlas.statistics.trend import check_bins, count_rises
from stages.compute_curves.results import Key, Result


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
