"""What a checkout is called on a Prefect server, which may serve several."""

import hashlib
import platform
import re
from pathlib import Path

DIGITS = 8


def name_checkout(root: Path, machine: str | None = None) -> str:
    """The folder's name with 8 digits of a hash of its path and machine: the same at each start, another elsewhere.

    machine: its name, by default this one's. Letters that Prefect takes in no name become `-`.
    """
    path = root.resolve()
    digest = hashlib.sha256(f"{machine or platform.node()}:{path}".encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', path.name)}-{digest[:DIGITS]}"
