"""Accuracy by severity, for recipes of one, two and three steps."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.classifiers.evaluation import tabulate_severities
from failure_atlas.drawing.classifiers import draw_severities
from failure_atlas.images.image_set import Severities

RANDOM = np.random.default_rng(1)
CORRECT = RANDOM.random(400) < 0.7


def draw(*steps):
    clean = np.arange(400) < 200
    return Severities({step: np.where(clean, 0, RANDOM.integers(1, 4, 400)).astype(np.uint8) for step in steps})


@pytest.mark.parametrize("steps", [("shot_noise",), ("rotate", "noise", "blur")])
def test_one_row_per_step_in_the_order_of_the_recipe(steps):
    severities = draw(*steps)
    table = tabulate_severities(CORRECT, severities)
    figure = draw_severities(table)
    expected = [
        (step, level, CORRECT[drawn == level].sum() / (drawn == level).sum(), (drawn == level).sum())
        for step, drawn in severities.by_step.items()
        for level in range(4)
    ]
    found = [tuple(row) for row in table[["step", "severity", "accuracy", "n"]].itertuples(index=False)]
    assert found == expected
    assert (table["low"] < table["accuracy"]).all()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [step.replace("_", " ") for step in steps]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, table["accuracy"].to_numpy().reshape(len(steps), 4))


def test_two_steps_are_a_grid():
    severities = draw("fog", "motion_blur")
    table = tabulate_severities(CORRECT, severities)
    figure = draw_severities(table)
    assert list(table.columns) == ["fog_severity", "motion_blur_severity", "n", "accuracy", "low", "high"]
    assert len(table) == 1 + 9
    assert table["n"].sum() == 400
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("fog severity", "motion blur severity")
    shown = pd.DataFrame(np.asarray(axes.images[0].get_array().filled(np.nan)))
    assert np.isfinite(shown.iloc[0, 0])
    assert shown.iloc[0, 1:].isna().all()
