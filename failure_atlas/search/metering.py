"""What a search costs, counted and not clocked: results hold no times, so that two runs have the same bytes.

The multiply-adds of every network that looks at an image are counted, with and without gradients, and told in seconds
of one core that does FLOPS of them; `make bench` holds that rate against the clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.pool import Tally
from failure_atlas.world.show import World

FLOPS = 4.0e10  # a second, of one core in float32 on networks as small as these (benchmarks/search.py)


class Meter(Tally):
    """Its count is of flops. A network that is no code of PyTorch (a server, an ONNX session) counts nothing."""

    @property
    def cpu_seconds(self) -> float:
        """Of one core, at the stated rate."""
        return self.count / FLOPS

    def watch(self, network: Callable[..., torch.Tensor], example: torch.Tensor) -> Callable[..., torch.Tensor]:
        """The same network, counted; example: [1, ...], one of its inputs."""
        plain, steep = _count(network, example, gradient=False), _count(network, example, gradient=True)

        def counted(inputs: torch.Tensor, *more: Any) -> torch.Tensor:
            self.count += len(inputs) * (steep if torch.is_grad_enabled() and inputs.requires_grad else plain)
            return network(inputs, *more)

        return counted

    def watch_world(self, world: World, width: int) -> World:
        """The same world, counted; width: D of its styles."""
        styles = torch.ones(1, width, device=world.device)
        with torch.no_grad():
            image = world.synthesize(styles)
        networks: Mapping[str, Any] = {name: self.watch(each, image) for name, each in world.networks.items()}
        return replace(world, synthesize=self.watch(world.synthesize, styles), networks=networks)


def _count(network: Callable[..., torch.Tensor], example: torch.Tensor, *, gradient: bool) -> float:
    """Multiply-adds, each counted as two, of one input forward, and backward, too, where the network allows that."""
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradient):
        leaf = example.clone().requires_grad_(gradient)
        answer = network(leaf)
        if gradient and answer.requires_grad and is_differentiable(network):
            answer.sum().backward(inputs=[leaf])  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops())
