"""What is measured of a classifier, in a world of one line."""

import numpy as np
import pytest
import torch

from failure_atlas.statistics.estimates import proportion
from stages.validate_externally.measures import (
    MEASURES,
    Binning,
    Generated,
    measure_generated,
    measure_real,
    shift_samples,
)
from stages.validate_externally.resampling import resample_generated, resample_real

SHIFTS = np.arange(5.0)


def synthesize(styles):
    """The image is the style vector itself."""
    return styles[:, None, None, :]


def see_first_above(limit):
    """Class 1 where the first style is above a limit, else class 0."""

    def answer(images):
        above = images[:, 0, 0, 0] - limit
        return torch.stack([-above, above], dim=1)

    return answer


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_shifted_samples_turn_where_they_must(batch_size):
    # Class 1 starts at first styles of 2.5, 3.5 and 9.5 and is moved down by 1 a step: the classifier loses it below
    # 2, the judge below 0; class 0 starts below both limits and stays.
    styles = np.array([[2.5, 7], [3.5, 7], [9.5, 7], [-0.5, 7]], np.float32)
    true_class = np.array([1, 1, 1, 0])
    move = np.array([-1, 0], np.float32)
    told = []
    correct, readable = shift_samples(
        synthesize, see_first_above(2), see_first_above(0), styles, move, true_class, SHIFTS,
        batch_size=batch_size, device=torch.device("cpu"), advance=told.append,
    )  # fmt: skip
    assert correct.T.astype(int).tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1] * 5, [1] * 5]
    assert readable.T.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1] * 5, [1] * 5]
    assert sum(told) == 4 * 5
    found = measure_generated(
        Generated(correct[0], np.arange(4.0), correct, readable & ~correct), SHIFTS, Binning(2, 1.0)
    )
    # Trapezoids over the shifts 0..4: (1/2 + 0 + 0 + 0 + 0) / 4 and so on, averaged over the four samples.
    assert found["shift area"]["value"] == pytest.approx((0.5 / 4 + 1.5 / 4 + 1 + 1) / 4)
    assert found["avoidable area"]["value"] == pytest.approx((2 / 4 + 2 / 4) / 4)
    assert found["population accuracy"] == proportion(np.ones(4, bool))
    assert found["distance area"]["value"] == 1


def test_real_accuracy_of_one_condition_and_of_an_average():
    correct = np.random.default_rng(1).random((3, 200)) < np.array([[0.9], [0.7], [0.5]])
    weights = {"first": np.array([1.0, 0, 0]), "mean": np.array([0, 0.5, 0.5])}
    found = measure_real(correct, weights)
    assert found["first"] == proportion(correct[0])
    assert found["mean"]["value"] == pytest.approx(correct[1:].mean())
    assert found["mean"]["n"] == 200
    half = correct[1:].mean(axis=0).std(ddof=1) / np.sqrt(200) * 1.971957  # Student, 199 degrees of freedom
    assert found["mean"]["high"] - found["mean"]["value"] == pytest.approx(half)
    sure = measure_real(np.ones((3, 20), bool), weights)["mean"]
    assert (sure["value"], sure["low"], sure["high"]) == (1, 1, 1)


def make_generated(random, accuracy):
    distance = random.exponential(1, 300)
    well = random.random(300) < accuracy * np.exp(-distance / 5)
    correct = random.random((5, 200)) < accuracy
    return Generated(well, distance, correct, ~correct & (random.random((5, 200)) < 0.5))


def test_resampling_is_what_repeated_measuring_gives():
    random = np.random.default_rng(1)
    classifiers = [make_generated(random, accuracy) for accuracy in (0.9, 0.6)]
    binning = Binning(5, 0.99)
    found = resample_generated(classifiers, SHIFTS, binning, 200, np.random.default_rng(3))
    assert found.shape == (200, 4, 2)
    # Slow twin: measure what each draw holds.
    stream = np.random.default_rng(3)
    counts = stream.multinomial(300, np.full(300, 1 / 300), size=200)
    shifted = stream.multinomial(200, np.full(200, 1 / 200), size=200)
    for draw in (0, 7):
        rows, moved = np.repeat(np.arange(300), counts[draw]), np.repeat(np.arange(200), shifted[draw])
        for place, one in enumerate(classifiers):
            again = Generated(one.well[rows], one.distance[rows], one.correct[:, moved], one.avoidable[:, moved])
            expected = [estimate["value"] for estimate in measure_generated(again, SHIFTS, binning).values()]
            assert found[draw, :, place] == pytest.approx(expected)
    p = classifiers[0].well.mean()
    spread = found[:, MEASURES.index("population accuracy"), 0].std()
    assert spread == pytest.approx(np.sqrt(p * (1 - p) / 300), rel=0.2)


def test_resampled_real_accuracies():
    random = np.random.default_rng(1)
    correct = [random.random((3, 100)) < accuracy for accuracy in (0.9, 0.5)]
    weights = {"first": np.array([1.0, 0, 0]), "mean": np.full(3, 1 / 3)}
    found = resample_real(correct, weights, 300, np.random.default_rng(3))
    assert found.shape == (300, 2, 2)
    counts = np.random.default_rng(3).multinomial(100, np.full(100, 0.01), size=300)
    rows = np.repeat(np.arange(100), counts[5])
    assert found[5, 0] == pytest.approx([one[0, rows].mean() for one in correct])
    assert found[5, 1] == pytest.approx([one[:, rows].mean() for one in correct])
    assert found[:, 0, 1].mean() == pytest.approx(correct[1][0].mean(), abs=0.02)
