"""Every byte of a bundle, of what lies beside it, and of keys: read so that no file can hang, bloat or lead outside.

Plain files alone are opened, never through a link, and each is measured before it is read. Of JSON and YAML the size,
depth, count of values and length of numbers are bounded before any value is built.
"""

import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from failure_atlas.core.text import check_size, escape

FILE_BYTES = 128 << 20  # of one file of a bundle; the report is the largest
BUNDLE_BYTES = 512 << 20  # of all files of a bundle
PARSED_BYTES = 32 << 20  # of a file that is parsed
ENTRIES = 20_000  # files and folders of a bundle
DEPTH = 32  # folders in each other
NAME_LENGTH = 1000  # characters of a path
CHUNK_BYTES = 1 << 20
SHOWN = 400  # characters of a message
JSON_DEPTH = 64
JSON_VALUES = 1_000_000
YAML_BYTES = 2 << 20
YAML_DEPTH = 32
YAML_VALUES = 60_000  # aliases counted as what they stand for
DIGITS = 100  # of a number
MOST = 1000  # problems of one check

# Possessive, so that a quote that is never closed is passed over once and not again from each place in it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NUMBER = re.compile(r"[-+]?[0-9.][0-9a-fA-FxXoO_.:eE+-]*")
_OTHERS = bytes(each for each in range(256) if each not in b"[]{}")

T = TypeVar("T")

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


def parse_json(data: bytes, budget: Budget | None = None) -> Any:
    """Parse JSON as the standard has it: one key once, no NaN; ValueError that says what is wrong.

    budget: how many values may still be read, of this file and those after it.
    """
    if len(data) > PARSED_BYTES:
        raise ValueError(f"{len(data)} bytes of JSON; at most {PARSED_BYTES} are read")
    bare = _STRING.sub(b"", data)
    count = bare.count(b",") + bare.count(b"[") + bare.count(b"{")
    if count > JSON_VALUES:
        raise ValueError(f"more than {JSON_VALUES} values of JSON")
    if budget:
        budget.spend("JSON", count)
    depth = 0
    for bracket in bare.translate(None, _OTHERS):
        depth += 1 if bracket in b"[{" else -1
        if depth < 0:
            break  # no JSON, as the parser is about to say
        if depth > JSON_DEPTH:
            raise ValueError(f"JSON more than {JSON_DEPTH} levels deep")
    read = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_unique,
        parse_int=_read_int,
        parse_float=_read_float,
        parse_constant=_refuse,
    )
    if _SURROGATE.search(data):
        json.dumps(read, ensure_ascii=False).encode()  # half a pair cannot be written
    return read


@lru_cache(maxsize=4)
def parse_yaml(data: bytes) -> Any:
    """Parse YAML 1.2, as DVC does (in YAML 1.1 `1e-8` is a word); ValueError that says what is wrong.

    Of the same bytes it returns the same object, not to be changed.
    """
    if len(data) > YAML_BYTES:
        raise ValueError(f"{len(data)} bytes of YAML; at most {YAML_BYTES} are read")
    from ruamel.yaml import YAML  # late: not for --help
    from ruamel.yaml.error import YAMLError

    try:
        text = data.decode("utf-8")
        check_size(_refuse_scalars(YAML(typ="safe").parse(text)), YAML_VALUES, YAML_DEPTH)
        return YAML(typ="safe").load(text)
    except (YAMLError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(f"no YAML that is read here ({' '.join(str(error).split())})") from error


def expect(value: Any, kind: type[T], what: str) -> T:
    """A value of JSON or YAML if it is of exactly this type; ValueError with what it is."""
    if type(value) is not kind:
        raise ValueError(f"{what}: a {type(value).__name__}, no {kind.__name__}")
    return value


def _refuse_scalars(events: Iterable[Any]) -> Iterator[Any]:
    """Pass the events of a YAML parser on, but for tags and for numbers that take long to read."""
    for event in events:
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"tag {event.tag}; allowed: none")
        text = getattr(event, "value", "")
        if len(text) > DIGITS and event.implicit[0] and _NUMBER.fullmatch(text):
            raise ValueError(f"a number of {len(text)} digits; at most {DIGITS} are read")
        yield event


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key twice, among {', '.join(found)!r:.80}")
    return found


def _read_int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits; at most {DIGITS} are read")
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text}, which is no JSON")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be: the file, and what differs."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{show(self.path)}: {show(self.what)}"


@dataclass
class Verdict:
    """All checks of a bundle, in order.  lines: (what was checked, how it went, whether it is in order).

    unchecked: what no check computed again.  key: the id of the key that signed.
    """

    lines: list[tuple[str, str, bool]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    key: str = ""

    def note(self, check: str, problems: Iterable[Problem], summary: str) -> bool:
        """Take down one check; returns whether it found nothing.  summary: what it looked at, if it found nothing.

        A file that cannot be read ends the check, and is what it found.
        """
        found: list[Problem] = []
        try:
            for problem in problems:
                found.append(problem)
                if len(found) >= MOST:
                    break
        except UnreadableError as error:
            found.append(Problem(error.path, error.what))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            # Of a form that no honest bundle has; whichever it is, it is no reason to accept.
            found.append(Problem(check, f"cannot be checked ({error!r})"))
        self.problems += found
        count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
        self.lines.append((check, count if found else summary, not found))
        return not found

    @property
    def accepted(self) -> bool:
        """Whether no check found a problem."""
        return not self.problems
