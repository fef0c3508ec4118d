"""Every byte of a bundle, of what lies beside it, and of keys: read so that no file can hang, bloat or lead outside.

Plain files alone are opened, never through a link, and each is measured before it is read.
"""

import os
import re
import reprlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from failure_atlas.core.errors import escape

FILE_BYTES = 128 << 20  # of one file of a bundle; the report is the largest
BUNDLE_BYTES = 512 << 20  # of all files of a bundle
PARSED_BYTES = 32 << 20  # of a file that is parsed
ENTRIES = 20_000  # files and folders of a bundle
DEPTH = 32  # folders in each other
NAME_LENGTH = 1000  # characters of a path
CHUNK_BYTES = 1 << 20
SHOWN = 400  # characters of a message

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


class UnreadableError(ValueError):
    """Why a file is not read: its path, and what is wrong with it."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path, self.what = path, what


class Budget:
    """How many bytes, or values, may still be read; `spend` raises UnreadableError where they are not there."""

    def __init__(self, most: int, unit: str = "bytes") -> None:
        self.most = self.left = most
        self.unit = unit

    def spend(self, path: str, size: int) -> None:
        """Take off a file before it is read."""
        if size > self.left:
            told = f"{size} {self.unit}, with those before it more than the {self.most} that are read"
            raise UnreadableError(path, told)
        self.left -= size


def show(text: object) -> str:
    """Text in one line that no terminal obeys: control, bidi and other unprintable characters as escapes, cut short."""
    plain = str(text)
    return escape(plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}...")


def tell(value: object) -> str:
    """A value in a few words, however large it is."""
    return _SHORT.repr(value)


def check_name(name: object) -> str:
    """A path that stays below the folder it is looked for in; UnreadableError for any other."""
    if not isinstance(name, str):
        raise UnreadableError(tell(name), "no path")
    if (
        not 0 < len(name) <= NAME_LENGTH
        or PurePosixPath(name).as_posix() != name
        or name.startswith("/")
        or not {"..", "."}.isdisjoint(name.split("/"))
        or name.count("/") >= DEPTH
        or re.search("[\0\ud800-\udfff]", name)
    ):
        raise UnreadableError(name[:NAME_LENGTH], "allowed: a short relative path in UTF-8 that leads nowhere outside")
    return name


@contextmanager
def open_plain(folder: Path, name: str) -> Iterator[tuple[int, int]]:
    """The descriptor and the size in bytes of a plain file below a folder; no part of its path may be a link."""
    *parents, last = check_name(name).split("/")
    numbers: list[int] = []
    try:
        numbers.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        for part in parents:
            numbers.append(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=numbers[-1]))
        # Not blocking: a FIFO would keep one waiting before it can be seen that it is one.
        numbers.append(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=numbers[-1]))
        found = os.fstat(numbers[-1])
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(name, "no plain file")
        yield numbers[-1], found.st_size
    except FileNotFoundError as error:
        raise UnreadableError(name, "missing") from error
    except OSError as error:
        raise UnreadableError(name, f"no plain file that can be read ({error.strerror})") from error
    finally:
        for number in numbers:
            os.close(number)


def stream_plain(folder: Path, name: str, most: int = FILE_BYTES, budget: Budget | None = None) -> Iterator[bytes]:
    """The bytes of a plain file in chunks; UnreadableError, before any is read, if there are more than allowed."""
    with open_plain(folder, name) as (number, size):
        if size > most:
            raise UnreadableError(name, f"{size} bytes; at most {most} are read")
        if budget:
            budget.spend(name, size)
        while chunk := os.read(number, min(CHUNK_BYTES, size + 1)):
            size -= len(chunk)
            if size < 0:
                raise UnreadableError(name, "grows while it is read")
            yield chunk


def read_plain(folder: Path, name: str, most: int = PARSED_BYTES, budget: Budget | None = None) -> bytes:
    """All bytes of a plain file."""
    return b"".join(stream_plain(folder, name, most, budget))


def stream_inside(folder: Path, name: str) -> Iterator[bytes]:
    """The bytes of a file of a project, where links may lead to other files of it, but not out of it."""
    root = folder.resolve()
    found = (root / check_name(name)).resolve()
    if not found.is_relative_to(root):
        raise UnreadableError(name, "leads out of the project")
    yield from stream_plain(root, found.relative_to(root).as_posix(), 1 << 62)


def list_plain(folder: Path) -> tuple[dict[str, int], set[str]]:
    """The files below a folder with their sizes (-1 of what is no plain file), and its folders; none is opened."""
    files: dict[str, int] = {}
    folders: set[str] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    name = f"{inside}/{entry.name}" if inside else entry.name
                    if len(files) + len(folders) >= ENTRIES:
                        raise UnreadableError(name, f"one of more than {ENTRIES} files and folders")
                    if entry.is_dir(follow_symlinks=False):
                        folders.add(name)
                        if name.count("/") >= DEPTH:
                            raise UnreadableError(name, f"more than {DEPTH} folders deep")
                        waiting.append(name)
                    else:
                        plain = entry.is_file(follow_symlinks=False)
                        files[name] = entry.stat(follow_symlinks=False).st_size if plain else -1
        except OSError as error:
            raise UnreadableError(inside or ".", f"cannot be listed ({error.strerror})") from error
    return files, folders
