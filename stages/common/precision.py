"""In which number format a training computes its convolutions."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "bfloat16", "float32"]
NATIVE_ON_CPU = ("avx512_bf16", "amx_bf16")
NATIVE_ON_CUDA = (8, 0)  # compute capability


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The format to use: `auto` takes bfloat16 where the processor computes in it, which elsewhere is slow.

    Asked of the processor and never timed, so that the answer, and with it every byte, is the same each time.
    """
    narrow = _is_native(device) if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if narrow else torch.float32


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[None]:
    """Run convolutions and matrix products in dtype; weights, gradients of weights and sums stay float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def _is_native(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= NATIVE_ON_CUDA
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in NATIVE_ON_CPU)
