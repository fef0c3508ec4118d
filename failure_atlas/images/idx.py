"""IDX, the file format of MNIST: a magic number, the size of each axis, the bytes; plain or gzip.

Four IDX files of the user's own, in the form that MNIST made common.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import Label
from failure_atlas.images.own_images import OwnImage, OwnImages, name_classes

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


WORDS = {"train": ("train",), "test": ("t10k", "test")}


def read_mnist_format(folder: Path, class_names: Sequence[str] | None) -> OwnImages:
    """The train and test images of a folder's four IDX files, told apart by words in their names.

    class_names: of the labels 0, 1, ...; None: a class is called as its label.
    Raises StageError if a file is missing, not the only one of its kind, cut, or does not fit its partner.
    """
    parts = {split: (_array(folder, split, "images"), _array(folder, split, "labels")) for split in WORDS}
    for split, ((images_path, images), (labels_path, labels)) in parts.items():
        colour = images.ndim == 4 and images.shape[3] in (1, 3)
        if (images.ndim != 3 and not colour) or labels.ndim != 1:
            raise StageError(
                f"{folder}: {images_path.name} has shape {list(images.shape)} and {labels_path.name} "
                f"{list(labels.shape)}; needed: [N, H, W] (or [N, H, W, 3]) and [N]"
            )
        if len(images) != len(labels):
            raise StageError(
                f"{folder}: count mismatch: {len(images)} in {images_path.name}, {len(labels)} in {labels_path.name}"
            )
        if not len(images):
            raise StageError(f"{images_path}: holds no images; the {split} part needs some")
    values = np.unique(np.concatenate([labels for _, (_, labels) in parts.values()]))
    names = name_classes(values.tolist(), class_names, str(folder))
    found = [
        OwnImage(Label(split, f"{path.name}[{row}]", names[label]), partial(images.__getitem__, row))
        for split, ((path, images), (_, labels)) in parts.items()
        for row, label in enumerate(labels.tolist())
    ]
    return OwnImages(found, tuple(names.values()))


def _array(folder: Path, split: str, what: str) -> tuple[Path, np.ndarray]:
    wanted = [f"{word}-{what}" for word in WORDS[split]]
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in (".dvc", ".md"))
    found = [path for path in files if any(word in path.name for word in wanted)]
    if len(found) != 1:
        held = ", ".join(path.name for path in found) or "none"
        raise StageError(
            f"{folder}: needed is one file whose name holds {' or '.join(wanted)}, found: {held}; see README.md there"
        )
    return found[0], parse_idx(unpack(found[0]), str(found[0]))
