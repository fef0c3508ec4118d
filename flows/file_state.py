"""What files hold, as a key for what was read of them: it is read again only after they have changed."""

from pathlib import Path

State = tuple[Path, tuple[bytes, ...]]


def read_state(*files: Path) -> State:
    """The current folder and the bytes of files in it; of one that is not there, none."""
    return Path.cwd(), tuple(file.read_bytes() if file.is_file() else b"" for file in files)
