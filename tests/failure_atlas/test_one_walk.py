"""One walk for a notebook, on functions whose softmax is known; and what a notebook imports."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

import failure_atlas
from failure_atlas import World, draw_walk, trace_walk
from failure_atlas.drawing.walk import MOST_IMAGES
from tests.house import ROOT

AMOUNTS = np.linspace(0, -4, 33)


def paint(styles):
    return styles[:, 1, None, None, None].expand(-1, 3, 8, 8).sigmoid()


def read(images):
    level = images[:, 0, 0, 0].logit()
    return torch.stack([torch.zeros_like(level), level], dim=1)


WORLD = World(paint, {"classifier": read}, batch_size=10)


def test_one_dimension_is_moved_and_the_logistic_softmax_comes_back():
    start = np.array([5.0, 2.0, 7.0])
    walk = trace_walk(WORLD, start, 1, AMOUNTS)
    expected = 1 / (1 + np.exp(-(2 + AMOUNTS)))
    np.testing.assert_allclose(walk.softmax()[:, 1], expected, rtol=1e-4)
    assert np.abs(walk.images[:, 0, 0, 0] - 255 * expected).max() <= 0.51
    assert start.tolist() == [5.0, 2.0, 7.0]


@pytest.mark.parametrize(("count", "shown"), [(33, MOST_IMAGES), (4, 4)])
def test_images_stand_over_their_shifts(count, shown):
    walk, shift_std = trace_walk(WORLD, np.array([0.0, 1.0]), 1, AMOUNTS[:count]), np.linspace(0, 4, count)
    figure = draw_walk(shift_std, walk.images, walk.softmax()[:, 1], "title")
    above, below = figure.axes
    centres = [(drawn.get_extent()[0] + drawn.get_extent()[1]) / 2 for drawn in above.images]
    assert len(centres) == shown
    assert (centres[0], centres[-1]) == (0.0, 4.0)
    assert below.lines[0].get_xydata() == pytest.approx(np.stack([shift_std, walk.softmax()[:, 1]], axis=1))
    plt.close(figure)


def test_the_library_loads_nothing_until_it_is_asked():
    code = "import sys, failure_atlas; print('torch' in sys.modules, len(dir(failure_atlas)) > 15)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
    for name in failure_atlas._HOMES:
        assert callable(getattr(failure_atlas, name))
    with pytest.raises(AttributeError, match="module 'failure_atlas' has no attribute 'nothing'"):
        _ = failure_atlas.nothing
