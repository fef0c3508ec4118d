"""The folder that a person brings, pinned file by file."""

from pathlib import Path

from stages.common.errors import StageError
from stages.common.files import hash_file


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path within it.

    What Python leaves there when it imports is left out, as DVC leaves it out (.dvcignore).
    Raises StageError if the folder is missing or empty.
    """
    if not folder.is_dir():
        raise StageError(f"{folder}: no such folder; put the classifier's files there, or remove its entry from params")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    if not files:
        raise StageError(f"{folder}: holds no file; put the classifier's files there, or remove its entry from params")
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def check_files(folder: Path, expected: dict[str, str], name: str) -> None:
    """Raise StageError with the expected and the found hash if a file is not the one that was brought as `name`."""
    found = hash_files(folder)
    for file in sorted({*expected, *found}):
        before, now = expected.get(file), found.get(file)
        if before != now:
            raise StageError(
                f"{folder / file}: expected {_tell(before)}, found {_tell(now)}; restore the folder, or bring the "
                f"classifier again with: dvc repro bring_classifiers@{name}"
            )


def _tell(sha256: str | None) -> str:
    return "no such file" if sha256 is None else f"SHA-256 {sha256}"
