"""Samples of a generator that knows no classes, of classes that someone else sees in them."""

import numpy as np
import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.populations.sampling import draw_styles
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture


@pytest.fixture
def generator():
    torch.manual_seed(1)
    architecture = GeneratorArchitecture(4, 4, 3, 1, (4, 4, 4, 4), 1, "fir", conditional=False)
    return Generator(architecture).eval().requires_grad_(False)


def label(styles, noise):
    """Thirds of the samples by their first style."""
    return np.digitize(styles[:, 0], [0.6, 1.4])


def test_as_many_of_each_class_as_are_wanted_in_their_order(generator):
    wanted = np.array([2, 0, 1, 1, 2, 0, 0, 0])
    drawn = draw_styles(generator, wanted, np.random.default_rng(1), 3, label=label)
    assert np.array_equal(drawn.true_class, wanted)
    assert np.array_equal(label(drawn.styles, drawn.noise), wanted)
    assert len(np.unique(drawn.styles[:, 0])) == len(np.unique(drawn.noise)) == len(wanted)
    again = draw_styles(generator, wanted, np.random.default_rng(1), 8, label=label)
    np.testing.assert_allclose(again.styles, drawn.styles, rtol=1e-5)


def test_a_number_of_samples_takes_the_classes_that_come(generator):
    drawn = draw_styles(generator, 20, np.random.default_rng(1), label=label)
    assert np.array_equal(drawn.true_class, label(drawn.styles, drawn.noise))
    assert len(drawn.styles) == 20


def test_a_class_that_never_comes_up_and_nobody_who_tells_are_refused(generator):
    random = np.random.default_rng(1)
    with pytest.raises(StageError, match="of 100 samples the judge sees 0 of class 1, needed: 1; bring a generator"):
        draw_styles(generator, np.array([0, 1]), random, label=lambda styles, _: np.zeros(len(styles), int))
    with pytest.raises(ValueError, match="nothing that says which class"):
        draw_styles(generator, 5, random)
