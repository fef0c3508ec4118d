"""Probes on spaces whose separation is known, and the AUC against counting pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.populations.spaces import measure_class_separation, measure_outcome_separation, roc_auc


def test_classes_far_apart_are_told_apart():
    stream = np.random.default_rng(1)
    labels = np.arange(200) % 4
    features = stream.standard_normal((200, 6)) + 8 * np.eye(6)[labels]
    separation = measure_class_separation(features, labels, folds=5, seed=1)
    assert (separation["value"], separation["n"]) == (1, 200)
    assert measure_class_separation(features, labels, folds=5, seed=1) == separation
    assert separation["low"] < 1 == separation["high"]


def test_noise_is_at_chance_however_many_dimensions():
    # 400 dimensions fit 200 samples perfectly; a probe scored on what it has not seen gains nothing.
    stream = np.random.default_rng(2)
    features, labels = stream.standard_normal((200, 400)), np.arange(200) % 4
    separation = measure_class_separation(features, labels, folds=5, seed=1)
    assert separation["low"] < 0.25 < separation["high"]
    outcome = measure_outcome_separation(features, stream.random(200) < 0.3, folds=5, seed=1)
    assert outcome["low"] < 0.5 < outcome["high"]


def test_outcome_along_one_direction_has_the_auc_of_its_shift():
    stream = np.random.default_rng(3)
    well = np.arange(3000) % 3 > 0
    features = stream.standard_normal((3000, 5))
    features[well, 2] += 1
    separation = measure_outcome_separation(features, well, folds=5, seed=1)
    assert separation["value"] == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)
    assert separation["low"] < separation["value"] < separation["high"]


def test_class_means_hide_what_is_within_a_class():
    # Outcome depends on the class alone: separable, until the class mean is subtracted.
    stream = np.random.default_rng(4)
    labels = np.arange(400) % 2
    features = stream.standard_normal((400, 3)) + 6 * labels[:, None]
    well = stream.random(400) < np.where(labels == 0, 0.95, 0.4)
    assert measure_outcome_separation(features, well, folds=5, seed=1)["low"] > 0.65
    centred = subtract_class_means(features, labels)
    for label in range(2):
        own = labels == label
        np.testing.assert_allclose(centred[own].mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(centred[own], axis=0), np.diff(features[own], axis=0), rtol=1e-4)
    within = measure_outcome_separation(centred, well, folds=5, seed=1)
    assert within["value"] == pytest.approx(0.5, abs=0.08)


def test_too_few_of_a_kind_have_no_auc():
    well = np.arange(50) > 2
    separation = measure_outcome_separation(np.zeros((50, 2)), well, folds=5, seed=1)
    assert np.isnan(separation["value"])
    assert separation["n"] == 50


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(pairs):
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    if positive.all() or not positive.any():
        return
    upper, lower = scores[positive][:, None], scores[~positive]
    slow = ((upper > lower) + 0.5 * (upper == lower)).mean()
    auc = roc_auc(scores.astype(float), positive)
    assert auc["value"] == pytest.approx(slow)
    assert 0 <= auc["low"] <= auc["value"] + 1e-12
    assert auc["value"] - 1e-12 <= auc["high"] <= 1


def test_auc_interval_covers_the_truth_as_often_as_it_claims():
    stream = np.random.default_rng(6)
    truth, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(400):
        positive = np.arange(120) < 60
        auc = roc_auc(stream.standard_normal(120) + positive, positive)
        hits += auc["low"] <= truth <= auc["high"]
    assert hits / 400 == pytest.approx(0.95, abs=0.03)
