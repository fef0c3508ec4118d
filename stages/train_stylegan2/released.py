"""The generator of a snapshot, for use from a notebook: no stage has to run first."""

from pathlib import Path

import torch

from stages.common.errors import StageError
from stages.common.weights import load_tensors
from stages.train_stylegan2.checkpoint import read_architecture
from stages.train_stylegan2.generator import Generator
from stages.train_stylegan2.state import KIND

SNAPSHOT = Path(__file__).parents[2] / "data" / "released" / "snapshot.safetensors"
PREFIX = "average."


def load_released(path: Path = SNAPSHOT, device: torch.device | None = None) -> Generator:
    """The averaged generator of a snapshot, in evaluation mode, its weights frozen; by default the released one.

    Raises StageError if the file is missing, cut, or holds no generator that this version can build.
    """
    tensors, description = load_tensors(path, KIND)
    own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    try:
        generator = Generator(read_architecture(description["generator"]))
        generator.load_state_dict(own)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"{path}: holds no generator that this version can build ({reason})") from error
    return generator.to(device or torch.device("cpu")).eval().requires_grad_(False)
