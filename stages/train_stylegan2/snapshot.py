"""What others want of a training snapshot: the averaged generator, for use from a notebook, and the discriminator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from stages.common.errors import StageError
from stages.common.weights import load_tensors
from stages.train_stylegan2.checkpoint import read_architecture
from stages.train_stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from stages.train_stylegan2.generator import Generator
from stages.train_stylegan2.state import KIND

NetworkT = TypeVar("NetworkT", bound=nn.Module)
SNAPSHOT = Path(__file__).parents[2] / "data" / "released" / "snapshot.safetensors"


def load_released(path: Path = SNAPSHOT, device: torch.device | None = None) -> Generator:
    """The averaged generator of a snapshot, in evaluation mode, its weights frozen; by default the released one.

    Raises StageError if the file is missing, cut, or holds no generator that this version can build.
    """
    return _load(path, "generator", "average", lambda held: Generator(read_architecture(held)), device)


def load_discriminator(path: Path, device: torch.device) -> Discriminator:
    """The discriminator of a snapshot, in evaluation mode, its weights frozen; StageError as `load_released`."""
    discriminator = _load(path, "discriminator", "discriminator", _build_discriminator, device)
    # Channels last: the same numbers but for rounding, faster on a CPU.
    return discriminator.to(memory_format=torch.channels_last)  # type: ignore[no-any-return,call-overload]  # missing in its stub


def _build_discriminator(held: dict[str, Any]) -> Discriminator:
    return Discriminator(DiscriminatorArchitecture(**{**held, "channels": tuple(held["channels"])}))


def _load(
    path: Path, kind: str, prefix: str, build: Callable[[dict[str, Any]], NetworkT], device: torch.device | None
) -> NetworkT:
    tensors, description = load_tensors(path, KIND)
    own = {name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
    try:
        network = build(description[kind])
        network.load_state_dict(own)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no {kind} that this version can build ({reason}); make it again with: "
            "dvc repro train_stylegan2"
        ) from error
    return network.to(device or torch.device("cpu")).eval().requires_grad_(False)
