"""Temperature and verdicts against closed forms, and what an ensemble says against its members."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.errors import StageError
from failure_atlas.judges.calibration import calibrate_across, fit_temperature, measure_surprise, temper
from failure_atlas.judges.ensemble import Ensemble, load_ensemble, load_judge, save_ensemble
from failure_atlas.judges.verdicts import (
    LABEL_CHANGED,
    LABEL_KEPT,
    READINGS,
    STILL_RIGHT,
    TRUE_FAILURE,
    UNREADABLE,
    VERDICTS,
    give_verdicts,
    read_labels,
)
from failure_atlas.statistics.agreement import measure_phi

CPU = torch.device("cpu")


def draw_opinions(temperature: float, count: int = 20_000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [N, classes] and labels that follow them once they are divided by the temperature."""
    random = np.random.default_rng(1)
    log_probabilities = special.log_softmax(random.normal(0, 3, (count, classes)), axis=1)
    tempered = special.softmax(log_probabilities / temperature, axis=1)
    labels = (tempered.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return log_probabilities, labels


def test_two_equal_classes_stay_equal_and_temperature_one_changes_nothing():
    opinions = np.log([[0.5, 0.5], [0.9, 0.1]])
    np.testing.assert_allclose(temper(opinions, 1.0), np.exp(opinions))
    # Odds of 9 to 1 become 81 to 1 at half the temperature.
    np.testing.assert_allclose(temper(opinions, 0.5), [[0.5, 0.5], [81 / 82, 1 / 82]])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found_again(temperature):
    opinions, labels = draw_opinions(temperature)
    found = fit_temperature(opinions, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    best = measure_surprise(temper(opinions, found), labels)
    assert best < measure_surprise(temper(opinions, 1.1 * found), labels)
    assert best < measure_surprise(temper(opinions, found / 1.1), labels)


def test_no_image_is_measured_with_a_temperature_that_it_helped_to_choose():
    opinions, labels = draw_opinions(2.0, count=400)
    halves = calibrate_across(opinions, labels, np.random.default_rng(3))
    np.testing.assert_allclose(halves.sum(axis=1), 1)
    temperatures = [fit_temperature(opinions[half], labels[half]) for half in _find_halves(opinions, halves)]
    for half, other in zip(_find_halves(opinions, halves), reversed(temperatures), strict=True):
        np.testing.assert_allclose(halves[half], temper(opinions[half], other), atol=1e-12)
    assert len(set(temperatures)) == 2


def _find_halves(opinions: np.ndarray, tempered: np.ndarray) -> list[np.ndarray]:
    """Rows of either half, told by the temperature that was used: ratio of log-odds before and after."""
    used = (opinions[:, 0] - opinions[:, 1]) / (np.log(tempered[:, 0]) - np.log(tempered[:, 1]))
    low = used < (used.min() + used.max()) / 2
    return [low, ~low]


def test_each_reading_and_verdict_on_its_example():
    opinions = np.array([[0.85, 0.1, 0.05], [0.1, 0.85, 0.05], [0.6, 0.3, 0.1], [0.8, 0.2, 0.0], [0.2, 0.8, 0.0]])
    meant = np.zeros(5, np.int64)
    wanted = [LABEL_KEPT, LABEL_CHANGED, UNREADABLE, LABEL_KEPT, LABEL_CHANGED]
    assert [READINGS[reading] for reading in read_labels(opinions, meant, 0.8)] == wanted
    verdicts = give_verdicts(opinions, meant, np.ones(5, np.int64), 0.8)
    assert [VERDICTS[verdict] for verdict in verdicts] == [
        TRUE_FAILURE if reading == LABEL_KEPT else reading for reading in wanted
    ]
    # Whatever the judge reads, nothing has failed while the classifier says what was meant.
    verdicts = give_verdicts(opinions, meant, np.array([0, 0, 0, 1, 2]), 0.8)
    wanted = [STILL_RIGHT, STILL_RIGHT, STILL_RIGHT, TRUE_FAILURE, LABEL_CHANGED]
    assert [VERDICTS[verdict] for verdict in verdicts] == wanted
    assert opinions[0, 0] == 0.85  # what was given is left as it was


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda each: sum(each) > 0.1),
    st.integers(0, 5),
    st.floats(0.51, 0.99),
)
def test_a_class_is_seen_only_where_it_holds_the_confidence(weights, meant, confidence):
    opinion = np.array([weights]) / sum(weights)
    meant %= opinion.shape[1]
    reading = READINGS[read_labels(opinion, np.array([meant]), confidence)[0]]
    others = np.delete(opinion[0], meant)
    assert (reading == LABEL_KEPT) == (opinion[0, meant] >= confidence)
    assert (reading == LABEL_CHANGED) == (others.max() >= confidence)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0])
def test_a_confidence_at_which_two_classes_could_be_seen_is_refused(confidence):
    with pytest.raises(ValueError, match="is not between"):
        give_verdicts(np.ones((1, 2)) / 2, np.zeros(1, np.int64), np.ones(1, np.int64), confidence)


def test_phi_is_the_correlation_of_two_answers_and_its_interval_covers_it():
    random = np.random.default_rng(4)
    common = random.random((400, 300)) < 0.1
    first, second = (common ^ (random.random(common.shape) < 0.03) for _ in range(2))
    drawn = [measure_phi(*pair, random) for pair in zip(first, second, strict=True)]
    assert drawn[0]["value"] == pytest.approx(np.corrcoef(first[0], second[0])[0, 1])
    truth = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert 0.92 < np.mean([each["low"] <= truth <= each["high"] for each in drawn]) < 0.98
    assert np.isnan(measure_phi(np.zeros(5, bool), second[0, :5], random)["value"])
    assert measure_phi(np.zeros(0, bool), np.zeros(0, bool), random)["n"] == 0


@pytest.fixture
def members() -> list[Classifier]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return [Classifier(network, classes=3, width=8).eval() for network in ("plain", "residual")]


def test_an_ensemble_says_the_tempered_mean_of_its_members_and_comes_back_from_disk(members, tmp_path):
    ensemble = Ensemble(members, list("abc"), temperature=0.7, confidence=0.9)
    save_ensemble(tmp_path / "judge.safetensors", ensemble)
    back = load_ensemble(tmp_path / "judge.safetensors", CPU)
    assert (back.class_names, back.temperature, back.confidence) == (["a", "b", "c"], 0.7, 0.9)
    images = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mean = np.mean([member(images).double().softmax(1).numpy() for member in members], axis=0)
    for each in (ensemble, back):
        np.testing.assert_allclose(each(images).exp().detach(), temper(np.log(mean), 0.7), rtol=1e-4)
    features, opinion = back.examine(images)
    torch.testing.assert_close(features, back.features(images))
    torch.testing.assert_close(opinion, back(images))
    assert not any(parameter.requires_grad for parameter in back.parameters())


def test_a_certain_ensemble_has_finite_opinions(members):
    for member in members:
        with torch.no_grad():
            member.head.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))
    opinion = Ensemble(members, list("abc"))(torch.zeros(1, 1, 32, 32))
    assert torch.isfinite(opinion).all()


def test_a_judge_of_other_classes_is_refused(members, tmp_path):
    save_ensemble(tmp_path / "judge.safetensors", Ensemble(members, list("abc")))
    assert load_judge(tmp_path / "judge.safetensors", ["a", "b", "c"], CPU).class_names == ["a", "b", "c"]
    with pytest.raises(StageError, match="judges the classes a, b, c; the population has a, c, b; use a judge"):
        load_judge(tmp_path / "judge.safetensors", ["a", "c", "b"], CPU)
