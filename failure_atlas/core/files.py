"""Files that are either whole or absent, with equal bytes for equal content."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failure_atlas.core.errors import StageError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there takes its place when the block ends well.

    Works for a file and for a folder. After an exception or a kill, `path` is as it was before; only a kill in the
    instant between the two renames of a folder leaves it absent, never torn.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old.partial")
    remove(temporary)  # what a killed run left
    remove(old)
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f"{temporary}: nothing was written there to become {path}")
        if path.is_dir() or (temporary.is_dir() and path.exists()):
            path.rename(old)  # a folder cannot be replaced in one step, and deleting it takes long
        temporary.replace(path)
        remove(old)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_file(path: Path) -> bool:
    """Whether a file is there; False also of a name that no file can have, which is too long or holds a zero."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises OSError there


def require(path: Path, made_by: str) -> Path:
    """Return `path`; StageError that names the stage to run if it is missing."""
    if not os.path.exists(path):  # noqa: PTH110 - as above
        raise StageError(f"{path}: missing; make it with: dvc repro {made_by}")
    return path


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a JSON mapping that a stage wrote; StageError that names the stage if it is missing or of another form."""
    again = f"make it again with: dvc repro {made_by}"
    try:
        held = json.loads(require(path, made_by).read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: no JSON ({error}); {again}") from error
    if not isinstance(held, dict):
        raise StageError(f"{path}: holds a {type(held).__name__}, no mapping; {again}")
    return held


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write metrics: sorted keys, six significant digits, no NaN (which is no JSON: written as null)."""
    text = json.dumps(_rounded(content), indent=2, sort_keys=True, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index; floats with six significant digits, LF line ends."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_table(path: Path, made_by: str, columns: Sequence[str], **options: Any) -> "pd.DataFrame":
    """Read a table that a stage wrote; StageError that names the stage to run if it is missing or lacks a column.

    options: of pandas.read_csv.
    """
    import pandas as pd  # late: what flows import need not wait for it

    table: pd.DataFrame = pd.read_csv(require(path, made_by), **options)
    missing = [column for column in columns if column not in table]
    if missing:
        raise StageError(f"{path}: lacks the columns {', '.join(missing)}; make it again with: dvc repro {made_by}")
    return table


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()  # NumPy and torch scalars
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
