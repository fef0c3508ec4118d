"""Curves against shift, of outcomes that are known."""

import numpy as np

from failure_atlas.statistics.bootstrap import Resampling, draw_counts
from stages.common.artefacts.ranking import ALL
from stages.common.artefacts.shifts import Shifted
from stages.compute_curves.shift_study import study_shifts
from stages.compute_curves.summary import select


def test_study_has_curves_of_all_of_each_class_and_of_random_dimensions():
    true_class = np.arange(400) % 2
    right = np.ones((3, 2, 400), bool)
    right[0, 1] = true_class == 1  # moved along the global dimensions class 0 is lost
    right[1, 1] = False  # along its own each class
    judge = np.broadcast_to(true_class == 0, right.shape)  # reads everything but class 1
    shifted = Shifted(np.array([0.0, 2.0]), right, judge, np.arange(400) // 100, 1)
    stream = np.random.default_rng(2)
    resampling = Resampling(draw_counts(400, 200, stream), draw_counts(4, 200, stream))
    results = study_shifts("linear", shifted, true_class, ["a", "b"], resampling)
    accuracy = {(r.key.scope, r.key.dimensions): r.curve.accuracy.tolist() for r in results}
    assert accuracy == {
        (ALL, "top"): [1, 0.5], ("a", "top"): [1, 0], ("b", "top"): [1, 0], (ALL, "random"): [1, 1]
    }  # fmt: skip
    (random,) = select(results, dimensions="random")
    assert random.area["value"] == random.area["min"] == random.area["max"] == 1
    assert random.curve.n.tolist() == [100, 100]
    assert random.trend_p_value == 0.5
    assert (random.band[0] < 1).all()
    assert (random.band[1] == 1).all()
    (top,) = select(results, dimensions="top", scope=ALL)
    assert top.ceiling.accuracy.tolist() == [0.5, 0.5]
    assert top.avoidable_area["value"] == 0.25  # after the shift class 0 is missed and read
    assert top.trend_p_value < 1e-10
    low, high = top.band
    assert low[1] < 0.5 < high[1] < low[0] < high[0] == 1
    ceilings = {r.key.scope: r.ceiling_area["value"] for r in results if r.key.scope != ALL}
    assert ceilings == {"a": 1, "b": 0}
    assert {r.key.k for r in results} == {"1"}
