"""One walk for a notebook, on functions whose softmax is known."""

import pytest
import torch
from matplotlib import pyplot as plt

from stages.walk_corner_cases.one_walk import MOST_IMAGES, draw_walk, trace_walk

AMOUNTS = torch.linspace(0, -4, 33)


def paint(styles: torch.Tensor) -> torch.Tensor:
    return styles[:, 1, None, None, None].expand(-1, 3, 8, 8)


def read(images: torch.Tensor) -> torch.Tensor:
    level = images[:, 0, 0, 0]
    return torch.stack([torch.zeros_like(level), level], dim=1)


def test_one_dimension_is_moved_and_the_logistic_softmax_comes_back() -> None:
    start = torch.tensor([5.0, 2.0, 7.0], requires_grad=True)
    images, softmax = trace_walk(paint, read, start, 1, AMOUNTS)
    torch.testing.assert_close(images[:, 0, 0, 0], 2 + AMOUNTS)
    torch.testing.assert_close(softmax[:, 1], torch.sigmoid(2 + AMOUNTS))
    assert not softmax.requires_grad
    torch.testing.assert_close(start.detach(), torch.tensor([5.0, 2.0, 7.0]))


@pytest.mark.parametrize(("count", "shown"), [(33, MOST_IMAGES), (4, 4)])
def test_images_stand_over_their_shifts(count: int, shown: int) -> None:
    images, softmax = trace_walk(paint, read, torch.tensor([0.0, 1.0]), 1, AMOUNTS[:count])
    shift_std = torch.linspace(0, 4, count)
    figure = draw_walk(shift_std, images.clamp(0, 1), softmax[:, 1], "title")
    above, below = figure.axes
    centres = [(drawn.get_extent()[0] + drawn.get_extent()[1]) / 2 for drawn in above.images]
    assert len(centres) == shown
    assert (centres[0], centres[-1]) == (0.0, 4.0)
    assert below.lines[0].get_xydata() == pytest.approx(torch.stack([shift_std, softmax[:, 1]], dim=1).numpy())
    plt.close(figure)
