"""Studies of populations whose geometry is known, bands that cover as they claim, and paired differences by hand."""

import numpy as np
import pytest
import torch
from scipy import stats

from failure_atlas.curves import paired, shift
from failure_atlas.curves.curve import weigh_area
from failure_atlas.curves.study import Key, pool_draws, select, study_bins, study_shifts, summarize_bins
from failure_atlas.statistics.bootstrap import Resampling, band_shares, draw_counts, resample_influence, resample_means
from failure_atlas.world.show import CLASSIFIER, JUDGE, World

KEY = Key("any", "distance", k="2")


def build_world(**score):
    """G(s) = s as a row of pixels; each network sees class 1 where its score of the styles is above 0, else class 0."""

    def see(network):
        def answer(images):
            above = network(images[:, 0, 0]).float()
            return torch.stack([-above, above], dim=1)

        return answer

    networks = {name: see(network) for name, network in score.items()}
    return World(lambda styles: styles[:, None, None], networks, batch_size=64, classes=2)


def test_shifts_include_both_ends_and_a_move_touches_the_chosen_dimensions_only():
    assert shift.space_shifts(5.0, 0.5).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert shift.space_shifts(0.3, 0.1) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert shift.space_shifts(1.0, 0.4) == pytest.approx([0, 0.4, 0.8])
    move = shift.build_move(np.array([2, 0]), np.array([-1, 1, 1, 0]), np.array([0.5, 9, 2, 7]))
    assert (move.tolist(), move.dtype) == ([-0.5, 0, 2, 0], np.float32)


def test_isotropic_styles_and_a_linear_classifier_follow_the_normal_distribution_each_sample_by_its_own_move():
    # Class 0 while the sum over four unit-variance dimensions is below 2: moved by t each, right with Phi(1 - 2 t).
    styles = np.random.default_rng(1).standard_normal((20_000, 6)).astype(np.float32)
    move, shifts, told = shift.build_move(np.arange(4), np.ones(6, int), np.ones(6)), np.array([0.0, 0.5, 1.0]), []
    world = build_world(linear=lambda s: s[:, :4].sum(1) - 2)
    (correct,) = shift.ask_shifted(world, styles, move, np.zeros(len(styles), int), shifts, told.append)
    np.testing.assert_allclose(correct.mean(1), stats.norm.cdf(1 - 2 * shifts), atol=0.01)
    assert sum(told) == 3 * 20_000
    world = build_world(one=lambda s: s[:, 0] - 0.5, other=lambda s: s[:, 1] - 0.5)
    correct = shift.ask_shifted(world, np.zeros((2, 2)), np.eye(2, dtype=np.float32), np.zeros(2, int), shifts[::2])
    assert correct.tolist() == [[[True, True], [False, True]], [[True, True], [True, False]]]


def test_samples_are_moved_along_the_dimensions_of_all_of_their_class_and_along_random_ones():
    # Two classes told apart by the sign of dimension 0 (class 1 above); dimension 0 hurts each class in one direction.
    stream = np.random.default_rng(2)
    true_class = np.arange(400) % 2
    styles = stream.standard_normal((400, 10)).astype(np.float32) * 0.1
    styles[:, 0] += np.where(true_class == 1, 1, -1)
    up, down = (shift.Order(np.arange(10), np.array([sign] + [1] * 9)) for sign in (1, -1))
    sets = [np.array([draw % 8 + 2]) for draw in range(4)]
    # The judge reads everything but class 1.
    world = build_world(**{CLASSIFIER: lambda s: s[:, 0], JUDGE: lambda s: -torch.ones(len(s))})
    orders, shifts = {shift.ALL: up, "a": up, "b": down}, np.array([0.0, 2.0])
    shifted = shift.shift_samples(world, styles, true_class, np.ones(10), orders, sets, shifts)
    right = shifted.classifier.mean(axis=2)
    assert right[[shift.TOP, shift.OWN_CLASS, shift.RANDOM]].tolist() == [[1, 0.5], [1, 0], [1, 1]]
    assert (shifted.judge == (true_class == 0)).all()
    assert np.bincount(shifted.draw).tolist() == [100] * 4
    assert shifted.dimensions == 1


def test_curves_of_shifts_are_of_all_of_each_class_and_of_random_dimensions():
    true_class = np.arange(400) % 2
    right = np.ones((3, 2, 400), bool)
    right[0, 1] = true_class == 1  # moved along the global dimensions class 0 is lost
    right[1, 1] = False  # along its own each class
    judge = np.broadcast_to(true_class == 0, right.shape)  # reads everything but class 1
    shifted = shift.Shifted(np.array([0.0, 2.0]), right, judge, np.arange(400) // 100, 1)
    stream = np.random.default_rng(2)
    resampling = Resampling(draw_counts(400, 200, stream), draw_counts(4, 200, stream))
    results = study_shifts("linear", shifted, true_class, ["a", "b"], resampling)
    accuracy = {(r.key.scope, r.key.dimensions): r.curve.accuracy.tolist() for r in results}
    assert accuracy == {
        (shift.ALL, "top"): [1, 0.5], ("a", "top"): [1, 0], ("b", "top"): [1, 0], (shift.ALL, "random"): [1, 1]
    }  # fmt: skip
    (random,) = select(results, dimensions="random")
    assert random.area["value"] == random.area["min"] == random.area["max"] == 1
    assert (random.curve.n.tolist(), random.trend_p_value) == ([100, 100], 0.5)
    assert (random.band[0] < 1).all()
    assert (random.band[1] == 1).all()
    (top,) = select(results, dimensions="top", scope=shift.ALL)
    assert top.ceiling.accuracy.tolist() == [0.5, 0.5]
    assert top.avoidable_area["value"] == 0.25  # after the shift class 0 is missed and read
    assert top.trend_p_value < 1e-10
    low, high = top.band
    assert low[1] < 0.5 < high[1] < low[0] < high[0] == 1
    ceilings = {r.key.scope: r.ceiling_area["value"] for r in results if r.key.scope != shift.ALL}
    assert ceilings == {"a": 1, "b": 0}
    assert {r.key.k for r in results} == {"1"}


def study(styles, true_class, well, direction, stream):
    """All curves over bins of a classifier that dimensions 0 and 1 decide about, 4 to 7 being the random ones."""
    n, order = len(styles), shift.Order(np.arange(8), direction)
    resampling = Resampling(draw_counts(n, 100, stream), draw_counts(2, 100, stream))
    return list(
        study_bins(
            "disc", styles, true_class, well, np.ones(n, bool), np.ones(8), {shift.ALL: order, "a": order, "b": order},
            {2: [np.array([4, 5]), np.array([6, 7])]}, resampling, top_k=[2, "all"], bins=10, tail_quantile=0.99,
        )
    )  # fmt: skip


def test_distance_in_a_population_that_fails_far_out():
    # Two classes around centres far apart; a sample is misclassified beyond radius 1.5 in dimensions 0 and 1.
    stream = np.random.default_rng(1)
    true_class = np.arange(4000) % 2
    offsets = stream.standard_normal((4000, 8))
    styles = (offsets + 10 * true_class[:, None]).astype(np.float32)
    well = np.linalg.norm(offsets[:, :2], axis=1) < 1.5
    results = select(study(styles, true_class, well, np.ones(8, int), stream), kind="distance")
    assert len(results) == 2 * 2 * 3 * 3
    own = {"scope": shift.ALL, "scaling": "standardised", "centre": "own_class"}
    (top,), (random,) = (select(results, k="2", dimensions=kind, **own) for kind in ("top", "random"))
    assert top.curve.accuracy[[0, -1]].tolist() == [1, 0]
    assert np.ptp(random.curve.accuracy) < 0.15
    assert top.slope["high"] < -0.3 < random.slope["low"]
    assert top.trend_p_value < 1e-100
    assert top.rise.p_value > 0.05
    assert top.ceiling_area["value"] == 1
    assert top.avoidable_area["value"] == pytest.approx(1 - top.area["value"])
    for scope in ("a", "b"):
        (part,) = select(results, k="2", dimensions="top", **own | {"scope": scope})
        assert part.curve.n.sum() == 1980
        np.testing.assert_allclose(part.curve.accuracy, top.curve.accuracy, atol=0.3)
    (everything,) = select(results, k="all", **own)
    assert everything.slope["high"] < 0
    # From one centre between both classes the failures lie on both sides: the curve rises before it falls.
    (shared,) = select(results, k="2", dimensions="top", **own | {"centre": "all"})
    assert shared.rise.p_value < 0.001
    assert shared.curve.accuracy[1:-1].min() > max(shared.curve.accuracy[0], shared.curve.accuracy[-1]) + 0.2


def test_projection_follows_the_normal_distribution_along_the_direction_and_is_flat_elsewhere():
    # Right while the projection on dimensions 0 and 1, of signs + and -, is below 0.5 plus a normal error.
    stream = np.random.default_rng(2)
    styles = stream.standard_normal((20_000, 8)).astype(np.float32)
    z = (styles[:, 0] - styles[:, 1]) / np.sqrt(2)
    well = z < 0.5 + stream.standard_normal(20_000)
    found = study(styles, np.arange(20_000) % 2, well, np.array([1, -1, 1, 1, 1, 1, 1, 1]), stream)
    results = select(found, kind="projection")
    assert len(results) == 3 * 3
    (top,), (random,) = (select(results, scope=shift.ALL, k="2", dimensions=kind) for kind in ("top", "random"))
    # The centre is the mean of the well-classified, which lies a little on the safe side of the origin.
    expected = stats.norm.cdf(0.5 - (top.curve.x + z[well].mean()))
    np.testing.assert_allclose(top.curve.accuracy, expected, atol=0.04)
    assert (top.band[0] < top.curve.low).all()
    assert (top.band[1] > top.curve.high).all()
    assert (random.band[0] < random.curve.accuracy).all()
    assert top.trend_p_value < 1e-100
    assert top.rise.p_value > 0.05
    assert np.ptp(random.curve.accuracy) < 0.06
    assert random.slope["high"] > -0.05 > top.slope["high"]


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


def test_replicates_agree_with_one_replicate_at_a_time():
    stream = np.random.default_rng(2)
    values, member = stream.integers(-1, 2, (3, 20)), stream.random((3, 20)) < 0.5
    counts = draw_counts(20, 30, stream)
    assert (counts.sum(axis=1) == 20).all()
    for row, measured in zip(counts.astype(int), resample_means(values, member, counts), strict=True):
        drawn = np.repeat(np.arange(20), row)
        for point in range(3):
            inside = drawn[member[point, drawn]]
            assert measured[point] == pytest.approx(values[point, inside].mean())
    # A replicate without a sample of a point takes the point's own mean.
    member = np.array([[True, False, False]])
    assert resample_means(np.array([[-1, 0, 0]]), member, np.array([[0, 2, 1]], np.float32)).tolist() == [[-1]]


def test_the_band_of_bins_covers_as_often_as_it_claims():
    stream = np.random.default_rng(2)
    distance, truth, hits = np.arange(500.0), np.repeat([0.98, 0.9, 0.7, 0.5, 0.4], 100), 0
    for _ in range(200):
        low, high = summarize(distance, stream.random(500) < truth, draw_counts(500, 300, stream)).band
        hits += bool(((low <= truth[::100]) & (truth[::100] <= high)).all())
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_the_band_of_draws_covers_the_mean_over_draws_and_samples():
    """Each draw has a level of its own and orders the samples anew; the truth is the mean over all draws."""
    stream, hits, draws, n = np.random.default_rng(4), 0, 8, 150
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


def test_no_band_is_certain_and_curves_without_a_point_have_empty_ones():
    stream, well = np.random.default_rng(5), np.ones(100, bool)
    resampling = Resampling(draw_counts(100, 100, stream), draw_counts(2, 100, stream))
    low, high = summarize(np.arange(100.0), well, resampling.counts).band
    assert (low < 0.99).all()
    assert (high == 1).all()
    assert summarize(np.arange(100.0), well).band is None
    nothing = np.full(100, np.nan)
    assert len(summarize(nothing, well, resampling.counts).band[0]) == 0
    assert len(pool_draws(KEY, [summarize(nothing, well)] * 2, resampling).band[0]) == 0


def test_difference_by_hand():
    # Four samples at two steps: the second classifier gains one sample at the first step and two at the second.
    gain = np.array([[1, 0, 0, 0], [1, 1, 0, 0]])
    counts = draw_counts(4, 100, np.random.default_rng(5))
    difference = paired.compare("a", "b", "shift", np.array([0.0, 1]), gain, np.ones((2, 4), bool), counts)
    points = difference.points
    assert points["difference"].tolist() == [0.25, 0.5]
    assert (difference.area["value"], difference.area["n"]) == (0.375, 4)
    # Agresti and Min: half a sample more of each outcome, 1.5 gained, 0.5 lost of 6 at the first step.
    half = 1.959964 * np.sqrt((2 / 6 - (1 / 6) ** 2) / 6)
    assert points["high"][0] == pytest.approx(0.25 + half, rel=1e-5)
    assert points["low"][0] == pytest.approx(0.25 - half, rel=1e-5)
    assert (points["band_low"] <= points["low"]).all()
    assert (points["band_high"] >= points["high"]).all()


def test_paired_area_interval_is_that_of_the_samples_own_areas():
    stream = np.random.default_rng(6)
    x = np.array([0.0, 1, 2, 5])
    limits = stream.uniform(0, 6, 400)  # both fail for good beyond a shift; the second stands a little more
    first, second = (x[:, None] < limit for limit in (limits, limits + stream.uniform(-0.3, 0.9, 400)))
    (difference,) = paired.compare_by_shift(x, {"one": first, "two": second}, draw_counts(400, 2000, stream))
    each = weigh_area(x) @ (second.astype(int) - first)
    half = 1.96 * each.std(ddof=1) / 20
    assert (difference.name, difference.area["value"]) == ("two_minus_one", pytest.approx(each.mean()))
    assert difference.area["low"] == pytest.approx(each.mean() - half, abs=0.15 * half)
    assert difference.area["high"] == pytest.approx(each.mean() + half, abs=0.15 * half)


def test_distance_bins_share_one_axis():
    # The second classifier is right wherever the first is, and also beyond a distance of 2 from its class's mean.
    stream = np.random.default_rng(8)
    true_class = np.arange(4000) % 2
    offsets = stream.standard_normal((4000, 4))
    styles = (offsets + 10 * true_class[:, None]).astype(np.float32)
    near = np.linalg.norm(offsets, axis=1) < 2
    outcomes = {"one": near, "two": np.ones(4000, bool), "three": ~near}
    differences = list(
        paired.compare_by_distance(
            styles, true_class, outcomes, np.ones(4), classes=2, bins=10, tail_quantile=0.99,
            counts=draw_counts(4000, 100, stream),
        )
    )  # fmt: skip
    assert [each.name for each in differences] == ["two_minus_one", "three_minus_one", "three_minus_two"]
    first = differences[0]
    assert first.points["difference"].iloc[[0, -1]].tolist() == [0, 1]
    assert first.area["n"] == first.points["n"].sum() == 3960
    assert first.points["low"][0] < 0 < first.points["high"][0]
    assert (np.diff(first.points["x"]) > 0).all()


def test_outcomes_are_matched_pairs_and_ways_are_compared_draw_by_draw():
    first, second = np.arange(100) < 60, (np.arange(100) >= 20) & (np.arange(100) < 90)
    gained, lost = 30.5 / 102, 20.5 / 102
    half = 1.959964 * np.sqrt((gained + lost - (gained - lost) ** 2) / 102)
    wanted = {"value": 0.1, "low": 0.1 - half, "high": 0.1 + half, "n": 100}
    assert paired.compare_outcomes(first, second) == pytest.approx(wanted)
    right = np.random.default_rng(1).random((3, 2, 40)) < 0.5
    found = paired.compare_ways(shift.Shifted(np.array([0.0, 2.0]), right, ~right, np.arange(40) // 10, 1))
    gaps = (right[shift.TOP] * 1.0 - right[shift.RANDOM]).mean(axis=0).reshape(4, 10).mean(axis=1)
    low, high = stats.t.interval(0.95, 3, gaps.mean(), stats.sem(gaps))
    assert found["shift_area"] == pytest.approx({"value": gaps.mean(), "low": low, "high": high, "n": 4})
    # This judge reads what the classifier misses: what only the judge reads is all that is lost.
    assert found["shift_avoidable_area"]["value"] == pytest.approx(-gaps.mean())


def fall(stream, n=400, tail_quantile=1.0, lost=0.1):
    """One class; right with a chance that falls along dimension 0; dimension 3 is of another scale."""
    styles, sets = stream.standard_normal((n, 4)) * [1, 1, 1, 3], [np.array([each]) for each in (1, 2, 3)]
    well, order = stream.random(n) < 0.9 - lost * np.abs(styles[:, 0]), shift.Order(np.arange(4), np.ones(4, int))
    about = {"well": well, "order": order, "random_sets": sets, "classes": 1, "tail_quantile": tail_quantile}
    return styles, well, paired.compare_slopes(styles, np.zeros(n, int), np.array([1.0, 1, 1, 3]), **about)


def test_slopes_are_those_of_straight_lines_over_the_common_range():
    styles, well, found = fall(np.random.default_rng(1), tail_quantile=0.9)
    scaled = (styles - styles[well].mean(axis=0)) / [1, 1, 1, 3]
    both = np.abs(scaled[:, 0]), np.linalg.norm(scaled, axis=1)
    low, high = max(each.min() for each in both), min(np.quantile(each, 0.9) for each in both)
    inside = [(low <= each) & (each <= high) for each in both]
    slopes = [np.polyfit(each[rows], well[rows], 1)[0] for each, rows in zip(both, inside, strict=True)]
    one = found["slope_minus_all"]["standardised_own_class"]
    assert (one["value"], one["n"]) == (pytest.approx(slopes[0] - slopes[1]), min(rows.sum() for rows in inside))
    assert list(found["slope_minus_random"]) == [
        "raw_own_class",
        "raw_all",
        "standardised_own_class",
        "standardised_all",
    ]
    assert found["slope_minus_random"]["raw_all"]["n"] == 3
    *_, nobody = fall(np.random.default_rng(1), lost=np.inf)
    assert all(np.isnan(each["value"]) for versions in nobody.values() for each in versions.values())


def test_intervals_of_slopes_cover_as_often_as_they_claim():
    stream, hits = np.random.default_rng(2), np.zeros(2)
    truths = [each["standardised_all"]["value"] for each in fall(stream, 400_000)[2].values()]
    assert truths[1] == pytest.approx(-0.1, abs=0.01)
    for _ in range(300):
        found = [each["standardised_all"] for each in fall(stream)[2].values()]
        hits += [each["low"] <= truth <= each["high"] for each, truth in zip(found, truths, strict=True)]
    np.testing.assert_array_less(0.91, hits / 300)
    assert hits[0] / 300 < 0.985
