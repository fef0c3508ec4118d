"""Logs of one JSON object per line."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry that is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if _is_cut(file):
            file.write(b"\n")  # a power cut took the end of the line before; this one must not be lost with it
        file.write(json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _is_cut(file: BinaryIO) -> bool:
    """Whether a file opened at its end lacks its last newline."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
