"""Floating point operations: what a piece of work needs, and what the machine can do at its best."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry


def count_flops(work: Callable[[], object]) -> float:
    """Operations of the convolutions and matrix products in a piece of work, forward and backward; runs it once."""
    with _Counter() as counter:
        work()
    return float(counter.operations)


def multiply_matrices(threads: int, size: int = 1024, times: int = 4) -> float:
    """Multiply square float32 matrices on the CPU; the operations done."""
    torch.set_num_threads(threads)
    a = torch.ones(size, size)
    for _ in range(times):
        torch.mm(a, a)
    return 2.0 * size**3 * times


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own formulas; its FlopCounterMode also follows modules, which fails at a second derivative."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        operation = func._overloadpacket
        if operation == torch.ops.aten.convolution_backward:
            self.operations += _count_backward(*args)
        elif operation in flop_registry:
            self.operations += flop_registry[operation](*args, **(kwargs or {}), out_val=out)
        return out


def _count_backward(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> int:
    """As many for each wanted gradient, of input and of weight, as the convolution itself had.

    torch's own formula takes the weight gradient of a grouped convolution for that of a full one.
    """
    transposed, (to_input, to_weight, _to_bias) = rest[4], rest[7]
    forward = conv_flop_count(list(x.shape), list(weight.shape), list(gradient.shape), transposed=transposed)
    return forward * (int(to_input) + int(to_weight))
