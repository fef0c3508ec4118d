"""Networks on disk: safetensors with the architecture in the metadata, so that a file loads by itself."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from stages.common.errors import StageError
from stages.common.files import replacing

# One metadata entry only: safetensors keeps several in a random order, which would change the bytes.
METADATA_KEY = "failure-atlas"


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], description: dict[str, Any]) -> None:
    """Write named tensors and a JSON description, whole or not at all, with equal bytes for equal content."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # Not save_file, which makes the file unreadable for others whatever the umask says.
        temporary.write_bytes(save(plain, metadata={METADATA_KEY: json.dumps(description)}))


def load_tensors(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors (on CPU) and description; kind: what `description["kind"]` must say.

    Raises StageError if the file is missing, cut, no safetensors file, or of another kind.
    """
    description = read_description(path, kind)
    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118 - not a dict


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """Read the description alone, without the tensors; StageError as `load_tensors`."""
    if not path.is_file():
        raise StageError(f"{path}: no such weights file; make it with dvc repro, or correct the path")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise StageError(f"{path}: cut or not a safetensors file ({error}); make it again or restore it") from error
    if METADATA_KEY not in metadata:
        raise StageError(f"{path}: written by something else; its metadata has no '{METADATA_KEY}' entry")
    try:
        description = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise StageError(f"{path}: its description is no JSON ({error}); make it again or restore it") from error
    if description.get("kind") != kind:
        raise StageError(f"{path}: holds a {description.get('kind')}, needed: a {kind}")
    return description  # type: ignore[no-any-return]
