"""A generator on disk: weights, constant noise and architecture in one safetensors file."""

from pathlib import Path
from typing import Any

import torch

from stages.common.weights import load_tensors, save_tensors
from stages.train_stylegan2.generator import Generator, GeneratorArchitecture

KIND = "stylegan2-generator"


def save_generator(path: Path, generator: Generator) -> None:
    """Write a generator so that `load_generator` needs the file alone."""
    description = {"kind": KIND, "architecture": generator.architecture.describe()}
    save_tensors(path, generator.state_dict(), description)


def load_generator(path: Path, device: torch.device) -> Generator:
    """Read a generator, ready for analysis: evaluation mode, weights frozen.

    Raises StageError if the file is missing, cut or holds something else.
    """
    tensors, description = load_tensors(path, KIND)
    generator = Generator(read_architecture(description["architecture"]))
    generator.load_state_dict(tensors)
    return generator.to(device).eval().requires_grad_(False)


def read_architecture(description: dict[str, Any]) -> GeneratorArchitecture:
    """The inverse of `GeneratorArchitecture.describe`."""
    return GeneratorArchitecture(**{**description, "channels": tuple(description["channels"])})
