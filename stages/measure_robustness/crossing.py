"""Where straight pieces of many walks cross the level."""

from collections.abc import Callable

import numpy as np

from stages.measure_robustness.log_odds import LEVEL, TOLERANCE

MOST_HALVINGS = 40  # a piece is then shorter than float32 styles resolve

# Which pieces [K] int64, how far along each [K] in (0, 1] -> log-odds [K].
MeasureShare = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bisect_pieces(measure: MeasureShare, far_value: np.ndarray) -> np.ndarray:
    """Share of each of M pieces at which the log-odds cross the level, by bisection.

    The log-odds are above the level at share 0 and `far_value` [M], at or below it, at share 1. The share
    returned, [M], lies on the far side: LEVEL - TOLERANCE <= value <= LEVEL, for continuous log-odds. Of several
    crossings it is one.
    """
    low, high, value = np.zeros(len(far_value)), np.ones(len(far_value)), far_value.astype(float)
    for _ in range(MOST_HALVINGS):
        loose = np.flatnonzero(value < LEVEL - TOLERANCE)
        if not loose.size:
            break
        middle = (low[loose] + high[loose]) / 2
        values = measure(loose, middle)
        far = values <= LEVEL
        high[loose[far]], value[loose[far]] = middle[far], values[far]
        low[loose[~far]] = middle[~far]
    return high
