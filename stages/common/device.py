"""Where tensors live, and the settings that make equal inputs give equal bytes."""

import os
from itertools import chain

import torch
from torch import nn

from stages.common.errors import StageError

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
