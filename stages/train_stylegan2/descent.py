"""One optimiser step, taken alike by all workers."""

import torch
from torch import nn

from stages.train_stylegan2.workers import Worker


def descend(loss: torch.Tensor, network: nn.Module, optimizer: torch.optim.Adam, rate: float, worker: Worker) -> None:
    """One optimiser step on the gradient's mean over the workers."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    worker.average([p.grad for p in network.parameters() if p.grad is not None])
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
