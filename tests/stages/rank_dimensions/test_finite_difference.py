"""Central differences against closed forms and slow twins, and the draw of doubtful samples."""

import numpy as np
import pytest
import torch
from failure_atlas.ranking.passes import count_passes, difference_population, score_population
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.core.errors import StageError
from failure_atlas.ranking.doubt import draw_doubtful
from failure_atlas.ranking.scores import choose_score, difference_outputs
from failure_atlas.statistics.agreement import correlate_ranks

N, D, PIXELS, CLASSES = 60, 7, 12, 3
CPU = torch.device("cpu")


class LinearPair:
    """image = s G, logits = image H, behind a wall: the classifier is a NumPy function."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.G, self.H = random.normal(size=(D, PIXELS)), random.normal(size=(PIXELS, CLASSES))
        self.styles = random.normal(size=(N, D)).astype(np.float32)
        self.true_class = np.arange(N, dtype=np.int64) % CLASSES
        self.std = self.styles.std(axis=0, ddof=1, dtype=np.float64)
        self.black_box = BlackBox(lambda images: images.reshape(len(images), -1) @ self.H, "linear")

    def synthesize(self, s: torch.Tensor) -> torch.Tensor:
        return (s.double() @ torch.from_numpy(self.G)).reshape(-1, 1, 3, 4)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ torch.from_numpy(self.H)

    def softmax(self, styles: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        odds = np.exp(styles.astype(np.float64) @ self.G @ self.H)
        return (odds / odds.sum(1, keepdims=True))[np.arange(len(styles)), true_class]


@pytest.fixture
def pair() -> LinearPair:
    return LinearPair()


def difference(pair, read, dimensions, steps, *, classify=None, batch_size=10):
    return difference_outputs(
        pair.synthesize, classify or pair.classify, read, pair.styles[: len(steps)], np.asarray(dimensions),
        np.asarray(steps), batch_size=batch_size, device=CPU,
    )  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("step", [0.01, 3.0])
def test_a_linear_generator_and_classifier_give_exact_slopes_at_any_step(pair, batch_size, step):
    every = np.broadcast_to(np.arange(D), (N, D))
    found = difference(pair, lambda logits, _: logits, every, np.full((N, D), step), batch_size=batch_size)
    np.testing.assert_allclose(found, np.broadcast_to(pair.G @ pair.H, found.shape), rtol=1e-9, atol=1e-9)


def test_chosen_dimensions_of_each_sample_get_their_own_slope_and_a_step_of_0_none(pair):
    asked = []
    found = difference(
        pair,
        lambda logits, _: logits,
        [[2, 5], [6, 0]],
        [[0.5, 0.0], [0.25, 1.0]],
        classify=lambda images: asked.append(len(images)) or pair.classify(images),
    )
    slope = pair.G @ pair.H
    np.testing.assert_allclose(found, [[slope[2], np.zeros(CLASSES)], [slope[6], slope[0]]], rtol=1e-9, atol=1e-9)
    assert sum(asked) == 6


def test_each_image_is_read_for_its_own_sample(pair):
    own = torch.from_numpy(pair.true_class)
    every = np.broadcast_to(np.arange(D), (N, D))
    found = difference(
        pair, lambda logits, row: logits.gather(1, own[row][:, None]), every, np.full((N, D), 0.1), batch_size=9
    )
    np.testing.assert_allclose(found[:, :, 0], (pair.G @ pair.H)[:, pair.true_class].T, rtol=1e-8, atol=1e-8)


def test_nothing_to_move_is_a_slope_of_0(pair):
    assert not difference(pair, lambda logits, _: logits, [[1, 2]], [[0.0, 0.0]]).any()


def run(pair, classify, samples=N, std=None, batch_size=16, step_std=0.25, seed=0):
    return difference_population(
        pair.synthesize, classify, pair.styles, pair.true_class, pair.std if std is None else std, samples=samples,
        step_std=step_std, split_halves=3, draw=np.random.default_rng(seed), halve=np.random.default_rng(1),
        classes=CLASSES, batch_size=batch_size, device=CPU,
    )  # fmt: skip


def test_a_black_box_is_scored_by_the_slow_twins_differences(pair):
    result = run(pair, pair.black_box)
    slopes = np.empty((N, D))
    for dimension in range(D):
        move = np.zeros(D)
        move[dimension] = 0.25 * pair.std[dimension]
        up, down = (pair.softmax(pair.styles + sign * move, pair.true_class) for sign in (1, -1))
        slopes[:, dimension] = (up - down) / (2 * move[dimension])
    expected = [slopes[pair.true_class == index].mean(axis=0) for index in range(CLASSES)]
    np.testing.assert_allclose(result.scores.gradients.mean, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.scores.gradient_mass, np.abs(slopes).sum(axis=1), rtol=1e-4, atol=1e-5)
    assert (result.samples, result.forward_passes) == (N, N + 2 * N * D)
    np.testing.assert_allclose(result.scores.logits, pair.styles @ pair.G @ pair.H, rtol=1e-4, atol=1e-4)


def test_it_ranks_as_gradients_do(pair):
    gradients = score_population(
        lambda s: pair.synthesize(s), pair.classify, pair.styles, pair.true_class, np.zeros((1, N), bool),
        classes=CLASSES, batch_size=N,
    )  # fmt: skip
    exact = gradients.gradients.global_mean()
    found = run(pair, pair.black_box, step_std=0.01).scores.gradients.global_mean()
    np.testing.assert_allclose(found, exact, rtol=0.02, atol=1e-4)
    assert correlate_ranks(found, exact) == 1
    with pytest.raises(StageError, match="linear: is a black box and gives no gradients"):
        score_population(
            pair.synthesize, pair.black_box, pair.styles, pair.true_class, np.zeros((1, N), bool), classes=CLASSES,
            batch_size=N,
        )  # fmt: skip


def test_the_batch_size_moves_scores_by_rounding_only(pair):
    one, other = (run(pair, pair.black_box, samples=30, batch_size=size).scores for size in (1, 64))
    np.testing.assert_allclose(one.gradients.mean, other.gradients.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.halves.means(), other.halves.means(), rtol=1e-4, atol=1e-6)


def test_a_dimension_that_does_not_vary_costs_nothing_and_scores_0(pair):
    asked = []

    def classify(images):
        asked.append(len(images))
        return pair.classify(images)

    std = np.where(np.arange(D) == 4, 0, pair.std)
    result = run(pair, classify, samples=12, std=std)
    assert sum(asked) == result.forward_passes == count_passes(N, 12, std) == N + 2 * 12 * (D - 1)
    assert not result.scores.gradients.mean[:, 4].any()
    assert result.scores.gradients.mean[:, :4].all()


def test_scores_of_a_part_are_right_on_average(pair):
    whole = run(pair, pair.classify).scores.gradients.mean
    found = np.array([run(pair, pair.classify, samples=15, seed=seed).scores.gradients.mean for seed in range(50)])
    assert (np.abs(found.mean(axis=0) - whole) < 4.5 * found.std(axis=0, ddof=1) / np.sqrt(50)).all()
    assert found.std(axis=0).min() > 0


@given(st.integers(0, 10_000), st.integers(3, 90))
def test_the_draw_is_balanced_weighted_and_without_repeats(seed, count):
    random = np.random.default_rng(seed)
    true_class, probability = np.repeat([0, 1, 2], [10, 25, 30]), random.random(65) ** 3
    rows, weights = draw_doubtful(probability, true_class, count, random)
    assert (np.diff(rows) > 0).all()
    shares = [count // 3 + (place < count % 3) for place in range(3)]
    np.testing.assert_array_equal(np.bincount(true_class[rows], minlength=3), np.minimum(shares, [10, 25, 30]))
    assert (weights > 0).all()
    assert (weights <= 4 + 1e-9).all()
    if count == 90:
        np.testing.assert_allclose(weights, 1)


def test_the_standard_error_of_weighted_values_is_honest():
    random = np.random.default_rng(1)
    probability = random.random(2000) ** 0.2
    values, true_class = probability * (1 - probability) * random.normal(1, 1, 2000), np.zeros(2000, np.int64)
    means, claimed = [], []
    for seed in range(400):
        rows, weights = draw_doubtful(probability, true_class, 30, np.random.default_rng(seed))
        weighted = weights * values[rows]
        means.append(weighted.mean())
        claimed.append(weighted.std(ddof=1) / np.sqrt(30))
    assert np.mean(claimed) == pytest.approx(np.std(means), rel=0.15)
    plain = values.std() / np.sqrt(30)
    assert np.std(means) < 0.9 * plain, "doubt must be worth following, else a plain draw would do"


def test_the_doubtful_are_drawn_more_often_and_means_stay_unbiased():
    probability = np.r_[np.full(90, 0.999), np.full(10, 0.5)]
    true_class, values = np.zeros(100, np.int64), np.arange(100.0)
    means, doubtful = [], []
    for seed in range(400):
        rows, weights = draw_doubtful(probability, true_class, 20, np.random.default_rng(seed))
        means.append((weights * values[rows]).mean())
        doubtful.append((rows >= 90).mean())
    assert 0.4 < np.mean(doubtful) <= 0.5
    assert abs(np.mean(means) - values.mean()) < 4 * np.std(means) / 20


def test_where_nothing_is_in_doubt_all_samples_are_alike():
    _, weights = draw_doubtful(np.repeat([0.0, 1.0], 20), np.zeros(40, np.int64), 8, np.random.default_rng(0))
    np.testing.assert_allclose(weights, 1)


def test_the_score_follows_the_classifier_unless_params_say_otherwise(pair, tmp_path):
    params, file = tmp_path / "params.yaml", tmp_path / "classifier.safetensors"
    assert choose_score("auto", pair.classify, params, file) == "gradient"
    assert choose_score("auto", pair.black_box, params, file) == "finite_difference"
    assert choose_score("finite_difference", pair.classify, params, file) == "finite_difference"
    with pytest.raises(
        StageError,
        match=r"rank_dimensions\.score: got 'gradient', but .*classifier\.safetensors is a black box and gives none; "
        r"allowed for it: 'auto', 'finite_difference'",
    ):
        choose_score("gradient", pair.black_box, params, file)
