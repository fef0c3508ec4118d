"""Files as params name them: by path and SHA-256."""

import hashlib
from pathlib import Path


def pin(path: Path) -> dict[str, str]:
    """A file as it stands, under the path as it is written here."""
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
