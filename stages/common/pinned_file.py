"""A file from outside that params name together with its hash, which makes DVC see when the file changes."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from stages.common.errors import StageError
from stages.common.files import hash_file
from stages.common.params import Section, Text


class PinnedFile(Section):
    """A path, from the project's root, and the SHA-256 of what the file must hold."""

    path: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def check_pinned(file: PinnedFile, key: str) -> Path:
    """The file's path, if it is there and holds what it must; key: where the params name it.

    Raises StageError with the expected and the found hash.
    """
    path = Path(file.path)
    if not path.is_file():
        raise StageError(f"{key}.path: no file {path}, expected SHA-256 {file.sha256}; restore it, or set {key}: null")
    found = hash_file(path)
    if found != file.sha256:
        raise StageError(
            f"{path}: expected SHA-256 {file.sha256}, found {found}; restore the file, or set {key}.sha256 if the "
            "change is wanted"
        )
    return path
