"""The environment that a bundle was made in: packages, Python, operating system, processor, GPUs.

No host, user or folder names: they say nothing about a result.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

VARIABLES = (
    "FAILURE_ATLAS_DEVICE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)
GPU_SECONDS = 20


def describe_machine() -> dict[str, Any]:
    """All that may make another machine give other bytes.

    packages: by name, the version, and the SHA-256 of the RECORD that its wheel came with, which lists a hash for each
    of its files; null where the installation has none.
    """
    return {
        "os": {"system": platform.system(), "release": platform.release(), "distribution": _distribution()},
        "cpu": {"machine": platform.machine(), "model": _cpu_model(), "cores": os.cpu_count()},
        "gpus": _gpus(),
        "python": {"implementation": platform.python_implementation(), "version": platform.python_version()},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "packages": _packages(),
    }


def compare_machines(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What makes two machines of another kind, one line each; empty if the same bytes are to be expected.

    The release of the kernel does not count.
    """
    differences = []
    for part in ("system", "distribution"):
        differences += _tell(f"os.{part}", old["os"][part], new["os"][part])
    for part in ("machine", "model", "cores"):
        differences += _tell(f"cpu.{part}", old["cpu"][part], new["cpu"][part])
    differences += _tell("gpus", old["gpus"], new["gpus"])
    differences += _tell("python", old["python"], new["python"])
    differences += _tell("variables", old["variables"], new["variables"])
    packages = [{name: entry["version"] for name, entry in kind["packages"].items()} for kind in (old, new)]
    for name in sorted({*packages[0], *packages[1]}):
        differences += _tell(f"package {name}", packages[0].get(name), packages[1].get(name))
    return differences


def _tell(name: str, old: Any, new: Any) -> list[str]:
    return [] if old == new else [f"{name}: {old} then, {new} now"]


def _packages() -> dict[str, dict[str, str | None]]:
    found = {}
    for package in distributions():
        record = package.read_text("RECORD")
        found[package.name] = {
            "version": package.version,
            "record_sha256": hashlib.sha256(record.encode()).hexdigest() if record else None,
        }
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _distribution() -> str:
    try:
        return str(platform.freedesktop_os_release().get("PRETTY_NAME", ""))
    except OSError:
        return platform.version()  # not Linux


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _gpus() -> list[str]:
    """Name and driver of each NVIDIA GPU; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.splitlines() if asked.returncode == 0 else []
