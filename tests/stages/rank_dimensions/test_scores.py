"""Gradient scores against closed forms and against finite differences."""

import numpy as np
import pytest
import torch

from failure_atlas.ranking.passes import score_population
from failure_atlas.ranking.scores import differentiate_scores
from failure_atlas.statistics.agreement import draw_halves
from tests.stages.linear_pair import CLASSES, D, LinearPair, N


@pytest.fixture
def pair() -> LinearPair:
    return LinearPair()


def score(pair: LinearPair, batch_size: int, halves: np.ndarray | None = None):
    halves = np.zeros((2, N), bool) if halves is None else halves
    return score_population(
        pair.synthesize, pair.classify, pair.styles, pair.true_class, halves, classes=CLASSES, batch_size=batch_size
    )


def test_linear_generator_and_logistic_classifier_give_exact_gradients(pair):
    gradients, logits = differentiate_scores(
        pair.synthesize, pair.classify, torch.from_numpy(pair.styles), torch.from_numpy(pair.true_class)
    )
    np.testing.assert_allclose(gradients.numpy(), pair.exact()["probability"], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(logits.numpy(), pair.styles @ (pair.G @ pair.H).numpy(), rtol=1e-12)


def test_gradients_work_inside_no_grad_and_leave_the_input_alone(pair):
    styles = torch.from_numpy(pair.styles)
    with torch.no_grad():
        gradients, logits = differentiate_scores(
            pair.synthesize, pair.classify, styles, torch.from_numpy(pair.true_class)
        )
    assert not styles.requires_grad
    assert not logits.requires_grad
    assert gradients.abs().sum() > 0


def test_population_scores_equal_the_slow_twin(pair):
    scores = score(pair, batch_size=7)
    exact = pair.exact()["probability"]
    by_class = [exact[pair.true_class == index] for index in range(CLASSES)]
    np.testing.assert_allclose(scores.gradients.mean, [part.mean(0) for part in by_class], rtol=1e-10)
    np.testing.assert_allclose(
        scores.gradients.class_standard_error(),
        [part.std(0, ddof=1) / np.sqrt(len(part)) for part in by_class],
        rtol=1e-10,
    )
    np.testing.assert_allclose(scores.gradients.global_mean(), np.mean([part.mean(0) for part in by_class], 0))
    np.testing.assert_allclose(
        scores.gradients.global_standard_error(),
        np.sqrt(sum(part.var(0, ddof=1) / len(part) for part in by_class)) / CLASSES,
        rtol=1e-10,
    )
    np.testing.assert_allclose(scores.gradient_mass, np.abs(exact).sum(1), rtol=1e-10, atol=1e-12)


def test_classes_weigh_equally_whatever_their_size():
    pair = LinearPair()
    pair.true_class = np.r_[np.zeros(N - 10, np.int64), np.ones(5, np.int64), np.full(5, 2, np.int64)]
    exact = pair.exact()["probability"]
    expected = np.mean([exact[pair.true_class == index].mean(0) for index in range(CLASSES)], axis=0)
    np.testing.assert_allclose(score(pair, batch_size=16).gradients.global_mean(), expected, rtol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 13, N, 10 * N])
def test_the_batch_size_changes_nothing_beyond_rounding(pair, batch_size):
    halves = draw_halves(pair.true_class, 3, np.random.default_rng(0))
    one, other = score(pair, 8, halves), score(pair, batch_size, halves)
    np.testing.assert_allclose(one.gradients.mean, other.gradients.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.gradients.squares, other.gradients.squares, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.halves.means(), other.halves.means(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.logits, other.logits, rtol=1e-6)


def test_half_means_equal_the_slow_twin(pair):
    halves = draw_halves(pair.true_class, 4, np.random.default_rng(1))
    first, second = score(pair, 9, halves).halves.means()
    exact = pair.exact()["probability"]
    for repeat, half in enumerate(halves):
        for index in range(CLASSES):
            own = pair.true_class == index
            np.testing.assert_allclose(first[repeat, index], exact[half & own].mean(0), rtol=1e-10)
            np.testing.assert_allclose(second[repeat, index], exact[~half & own].mean(0), rtol=1e-10)


def test_the_mean_probability_falls_along_each_direction(pair):
    """A small move of the whole population against a score's sign lowers the mean true-class softmax."""
    exact = score(pair, batch_size=N).gradients.global_mean()
    A = (pair.G @ pair.H).numpy()

    def mean_probability(styles: np.ndarray) -> float:
        odds = np.exp(styles @ A)
        return float((odds / odds.sum(1, keepdims=True))[np.arange(N), pair.true_class].mean())

    for dimension in range(D):
        moved = pair.styles.copy()
        moved[:, dimension] -= 1e-5 * np.sign(exact[dimension])
        assert mean_probability(moved) < mean_probability(pair.styles)


def test_a_population_that_does_not_fit_is_refused(pair):
    with pytest.raises(ValueError, match="60 styles, 59 classes"):
        score_population(
            pair.synthesize,
            pair.classify,
            pair.styles,
            pair.true_class[:-1],
            np.zeros((2, N), bool),
            classes=CLASSES,
            batch_size=8,
        )
    with pytest.raises(ValueError, match="0 styles"):
        score_population(
            pair.synthesize,
            pair.classify,
            pair.styles[:0],
            pair.true_class[:0],
            np.zeros((2, 0), bool),
            classes=CLASSES,
            batch_size=8,
        )
