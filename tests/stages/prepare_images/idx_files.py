"""IDX files that the tests write themselves."""

import gzip
import hashlib
import struct

import numpy as np

from failure_atlas.images.sources import IdxSource


def idx_bytes(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def small_set(counts=(7, 3), classes=3, size=(5, 4)):
    """Random training and test images, and labels."""
    stream, arrays = np.random.default_rng(0), {}
    for split, count in zip(("train", "t10k"), counts, strict=True):
        arrays[f"{split}-images-idx3-ubyte"] = stream.integers(0, 256, (count, *size), np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = np.arange(count, dtype=np.uint8) % classes
    return arrays


def write_source(folder, arrays, *, packed, mirrors=()):
    """Write the arrays as IDX files and describe them with their true checksums; classes a, b, c."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for name, array in arrays.items():
        content = idx_bytes(array)
        sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return IdxSource("small", ("a", "b", "c"), sums, mirrors)
