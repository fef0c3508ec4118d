"""What decides the last bits of a result beside code, params and packages: kernels, threads, and their variables."""

import os
import re
import sys
from typing import Any

from threadpoolctl import threadpool_info

# Of libraries that compute, by their prefixes. What only says how threads wait, or what is printed, changes no byte.
_COMPUTING = re.compile(
    r"(ARMPL|ATEN|BLIS|CUBLAS|CUDNN|DNNL|GOTO|KMP|MKL|NPY|NVPL|OMP|ONEDNN|OPENBLAS|VECLIB)_\w+"
    r"|CUDA_VISIBLE_DEVICES|FAILURE_ATLAS_(DEVICE|PROCESSES)|GLIBC_TUNABLES|NVIDIA_TF32_OVERRIDE"
    r"|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    re.ASCII,
)
_WITHOUT_EFFECT = re.compile(
    r"OPENBLAS_(THREAD_TIMEOUT|VERBOSE)|OMP_(WAIT_POLICY|DISPLAY_\w+)|KMP_(BLOCKTIME|DUPLICATE_LIB_OK|INIT_AT_FORK|SETTINGS|WARNINGS)|OMP_TOOL\w*"
    r"|\w+_(VERBOSE|LOG)\w*"
)


def describe_computing() -> dict[str, Any]:
    """How this process computes, as JSON: call it when the libraries have been at work.

    variables: those of the environment that change bytes.  cores: that may be used.  libraries: each BLAS and OpenMP,
    by its kernel and threads.  torch: threads, instruction set, GPUs; null in a process that has not imported it.
    """
    libraries = [
        {key: found.get(key) for key in ("user_api", "prefix", "version", "architecture", "num_threads")}
        for found in threadpool_info()
    ]
    torch = sys.modules.get("torch")
    return {
        "variables": {name: os.environ[name] for name in sorted(os.environ) if changes_bytes(name, os.environ[name])},
        "cores": count_cores(),
        "libraries": sorted(libraries, key=str),
        "torch": torch
        and {
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
            if torch.cuda.is_initialized()
            else [],
        },
    }


def changes_bytes(name: str, text: str = "") -> bool:
    """Whether an environment variable changes how libraries compute; one that holds a path never counts."""
    known = _COMPUTING.fullmatch(name) and not _WITHOUT_EFFECT.fullmatch(name)
    return bool(known) and text.isprintable() and not {"/", "\\"} & set(text)


def count_cores() -> int:
    """The cores that this process may use; all of them where the system binds no process to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
