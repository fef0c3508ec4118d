"""What a checkout is called on a Prefect server, which may serve several: its name stays, and no copy shares it."""

import json
import re
import secrets
from contextlib import suppress
from pathlib import Path

from flows.atomic_write import write_atomically

NAME_FILE = Path("logs/checkout.json")  # git ignores it; a copy of the whole folder takes it along
MACHINE_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))  # stay when the hostname changes


def name_checkout(root: Path) -> str:
    """The folder's name with 8 random digits, made once and kept in NAME_FILE: a hostname does not enter.

    A folder that was renamed keeps its name. A copy gets another, here or on another machine: the file says for
    which path, machine and inode it was written. Letters that Prefect takes in no name become `-`.
    """
    root = root.resolve()
    file = root / NAME_FILE
    machine = next((found.read_text(encoding="utf-8").strip() for found in MACHINE_FILES if found.is_file()), "")
    with suppress(OSError, ValueError, KeyError, TypeError):  # none yet, or no such file of ours
        held = json.loads(file.read_text(encoding="utf-8"))
        name, home = str(held["name"]), Path(held["path"])
        itself = file.stat().st_ino == held["inode"] and file.stat().st_nlink == 1
        stayed = home == root and (itself or bool(machine))
        moved = itself and not (home / NAME_FILE).exists()
        if held["machine"] == machine and (stayed or moved):
            if not (home == root and itself):
                _write(file, name, machine)
            return name
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', root.name)}-{secrets.token_hex(4)}"
    _write(file, name, machine)
    return name


def _write(file: Path, name: str, machine: str) -> None:
    """Write a new file, so that no copy that is linked to the old one changes; then, in place, which inode it has."""
    held = {"name": name, "path": str(file.parents[1]), "machine": machine, "inode": 0}
    write_atomically(file, json.dumps(held))
    file.write_text(json.dumps(held | {"inode": file.stat().st_ino}), encoding="utf-8")
