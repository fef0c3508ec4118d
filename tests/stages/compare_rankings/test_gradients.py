"""All gradient scores against closed forms; weights, halves and resamples against slow twins."""

import numpy as np
import pytest
import torch
from failure_atlas.ranking.passes import score_population
from stages.compare_rankings.gradients import average_gradients, differentiate_outputs, score_gradients
from stages.compare_rankings.ranking_pass import pass_gradients
from stages.compare_rankings.samples import draw_styles, resample_classes, take_balanced, weigh_classes
from stages.compare_rankings.slopes import Differences

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.populations.sampling import draw_latents
from failure_atlas.stylegan2.generator import load_generator


def run_pass(pair, batch_size=9, **changes):
    options = {"few": 12, "split_halves": 3, "replicates": 4, "batch_size": batch_size} | changes
    return pass_gradients(
        pair.synthesize, pair.classify, pair.styles, pair.true_class, pair.styles.std(0, ddof=1),
        random=np.random.default_rng(3), **options,
    )  # fmt: skip


def test_two_backward_passes_give_all_gradients_exactly(pair):
    found = differentiate_outputs(
        pair.synthesize, pair.classify, torch.from_numpy(pair.styles), torch.from_numpy(pair.true_class)
    )
    exact = pair.exact()
    for name in ("logit", "log_probability", "probability"):
        np.testing.assert_allclose(found[name].numpy(), exact[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_without_the_logit_the_others_are_the_same(pair):
    styles, true_class = torch.from_numpy(pair.styles), torch.from_numpy(pair.true_class)
    found = differentiate_outputs(pair.synthesize, pair.classify, styles, true_class, logit=False)
    assert set(found) == {"probability", "log_probability"}
    np.testing.assert_allclose(found["probability"].numpy(), pair.exact()["probability"], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
def test_weighted_means_equal_the_slow_twin_at_any_batch_size(pair, batch_size):
    weights = np.random.default_rng(1).random((4, 60))
    names = ("probability", "absolute", "logit", "log_probability")
    means = average_gradients(
        pair.synthesize, pair.classify, pair.styles, pair.true_class, dict.fromkeys(names, weights),
        batch_size=batch_size,
    )  # fmt: skip
    for name, exact in pair.exact().items():
        np.testing.assert_allclose(means[name], weights @ exact, rtol=1e-9, atol=1e-12, err_msg=name)


def test_scores_are_the_five_formulas(pair):
    exact = {name: values.mean(0) for name, values in pair.exact().items()}  # 20 samples of each class
    std = pair.styles.std(0, ddof=1)
    scores = run_pass(pair).scores
    expected = {
        "paper": exact["probability"],
        "gradient_std": exact["probability"] * std,
        "absolute_gradient_std": np.sign(exact["probability"]) * exact["absolute"] * std,
        "logit_gradient_std": exact["logit"] * std,
        "log_probability_gradient_std": exact["log_probability"] * std,
    }
    assert scores.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-9, err_msg=name)
    assert score_gradients({name: np.zeros(2) for name in exact}, np.ones(2))["absolute_gradient_std"].tolist() == [
        0,
        0,
    ]


def test_the_paper_score_is_that_of_rank_dimensions_on_the_same_samples(pair):
    pair.true_class = np.r_[np.zeros(40, np.int64), np.ones(12, np.int64), np.full(8, 2, np.int64)]
    other = score_population(
        pair.synthesize, pair.classify, pair.styles, pair.true_class, np.zeros((2, 60), bool), classes=3, batch_size=13
    )
    found = run_pass(pair)
    np.testing.assert_allclose(found.scores["paper"], other.gradients.global_mean(), rtol=1e-9)
    np.testing.assert_allclose(found.moments.global_standard_error(), other.gradients.global_standard_error())


def test_few_halves_and_replicates_are_means_of_their_own_samples(pair):
    found, exact = run_pass(pair), pair.exact()["probability"]
    np.testing.assert_allclose(found.few_scores["paper"], exact[:12].mean(0), rtol=1e-9)
    assert [len(half) for half in found.halves] == [3, 3]
    assert found.replicates.shape == (4, 7)
    # The halves of balanced classes add up to the whole.
    np.testing.assert_allclose((found.halves[0] + found.halves[1]) / 2, np.tile(found.mean, (3, 1)), rtol=1e-9)
    assert np.abs(found.halves[0] - found.halves[1]).max() > 0.01
    wide = run_pass(pair, replicates=2000).replicates
    np.testing.assert_allclose(wide.std(0), found.moments.global_standard_error(), rtol=0.1)


def test_weights_give_every_class_the_same_share():
    true_class = np.array([0, 0, 0, 1])
    weights = weigh_classes(true_class, np.array([[1, 1, 1, 1], [1, 0, 1, 2], [1, 1, 0, 0]]))
    np.testing.assert_allclose(weights, [[1 / 6, 1 / 6, 1 / 6, 1 / 2], [1 / 4, 0, 1 / 4, 1 / 2], [1 / 2, 1 / 2, 0, 0]])


def test_the_first_of_every_class_are_taken():
    true_class = np.array([0, 0, 0, 0, 1, 2, 1, 2])
    assert take_balanced(true_class, 3).tolist() == [0, 4, 5]
    assert take_balanced(true_class, 5).tolist() == [0, 1, 4, 5, 6]
    assert take_balanced(true_class, 8).tolist() == list(range(8))
    assert take_balanced(np.arange(20) % 10, 10).tolist() == list(range(10))
    with pytest.raises(ValueError, match="9 of 8 samples"):
        take_balanced(true_class, 9)


def test_resamples_keep_the_size_of_each_class():
    true_class = np.array([0] * 5 + [1] * 3)
    drawn = resample_classes(true_class, 50, np.random.default_rng(0))
    assert (drawn[:, :5].sum(1) == 5).all()
    assert (drawn[:, 5:].sum(1) == 3).all()
    assert drawn.max() > 1


def test_fresh_samples_follow_the_generator_and_are_not_those_of_the_population(tiny_generator):
    generator = load_generator(tiny_generator, torch.device("cpu"))
    styles, true_class = draw_styles(generator, 25, numpy_stream(1, "compare_rankings", "held out"))
    assert true_class.tolist() == [index % 10 for index in range(25)]
    fewer, _ = draw_styles(generator, 10, numpy_stream(1, "compare_rankings", "held out"))
    np.testing.assert_allclose(fewer, styles[:10], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        z = torch.from_numpy(draw_latents(1, 25, generator.z_dim))
        population = generator.map_styles(generator.map_latents(z, torch.from_numpy(true_class))).numpy()
    assert np.abs(styles - population).max() > 0.1


@pytest.mark.parametrize("batch_size", [1, 16])
def test_differences_give_all_gradients_of_a_black_box(pair, batch_size):
    """The logit is linear in each style and its difference exact; the others are as exact as the step is small."""
    pair.styles = pair.styles.astype(np.float32)
    box = BlackBox(lambda images: images.reshape(len(images), -1) @ pair.H.numpy(), "linear")
    differences = Differences(np.full(7, 0.01), batch_size)
    found = differences(
        pair.synthesize, box, torch.from_numpy(pair.styles), torch.from_numpy(pair.true_class), logit=True
    )
    for name in ("logit", "log_probability", "probability"):
        np.testing.assert_allclose(found[name].numpy(), pair.exact()[name], rtol=0.02, atol=5e-3, err_msg=name)
