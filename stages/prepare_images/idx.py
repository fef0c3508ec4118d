"""IDX, the file format of MNIST: a magic number, the size of each axis, the bytes; plain or gzip."""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from stages.common.errors import StageError

GZIP_MAGIC = b"\x1f\x8b"
UINT8_CODE = 0x08


def unpack(path: Path) -> bytes:
    """The content of a plain or gzip file, told apart by its first bytes and not by its name.

    Raises StageError if the gzip stream is cut or damaged.
    """
    packed = path.read_bytes()
    if not packed.startswith(GZIP_MAGIC):
        return packed
    try:
        return gzip.decompress(packed)
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
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UINT8_CODE:
        raise StageError(f"{name}: no IDX file of unsigned bytes: it begins with {content[:4].hex() or 'nothing'}")
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise StageError(f"{name}: cut inside the header: {len(content)} bytes, {start} needed")
    shape = struct.unpack(f">{axes}I", content[4:start])
    expected = math.prod(shape)  # of any size: NumPy's would begin again at 0
    if len(content) - start != expected:
        sizes = " x ".join(map(str, shape))
        raise StageError(
            f"{name}: count mismatch: header says {sizes} = {expected} bytes, {len(content) - start} follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
