"""What networks cost, against the number of their multiply-adds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.search.metering import FLOPS, Meter
from failure_atlas.world.gradients import differentiate, logit
from failure_atlas.world.show import CLASSIFIER, World

IMAGE = torch.zeros(1, 2, 5, 5)
LINEAR, CONV = 2 * 50 * 3, 2 * (2 * 3 * 3) * 4 * (5 * 5)


def flat() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(50, 3))


def box() -> nn.Module:
    return BlackBox(lambda images: images.reshape(len(images), -1)[:, :3], "box")


@pytest.mark.parametrize(
    ("make", "plain"), [(flat, LINEAR), (lambda: nn.Conv2d(2, 4, 3, padding=1), CONV)], ids=["linear", "conv"]
)
@pytest.mark.parametrize("frozen", [True, False])
def test_multiply_adds_are_counted_and_slopes_of_the_input_cost_as_many_again(
    make: Callable[[], nn.Module], plain: int, *, frozen: bool
) -> None:
    meter, network = Meter(), make().requires_grad_(not frozen)
    watched, images = meter.watch(network, IMAGE), torch.rand(7, 2, 5, 5)
    assert meter.count == 0
    torch.testing.assert_close(watched(images), network(images))
    assert meter.count == 7 * plain
    with torch.no_grad():
        watched(images.requires_grad_())
    assert meter.count == 14 * plain
    watched(images)
    assert meter.count == 28 * plain
    assert meter.cpu_seconds == pytest.approx(28 * plain / FLOPS)
    assert all(weight.grad is None for weight in network.parameters())


def test_a_network_that_is_no_code_of_pytorch_counts_nothing() -> None:
    meter = Meter()
    watched = meter.watch(box(), IMAGE)
    watched(torch.rand(7, 2, 5, 5))
    watched(torch.rand(7, 2, 5, 5, requires_grad=True))
    assert meter.count == 0


def test_a_world_counts_its_generator_and_the_networks_that_are_asked() -> None:
    paint = nn.Sequential(nn.Linear(6, 50), nn.Unflatten(1, (2, 5, 5))).requires_grad_(False)
    networks = {CLASSIFIER: flat().requires_grad_(False), "box": box()}
    meter, styles = Meter(), np.zeros((7, 6), np.float32)
    world = meter.watch_world(World(paint, networks, batch_size=4, classes=3), 6)
    world.show(styles, [CLASSIFIER])
    once = 7 * (2 * 6 * 50 + LINEAR)
    assert meter.count == once
    world.show(styles, ["box"])
    assert meter.count == once + 7 * 2 * 6 * 50
    list(differentiate(world, {"logit": logit}, styles, np.zeros(7, np.int64)))
    assert meter.count == 3 * once + 7 * 2 * 6 * 50
