"""Rankings in every way: gradients, AttFind, directions, moves of held-out samples, influence."""

import numpy as np
import pytest
import torch
from scipy import stats

from failure_atlas.core.arrays import read_array
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.populations.sampling import draw_latents, draw_styles
from failure_atlas.ranking import attfind, gradient_scores, held_out, influence, methods
from failure_atlas.statistics.estimates import mean, proportion
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, load_generator
from failure_atlas.stylegan2.noise import CONSTANT
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.networks import load_networks
from tests.linear_pair import D, LinearPair
from tests.refusing import refused


@pytest.fixture
def pair():
    return LinearPair()


@pytest.fixture(scope="module")
def networks(tiny_generator, tiny_classifier):
    return load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))


@pytest.fixture(scope="module")
def styles(tiny_population):
    return read_array(tiny_population / "population.zarr", "s")


@pytest.mark.parametrize("noise", [None, np.array([5, CONSTANT, 9, 5])])
@pytest.mark.parametrize("resampling", ["bilinear", "fir"])
def test_a_changed_layer_gives_the_image_of_the_changed_styles(resampling, noise):
    torch.manual_seed(3)
    generator = Generator(
        GeneratorArchitecture(
            z_dim=4, w_dim=4, num_classes=2, mapping_layers=1, channels=(6, 5, 4), image_channels=3,
            resampling=resampling
        )
    ).requires_grad_(False)  # fmt: skip
    for conv in generator.convs:
        torch.nn.init.constant_(conv.noise_strength, 0.3)
    s, others = torch.rand(4, generator.style_dimensions) + 0.5, torch.rand(3, generator.style_dimensions) + 0.5
    rows = torch.tensor([2, 0, 2])
    own_noise = None if noise is None else noise[rows]
    trace = attfind.Trace(generator, s, noise)
    torch.testing.assert_close(trace.raw.add(1).div(2).clamp(0, 1), generator.synthesize(s, noise))
    for layer in generator.style_layout():
        own = layer.columns
        found = trace.change_layer(layer, rows, others[:, own])
        changed = s[rows].clone()
        changed[:, own] = others[:, own]
        torch.testing.assert_close(found, generator.synthesize(changed, own_noise), rtol=1e-4, atol=1e-5)
        assert (found - generator.synthesize(s[rows], own_noise)).abs().max() > 1e-3
        if noise is not None:
            assert (found - generator.synthesize(changed)).abs().amax(dim=(1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("batch_size", [7, 500])
def test_effects_equal_the_slow_twin(networks, styles, batch_size):
    generator, classifier = networks
    chosen, true_class = styles[:3], np.array([0, 1, 2])
    weights, bounds = np.array([0.5, 0.2, 0.3]), np.stack([styles.min(0), styles.max(0)])
    seen, noise = [], np.array([3, 4, 5])
    effects = attfind.find_effects(
        generator, classifier, chosen, true_class, weights, bounds,
        noise=noise, batch_size=batch_size, advance=seen.append,
    )  # fmt: skip
    assert sum(seen) == attfind.count_trials(3, 80) == 3 * 161

    def read(s):
        with torch.no_grad():
            logits = classifier(generator.synthesize(torch.from_numpy(s), noise)).double().numpy()
        odds = np.exp(logits)
        own = np.arange(len(s)), true_class
        return logits[own], (odds / odds.sum(1, keepdims=True))[own]

    before = read(chosen)
    for dimension in range(80):
        for side in (0, 1):
            moved = chosen.copy()
            moved[:, dimension] = bounds[side, dimension]
            after = read(moved)
            for effect, one, other in zip((effects.logit, effects.probability), after, before, strict=True):
                assert effect[dimension, side] == pytest.approx(weights @ (one - other), abs=2e-5)


def test_scores_take_the_direction_that_lowers_more():
    effect = np.array([[-3.0, -1], [2, -4], [1, 1], [-2, 5], [0, 0]])
    np.testing.assert_array_equal(attfind.score_effects(effect), [3, -4, 0, 2, 0])


def run_pass(pair, batch_size=9, **changes):
    options = {"few": 12, "split_halves": 3, "replicates": 4} | changes
    return gradient_scores.pass_gradients(
        pair.world(batch_size), pair.styles, pair.true_class, pair.std, random=np.random.default_rng(3), **options
    )


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_weighted_means_equal_the_slow_twin_at_any_batch_size(pair, batch_size):
    weights = np.random.default_rng(1).random((4, 60))
    names, exact = ("softmax", "absolute", "logit", "log_probability"), pair.exact()
    wanted = {name: weights @ exact[name] for name in names}
    for steps, tolerance in ((None, 1e-9), (np.full(D, 1e-3), 1e-3)):
        moments, world = ClassMoments(3, D), pair.world(batch_size)
        means = gradient_scores.average_gradients(
            world, pair.styles, pair.true_class, dict.fromkeys(names, weights), steps=steps, moments=moments
        )
        for name in names:
            np.testing.assert_allclose(means[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)
        np.testing.assert_allclose(moments.global_mean(), exact["softmax"].mean(0), rtol=tolerance, atol=tolerance)
    alone = gradient_scores.average_gradients(pair.world(), pair.styles, pair.true_class, {"softmax": weights})
    np.testing.assert_allclose(alone["softmax"], wanted["softmax"], rtol=1e-9)


def test_scores_are_the_five_formulas(pair):
    exact = {name: values.mean(0) for name, values in pair.exact().items()}  # 20 samples of each class
    std = pair.std
    scores = run_pass(pair).scores
    expected = {f"{name}_gradient_std": exact[name] * std for name in ("logit", "log_probability")}
    expected |= {"paper": exact["softmax"], "gradient_std": exact["softmax"] * std}
    expected["absolute_gradient_std"] = np.sign(exact["softmax"]) * exact["absolute"] * std
    assert scores.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-9, err_msg=name)
    nothing = gradient_scores.score_gradients({name: np.zeros(2) for name in exact}, np.ones(2))
    assert not nothing["absolute_gradient_std"].any()


def test_few_halves_and_replicates_are_means_of_their_own_samples(pair):
    found, exact = run_pass(pair), pair.exact()["softmax"]
    np.testing.assert_allclose(found.few_scores["paper"], exact[:12].mean(0), rtol=1e-9)
    assert [len(half) for half in found.halves] == [3, 3]
    assert found.replicates.shape == (4, 7)
    # The halves of balanced classes add up to the whole.
    np.testing.assert_allclose((found.halves[0] + found.halves[1]) / 2, np.tile(found.mean, (3, 1)), rtol=1e-9)
    assert np.abs(found.halves[0] - found.halves[1]).max() > 0.01
    wide = run_pass(pair, replicates=2000).replicates
    np.testing.assert_allclose(wide.std(0), found.moments.global_standard_error(), rtol=0.1)


def test_classes_count_alike_in_weights_choices_and_resamples():
    true_class = np.array([0, 0, 0, 1])
    weights = gradient_scores.weigh_classes(true_class, np.array([[1, 1, 1, 1], [1, 0, 1, 2], [1, 1, 0, 0]]))
    np.testing.assert_allclose(weights, [[1 / 6, 1 / 6, 1 / 6, 1 / 2], [1 / 4, 0, 1 / 4, 1 / 2], [1 / 2, 1 / 2, 0, 0]])
    true_class = np.array([0, 0, 0, 0, 1, 2, 1, 2])
    for count, rows in ((3, [0, 4, 5]), (5, [0, 1, 4, 5, 6]), (8, list(range(8)))):
        assert gradient_scores.take_balanced(true_class, count).tolist() == rows
    refused("9 of 8 samples", gradient_scores.take_balanced, true_class, 9, error=ValueError)
    drawn = gradient_scores.resample_classes(np.array([0] * 5 + [1] * 3), 50, np.random.default_rng(0))
    assert (drawn[:, :5].sum(1) == 5).all()
    assert (drawn[:, 5:].sum(1) == 3).all()
    assert drawn.max() > 1


def test_fresh_samples_follow_the_generator_and_are_not_those_of_the_population(tiny_generator):
    generator = load_generator(tiny_generator, torch.device("cpu"))
    drawn, fewer, constant = (
        draw_styles(generator, count, numpy_stream(1, "compare_rankings", "held out"), constant_noise=constant)
        for count, constant in ((25, False), (10, False), (25, True))
    )
    styles, true_class = drawn.styles, drawn.true_class
    assert true_class.tolist() == [index % 10 for index in range(25)]
    np.testing.assert_allclose(fewer.styles, styles[:10], rtol=1e-5, atol=1e-6)
    assert fewer.noise.tolist() == drawn.noise[:10].tolist()
    assert len(set(drawn.noise)) == 25
    np.testing.assert_array_equal(constant.styles, styles)
    assert (constant.noise == CONSTANT).all()
    with torch.no_grad():
        z = torch.from_numpy(draw_latents(1, 25, generator.z_dim))
        population = generator.map_styles(generator.map_latents(z, torch.from_numpy(true_class))).numpy()
    assert np.abs(styles - population).max() > 0.1


@pytest.mark.parametrize("dimensions", [2, 5, 60])
def test_p_values_are_those_of_drawn_directions(dimensions):
    mean = np.random.default_rng(1).normal(size=dimensions) ** 3
    directions = np.random.default_rng(0).normal(size=(100_000, dimensions))
    null = np.abs(directions @ mean) / np.linalg.norm(directions, axis=1)
    expected = [(null >= abs(value)).mean() for value in mean]
    np.testing.assert_allclose(influence.compare_with_directions(mean), expected, atol=0.007)
    assert (null < influence.bound_directions(mean, 0.95)).mean() == pytest.approx(0.95, abs=0.004)


def test_edges_of_the_null():
    # No direction has more of it than the only one that has any; the scale does not matter.
    for of, p in (([3.0], [1]), ([0.0] * 4, [1] * 4), ([2.0, 0, 0, 0], [0, 1, 1, 1])):
        assert influence.compare_with_directions(np.array(of)).tolist() == p
    assert influence.bound_directions(np.array([-3.0]), 0.95) == 3
    both = influence.compare_with_directions(np.array([[1.0, 2, 3], [2, 4, 6]]))
    np.testing.assert_allclose(both[0], both[1])


def test_zero_test_is_students():
    values = np.random.default_rng(0).normal(0.2, 1, size=(30, 4))
    expected = stats.ttest_1samp(values, 0)
    found = influence.compare_with_zero(values.mean(0), values.std(0, ddof=1) / np.sqrt(30), 29)
    np.testing.assert_allclose(found, expected.pvalue)
    assert influence.compare_with_zero(np.zeros(1), np.zeros(1), 5).tolist() == [1]


def test_an_even_spread_of_influence_has_no_influential_dimension_and_planted_ones_are_found():
    random = np.random.default_rng(2)
    assert influence.mark_significant(random.normal(size=(200, 300)), 0.05).any(axis=1).mean() < 0.1
    mean = random.normal(size=300)
    mean[[5, 50, 200]] = [12, -15, 20]
    assert np.flatnonzero(influence.mark_significant(mean, 0.05)).tolist() == [5, 50, 200]


def judged(scatter, seed=0, samples=1000):
    """Three planted dimensions of 100, one of them with another sign in half of the halves."""
    random = np.random.default_rng(seed)
    whole = random.normal(size=100)
    whole[:3] = [10, -12, 9]

    def noisy(count):
        return whole + scatter * random.normal(size=(count, 100))

    halves = noisy(20), noisy(20)
    halves[0][:, 2] *= -1
    noise = np.full(100, scatter)
    return influence.judge_influence(whole, halves, noisy(50), noisy(1)[0], noise, fdr=0.05, samples=samples)


def test_a_dimension_of_unsteady_sign_is_not_influential():
    columns, metrics = (found := judged(scatter=0.01)).columns, found.metrics
    assert np.flatnonzero(columns["influential"]).tolist() == [0, 1]
    assert columns["sign_stability"][2] == 0.5
    assert columns["q_value"][2] < 0.05
    assert metrics["influential_dimensions"] == {"value": 2, "low": 2, "high": 2, "n": 1000}
    assert metrics["influential_overlap_of_halves"]["value"] == 1
    assert metrics["influential_overlap_of_populations"]["value"] == 1
    squares = columns["effect"] ** 2
    assert metrics["influential_share_of_squared_effect"] == pytest.approx(squares[:2].sum() / squares.sum())


def test_samples_that_scatter_overlap_less_and_widen_the_interval():
    steady, shaky = judged(scatter=0.01).metrics, judged(scatter=4).metrics
    assert shaky["influential_overlap_of_halves"]["value"] < steady["influential_overlap_of_halves"]["value"]
    assert shaky["influential_dimensions"]["high"] > shaky["influential_dimensions"]["low"]
    sets = np.array([[[True, True, False], [False] * 3], [[True, False, True], [False] * 3]])
    np.testing.assert_allclose(influence.overlap(*sets), [1 / 3, 1])


def logistic(weights, offset):
    """p(class 0) = sigmoid(s . weights + offset), as logits of two classes of "images" that are the styles."""
    vector = torch.tensor(weights, dtype=torch.float64)
    return lambda s: torch.stack([s.double() @ vector + offset, torch.zeros(len(s), dtype=torch.float64)], dim=1)


def make_world(offset=2.5, judge_weights=(0.0, 0, 0), judge_offset=3.0, synthesize=lambda s: s):
    networks = {CLASSIFIER: logistic((1.0, 0, 0), offset), JUDGE: logistic(judge_weights, judge_offset)}
    return World(synthesize, networks, 7)


def method(scores, name="paper", budget="full"):
    return methods.Method(name, budget, 10, 30, methods.step_top(np.array(scores), len(scores)))


def test_shifts_follow_the_closed_form_and_the_judge_gives_verdicts():
    styles, std = np.zeros((4, 3), np.float32), np.array([2.0, 1, 1])
    world = make_world(judge_weights=(1.0, 0, 0), judge_offset=7.0)  # sees class 0 with 0.8 down to s = -5.6
    seen = []
    ways = [method([3.0, 1, 0]), method([0.0, 5, 1], "useless")]
    outcomes = held_out.measure_shifts(
        world, ways, {"paper": [(1, 1.0), (1, 2.0), (1, 3.0)], "useless": [(2, 1.0)]}, styles, np.zeros(4, int),
        std, judged=(1, 2.0), advance=seen.append
    )  # fmt: skip
    for shift in (1, 2, 3):
        expected = 1 / (1 + np.exp(-(2.5 - 2 * shift)))
        np.testing.assert_allclose(outcomes["paper", 1, shift].probability, expected)
        assert (outcomes["paper", 1, shift].correct == (expected > 0.5)).all()
    assert outcomes["paper", 1, 2.0].verdict.tolist() == [0] * 4  # at s = -4: wrong, and the judge is sure of class 0
    assert outcomes["paper", 1, 3.0].verdict is None
    np.testing.assert_allclose(outcomes["useless", 2, 1.0].probability, 1 / (1 + np.exp(-2.5)))
    assert seen == [4] * 4
    assert set(held_out.select_cell(outcomes, (1, 2.0))) == {"paper"}


def test_methods_that_choose_the_same_share_one_measurement():
    calls = []
    counted = make_world(synthesize=lambda s: (calls.append(len(s)), s)[1])
    ways = [method([3.0, 1, 0]), method([9.0, 1, 0], "twin"), method([-3.0, 1, 0], "opposite")]
    cells = {m.label: [(1, 1.0)] for m in ways}
    outcomes = held_out.measure_shifts(counted, ways, cells, np.zeros((5, 3), np.float32), np.zeros(5, int), np.ones(3))
    assert calls == [5, 5]
    np.testing.assert_array_equal(outcomes["paper", 1, 1.0].probability, outcomes["twin", 1, 1.0].probability)
    assert (outcomes["opposite", 1, 1.0].probability > outcomes["twin", 1, 1.0].probability).all()


def test_walks_end_at_the_first_whole_std_beyond_the_crossing():
    # p = sigmoid(2.5 - s): 0.50 at 2.5 std; the other dimension never matters.
    moves = np.array([[-1.0, 0, 0], [0, 1, 0], [-0.25, 0, 0]])
    starts = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    ended = []
    walks = held_out.walk_coarsely(
        make_world(judge_weights=(1.0, 0, 0), judge_offset=4.0), starts, np.zeros(2, int), moves, max_shift_std=10,
        confidence=0.8, on_end=ended.append
    )  # fmt: skip
    np.testing.assert_array_equal(walks.reached_std, [[3, np.inf, 10], [4, np.inf, np.inf]])
    # The judge's log-odds at s = -3 are 1, p = 0.73: neither class with 0.8. At s = -2.5 they are 1.5, p = 0.82, but
    # the classifier, at 0.50 for both, still says the first class: no failure.
    np.testing.assert_array_equal(walks.verdict, [[2, -1, 3], [2, -1, -1]])
    assert sum(ended) == 6


def test_each_direction_is_walked_once():
    ways = [method([3.0, -1, 0]), method([1.0, -3, 0], "other"), method([-1.0, 0, 0], "opposite")]
    steps, columns = held_out.collect_directions(ways, 2)
    np.testing.assert_array_equal(steps, [[-1, 0, 0], [0, 1, 0], [1, 0, 0]])
    assert {label: own.tolist() for label, own in columns.items()} == {
        "paper": [0, 1], "other": [1, 0], "opposite": [2]
    }  # fmt: skip


def test_paired_differences_cancel_what_samples_share():
    random = np.random.default_rng(0)
    base = random.normal(0, 10, 300)
    resamples = held_out.draw_resamples(300, np.random.default_rng(1))
    found = held_out.compare_paired(base + random.normal(0.5, 1, 300), base, resamples)
    half = 1.96 / np.sqrt(300)
    assert found["value"] == pytest.approx(0.5, abs=2 * half)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.15)
    assert found["n"] == 300
    same = np.array([True, False] * 150)
    assert held_out.compare_paired(same, same, resamples) == {"value": 0, "low": 0, "high": 0, "n": 300}


def test_an_underpowered_comparison_decides_nothing():
    not_decided = ((-0.2, 0.26, "not decided"), (0.02, 0.1, "not decided"))
    for low, high, verdict in (*not_decided, (-0.1, 0.02, "holds"), (0.021, 0.1, "fails")):
        assert held_out.judge_no_worse({"low": low, "high": high}, 0.02) == verdict


def test_samples_of_one_draw_count_as_one():
    random, n, draws = np.random.default_rng(3), 300, 30
    of_draw = held_out.assign_draws(n, draws)
    assert (np.bincount(of_draw) == 10).all()
    alike = random.normal(size=draws)[of_draw]  # a sample tells nothing that its draw does not
    assert held_out.estimate(alike, draws) == pytest.approx(mean(alike[::10]) | {"n": n})
    assert held_out.estimate(alike > 0, 1) == proportion(alike > 0)
    assert held_out.estimate(alike, 1) == mean(alike)
    assert held_out.estimate(np.ones(10, bool), 3) == {"value": 1, "low": 1, "high": 1, "n": 10}


def test_intervals_over_draws_of_unequal_size_cover():
    random, draws, covered = np.random.default_rng(5), 7, 0
    of_draw = held_out.assign_draws(40, draws)
    for _ in range(400):
        share = random.beta(2, 2, draws)[of_draw]
        found = held_out.estimate(random.random(40) < share, draws)
        covered += found["low"] <= 0.5 <= found["high"]
    assert 0.9 <= covered / 400 <= 0.99


def test_a_difference_from_a_random_method_is_over_its_draws():
    first, second = np.repeat(np.random.default_rng(1).normal(size=10), 10), np.zeros(100)
    resamples = held_out.draw_resamples(100, np.random.default_rng(1))
    independent, clustered = (held_out.compare_paired(first, second, resamples, draws) for draws in (1, 10))
    assert clustered["value"] == independent["value"]
    assert clustered["high"] - clustered["low"] > 2 * (independent["high"] - independent["low"])


def test_steps_go_against_the_score_in_order_of_size_and_random_ones_differ_in_choice_only():
    steps = methods.step_top(np.array([1.0, -3, 0, 2]), 3)
    np.testing.assert_array_equal(steps, [[[0, 1, 0, 0], [0, 0, 0, -1], [-1, 0, 0, 0]]])
    scores = np.array([1.0, -3, 5, 2, -1, 4])
    steps = methods.step_random(scores, 4, 5, np.random.default_rng(0))
    assert steps.shape == (5, 4, 6)
    for draw in steps:
        dimensions = np.abs(draw).argmax(1)
        assert len(set(dimensions)) == 4
        np.testing.assert_array_equal(draw[np.arange(4), dimensions], -np.sign(scores[dimensions]))
    assert len({draw.tobytes() for draw in steps}) > 1


def test_directions_have_length_one_and_lower_the_score_and_joint_moves_length_sqrt_k():
    gradient = np.array([1.0, -2, 0.5])
    steps = methods.step_directions(np.array([[3.0, 0, 4], [0, 5, 0], [0, 0, 0]]), gradient)[0]
    np.testing.assert_allclose(steps, [[-0.6, 0, -0.8], [0, 1, 0], [0, 0, 0]])
    assert (steps[:2] @ gradient < 0).all()
    dimensions = methods.step_top(np.array([1.0, -3, 0, 2]), 4)
    np.testing.assert_allclose(methods.join_steps(dimensions, 2), [[0, 1, 0, -1]])
    np.testing.assert_allclose(methods.join_steps(dimensions, 4), [[-1, 1, 0, -1]])  # the third has no direction
    leaning = methods.step_directions(np.array([[1.0, 0, 0], [1, 1, 0]]), np.ones(3))
    assert np.linalg.norm(methods.join_steps(leaning, 2)) == pytest.approx(np.sqrt(2))
    assert not methods.join_steps(np.zeros((1, 2, 3)), 2).any()


def test_single_steps_take_the_same_number_from_every_draw():
    steps = np.arange(3 * 4 * 2, dtype=float).reshape(3, 4, 2)
    singles = methods.single_steps(methods.Method("random", "full", 1, 1, steps), 5)
    np.testing.assert_array_equal(singles, steps[[0, 0, 1, 1, 2], [0, 1, 0, 1, 0]])
    assert len(methods.single_steps(methods.Method("paper", "full", 1, 1, steps[:1]), 10)) == 4


def test_principal_directions_of_known_spread():
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(4, 4)))
    features = 100 + random.normal(size=(4000, 4)) * [5, 3, 1, 0.2] @ axes.T
    found = methods.find_principal(features, 3)
    np.testing.assert_allclose(np.abs(np.sum(found * axes.T[:3], axis=1)), 1, atol=1e-2)
    assert methods.find_principal(features, 9).shape == (4, 4)


def test_directions_of_w_become_those_of_s(tiny_generator):
    generator = load_generator(tiny_generator, torch.device("cpu"))
    random = np.random.default_rng(0)
    w, directions = random.normal(size=(1, 8)).astype(np.float32), random.normal(size=(2, 8))
    with torch.no_grad():
        base = generator.map_styles(torch.from_numpy(w))
        moved = generator.map_styles(torch.from_numpy(w + directions.astype(np.float32)))
    np.testing.assert_allclose(methods.map_directions(generator, directions), moved - base, atol=1e-5)


def test_methods_say_what_they_cost():
    scores = {name: np.arange(1.0, 5) for name in ("paper", "gradient_std")}
    ones = np.ones((1, 4))
    gradients = gradient_scores.RankingPass(scores, scores, ones[0], (ones, ones), ones, ClassMoments(1, 4))
    effect = np.array([[-1.0, 0], [0, -2], [0, 0], [0, 0]])
    ways = methods.build_methods(
        gradients, attfind.Effects(effect, -effect), {"pca_s": np.eye(4)}, samples=90, passes=3, few=8,
        attfind_samples=50, count=2, random_draws=3, random=np.random.default_rng(0)
    )  # fmt: skip
    assert {method.label: (method.samples, method.forward_passes) for method in ways} == {
        "paper": (90, 270), "gradient_std": (90, 270), "paper (1/50)": (8, 24), "gradient_std (1/50)": (8, 24),
        "attfind": (50, 450), "attfind_probability": (50, 450), "random": (90, 270), "pca_s": (90, 270)
    }  # fmt: skip
    by_label = {method.label: method.steps for method in ways}
    np.testing.assert_array_equal(by_label["attfind"], [[[0, 1, 0, 0], [-1, 0, 0, 0]]])
    assert by_label["random"].shape == (3, 2, 4)
    assert not by_label["attfind_probability"].any()  # its effects only rise
