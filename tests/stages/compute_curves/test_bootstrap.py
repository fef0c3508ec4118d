"""Bands of curves: to first order the bootstrap itself, and covering what they claim to."""

import numpy as np
import pytest

from failure_atlas.statistics.bootstrap import (
    Resampling,
    band_shares,
    draw_counts,
    resample_influence,
    resample_means,
)
from stages.compute_curves.binned import summarize_bins
from stages.compute_curves.figures import tell_p_value
from stages.compute_curves.results import Key, pool_draws

KEY = Key("any", "distance", "all", "top", "2", "standardised", "own_class")


def summarize(distance, well, counts=None, bins=5):
    return summarize_bins(KEY, distance, well, np.ones(len(well), bool), bins, 1.0, counts)


def test_first_order_replicates_are_those_of_the_bootstrap():
    stream = np.random.default_rng(1)
    distance, n = np.arange(2000.0), 2000
    well = stream.random(n) < 0.9 - 0.0003 * distance
    counts = draw_counts(n, 300, stream)
    result = summarize(distance, well, counts)
    member = distance // 400 == np.arange(5)[:, None]
    exact = resample_means(np.broadcast_to(well, member.shape), member, counts)
    np.testing.assert_allclose(resample_influence(result.curve.accuracy, result.influence, counts), exact, atol=0.01)
    np.testing.assert_allclose(result.band, band_shares(result.curve.accuracy, result.curve.n, exact), atol=0.005)


def test_the_band_of_bins_covers_as_often_as_it_claims():
    stream = np.random.default_rng(2)
    distance, truth, hits = np.arange(500.0), np.repeat([0.98, 0.9, 0.7, 0.5, 0.4], 100), 0
    for _ in range(200):
        low, high = summarize(distance, stream.random(500) < truth, draw_counts(500, 300, stream)).band
        hits += bool(((low <= truth[::100]) & (truth[::100] <= high)).all())
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_no_band_is_certain():
    result = summarize(np.arange(100.0), np.ones(100, bool), draw_counts(100, 100, np.random.default_rng(3)))
    assert (result.band[0] < 0.99).all()
    assert (result.band[1] == 1).all()
    assert summarize(np.arange(100.0), np.ones(100, bool)).band is None


def test_the_band_of_draws_covers_the_mean_over_draws_and_samples():
    """Each draw has a level of its own and orders the samples anew; the truth is the mean over all draws."""
    stream, hits, draws, n = np.random.default_rng(4), 0, 8, 300
    for _ in range(200):
        hard = stream.random(n)  # shared by the draws, as samples are
        results = []
        for level in stream.uniform(0.5, 0.9, draws):
            distance = stream.permutation(n).astype(float)
            results.append(summarize(distance, hard < level, bins=3))
        pooled = pool_draws(KEY, results, Resampling(draw_counts(n, 200, stream), draw_counts(draws, 200, stream)))
        low, high = pooled.band
        hits += bool(((low <= 0.7) & (high >= 0.7)).all())
    assert hits / 200 >= 0.9


def test_curves_without_a_point_have_empty_bands():
    nothing, well = np.full(10, np.nan), np.ones(10, bool)
    stream = np.random.default_rng(5)
    resampling = Resampling(draw_counts(10, 100, stream), draw_counts(2, 100, stream))
    assert len(summarize(nothing, well, resampling.counts).band[0]) == 0
    assert len(pool_draws(KEY, [summarize(nothing, well)] * 2, resampling).band[0]) == 0


def test_p_values_are_told_shortly():
    told = {5.2e-15: "5e-15", 0.0: "< 1e-99", 0.0321: "0.032", 0.9999: "> 0.999", 0.97: "0.97", float("nan"): "unknown"}
    assert {value: tell_p_value(value) for value in told} == told
