"""Networks on disk: safetensors with the architecture in the metadata, so that a file loads by itself.

And files from outside that params name together with their hash, which makes DVC see when one changes.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from failure_atlas.core.errors import StageError
from failure_atlas.core.fields import Section, Text
from failure_atlas.core.files import hash_file, is_file, replacing


class PinnedFile(Section):
    """A path, from the project's root, and the SHA-256 of what the file must hold."""

    path: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def check_pinned(file: PinnedFile, key: str) -> Path:
    """The file's path, if it is there and holds what it must; key: where the params name it.

    Raises StageError with the expected and the found hash.
    """
    path = Path(file.path)
    if not is_file(path):
        raise StageError(f"{key}.path: no file {path}, expected SHA-256 {file.sha256}; restore it, or set {key}: null")
    found = hash_file(path)
    if found != file.sha256:
        raise StageError(
            f"{path}: expected SHA-256 {file.sha256}, found {found}; restore the file, or set {key}.sha256 if the "
            "change is wanted"
        )
    return path


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
    description = read_description(path)
    if description.get("kind") != kind:
        raise StageError(f"{path}: holds a {description.get('kind')}, needed: a {kind}")
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118 - not a dict


def read_description(path: Path) -> dict[str, Any]:
    """What a weights file says of itself; the errors of `load_tensors`, but for that of the kind."""
    if not is_file(path):
        raise StageError(f"{path}: no such weights file; make it with dvc repro, or correct the path")
    with _opened(path) as file:
        metadata = file.metadata() or {}
    if METADATA_KEY not in metadata:
        raise StageError(f"{path}: written by something else; its metadata has no '{METADATA_KEY}' entry")
    try:
        description: dict[str, Any] = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise StageError(f"{path}: its description is no JSON ({error}); make it again or restore it") from error
    return description


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except SafetensorError as error:
        raise StageError(f"{path}: cut or not a safetensors file ({error}); make it again or restore it") from error
