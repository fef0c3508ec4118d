"""IDX, the file format of MNIST: a magic number, the size of each axis, the bytes; plain or gzip."""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import check_pair
from failure_atlas.images.own_images import OwnImages, list_arrays

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTES = b"\0\0\x08"
LONGEST_HEADER = 4 + 4 * 255
NO_IDX_BYTES = 1 << 20  # that are read of what is no such file, for its checksum
MOST_BYTES = 1 << 32  # of an array: a small gzip file can unpack to more than the memory holds
WORDS = {"train": ("train",), "test": ("t10k", "test")}


def unpack(path: Path) -> bytes:
    """The content of a plain or gzip file, told apart by its first bytes and not by its name.

    Of more than the header of an IDX file says no more is unpacked than a block as long as the longest header.
    Raises StageError if the gzip stream is cut or damaged, or the header says more than 4 GiB.
    """
    with path.open("rb") as opened:
        packed = opened.peek(2).startswith(GZIP_MAGIC)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=opened)) if packed else opened
        try:
            head = stream.read(LONGEST_HEADER)
            start, shape = _read_header(head)
            size = NO_IDX_BYTES if shape is None else start + math.prod(shape)
            if size > MOST_BYTES:
                raise StageError(f"{path}: its header says {size:,} bytes; allowed: at most {MOST_BYTES:,}; split it")
            return head + stream.read(max(0, size + 1 - len(head)))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise StageError(f"{path}: gzip file is cut or damaged ({error}); delete it and get it again") from error


def check_md5(content: bytes, expected: str, name: str) -> None:
    """StageError with both sums if the content's MD5 is not the expected one."""
    found = md5(content)
    if found != expected:
        raise StageError(
            f"{name}: wrong checksum: MD5 of the unpacked bytes is {found}, expected {expected}; "
            "the file is damaged or of another data set: replace it"
        )


def md5(content: bytes) -> str:
    """MD5 in hexadecimal: a fingerprint against damage, not against an attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def parse_idx(content: bytes, name: str) -> np.ndarray:
    """The uint8 array that unpacked IDX bytes hold, of any number of axes.

    name: the file's, for messages.  Raises StageError for another format or type, or if the header's count and the
    number of bytes differ.
    """
    if len(content) < 4 or not content.startswith(UNSIGNED_BYTES):
        raise StageError(f"{name}: no IDX file of unsigned bytes: it begins with {content[:4].hex() or 'nothing'}")
    start, shape = _read_header(content)
    if shape is None:
        raise StageError(f"{name}: cut inside the header: {len(content)} bytes, {start} needed")
    expected = math.prod(shape)  # of any size: NumPy's would begin again at 0
    follow = len(content) - start
    if follow != expected:
        sizes = " x ".join(map(str, shape))
        raise StageError(
            f"{name}: count mismatch: header says {sizes} = {expected} bytes, "
            f"{'more' if follow > expected else follow} follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_header(content: bytes) -> tuple[int, tuple[int, ...] | None]:
    """Where the data begin, and the shape; None: the header is cut, or it is that of something else."""
    if len(content) < 4 or not content.startswith(UNSIGNED_BYTES):
        return 0, None
    start = 4 + 4 * content[3]
    return start, struct.unpack(f">{content[3]}I", content[4:start]) if len(content) >= start else None


def read_mnist_format(folder: Path, class_names: Sequence[str] | None) -> OwnImages:
    """The train and test images of a folder's four IDX files, told apart by words in their names.

    class_names: of the labels 0, 1, ...; None: a class is called as its label.
    Raises StageError if a file is missing, not the only one of its kind, cut, or does not fit its partner.
    """
    parts = []
    for split in WORDS:
        paths = [_find(folder, split, what) for what in ("images", "labels")]
        images, labels = (parse_idx(unpack(path), str(path)) for path in paths)
        check_pair(images, labels, str(paths[0]), str(paths[1]))
        if class_names is None and 255 in labels and 254 not in labels:
            raise StageError(
                f"{paths[1]}: label 255 is what -1, which often marks images without a class, becomes in a byte; leave "
                "those images out, or name the labels in prepare_images.class_names"
            )
        parts.append((split, images, labels, paths[0].name))
    return list_arrays(parts, class_names, str(folder))


def _find(folder: Path, split: str, what: str) -> Path:
    wanted = [f"{word}-{what}" for word in WORDS[split]]
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in (".dvc", ".md"))
    found = [path for path in files if any(word in path.name for word in wanted)]
    if len(found) != 1:
        held = ", ".join(path.name for path in found) or "none"
        raise StageError(
            f"{folder}: needed is one file whose name holds {' or '.join(wanted)}, found: {held}; see README.md there"
        )
    return found[0]
