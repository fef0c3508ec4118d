"""Where tensors live, and the settings that make equal inputs give equal bytes.

In which number format a training computes its convolutions.
"""

import os
from contextlib import AbstractContextManager
from itertools import chain
from typing import Literal

import torch
from torch import nn

from failure_atlas.core.errors import StageError

DEVICE_VARIABLE = "FAILURE_ATLAS_DEVICE"
DEVICE_TYPES = ("cpu", "cuda")


def choose_device() -> torch.device:
    """The device named in FAILURE_ATLAS_DEVICE, else cuda if present, else cpu; deterministic kernels on.

    The choice stands in the environment, never in params, so that moving to another machine invalidates no result.
    Raises StageError for an unknown or absent device.
    """
    fix_kernels()
    wanted = os.environ.get(DEVICE_VARIABLE, "").strip()
    if not wanted:
        if not torch.cuda.is_available():
            return torch.device("cpu")
        # Each of the processes that torchrun starts has a GPU of its own.
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    try:
        device = torch.device(wanted)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError("no kind of device that the stages run on")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{DEVICE_VARIABLE}: got '{wanted}', which this machine cannot use ({reason}); allowed: cpu, cuda, cuda:N"
        ) from error
    return device


def fix_kernels() -> None:
    """Let PyTorch use deterministic kernels only; needed once in every process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    # As use_deterministic_algorithms(True), which also imports the compiler: 1.6 s in every stage.
    torch.set_deterministic_debug_mode("error")
    # Nothing here reads memory that it has not written; filling it first costs 3 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # missing in its stub


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes: the device of its first parameter or buffer; the CPU if it has none."""
    first = next(chain(network.parameters(), network.buffers()), None)
    return torch.device("cpu") if first is None else first.device


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
