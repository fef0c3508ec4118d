"""Images in NumPy's .npz files: one with a split inside, one without, or one for each split."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.images.idx import MOST_BYTES
from failure_atlas.images.image_set import check_pair
from failure_atlas.images.own_images import OwnImages, Part, list_arrays

WHOLE, TRAIN, TEST = "images.npz", "train.npz", "test.npz"
# A header may claim more than the memory holds.
DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)
SPLIT_KEYS = ("train_images", "train_labels", "test_images", "test_labels")


def read_npz(folder: Path, class_names: Sequence[str] | None) -> OwnImages:
    """The images of a folder's `images.npz`, or of its `train.npz` and `test.npz`.

    class_names: of the labels 0, 1, ...; None: those in the files, else the labels themselves.
    Raises StageError if files or arrays are missing, damaged, or of another form.
    """
    there = [name for name in (WHOLE, TRAIN, TEST) if (folder / name).is_file()]
    if there not in ([WHOLE], [TRAIN, TEST]):
        raise StageError(
            f"{folder}: holds {', '.join(there) or 'none of them'}; prepare_images.source npz needs {WHOLE} alone, or "
            f"{TRAIN} and {TEST} (see README.md there)"
        )
    held = {name: _load(folder / name) for name in there}
    named = [_names(arrays, folder / name) for name, arrays in held.items()]
    if named[-1] is not None and named[-1] != named[0]:
        raise StageError(
            f"{folder / TEST}: its class_names differ from those in {TRAIN}; make them equal, or leave them out"
        )
    if there == [TRAIN, TEST]:
        sides = [("train", TRAIN, "images", "labels", TRAIN), ("test", TEST, "images", "labels", TEST)]
    elif "images" in held[WHOLE] and not held[WHOLE].keys() & set(SPLIT_KEYS):
        sides = [("", WHOLE, "images", "labels", f"{WHOLE}:images")]
    else:
        sides = [
            (split, WHOLE, f"{split}_images", f"{split}_labels", f"{WHOLE}:{split}_images")
            for split in ("train", "test")
        ]
    parts: list[Part] = []
    read, converted = {(name, "class_names") for name in there}, False
    for split, name, images_key, labels_key, where in sides:
        images, labels = _pair(held[name], images_key, labels_key, folder / name)
        read |= {(name, images_key), (name, labels_key)}
        converted |= images.dtype.kind == "f"
        parts.append((split, _as_bytes(images, where), labels, where))
    left = [f"the array {key}" for name, arrays in held.items() for key in sorted(arrays) if (name, key) not in read]
    left += sorted(path.name for path in folder.glob("*.npz") if path.name not in there)
    warnings = tuple(f"{what} is left out, neither learned from nor tested on" for what in left)
    names = class_names if class_names is not None else named[0]
    return list_arrays(parts, names, str(folder), from_float=converted, warnings=warnings)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise StageError(f"{path}: holds one array without a name; write it with numpy.savez")
            size = sum(member.file_size for member in cast(zipfile.ZipFile, file.zip).infolist())
            if size > MOST_BYTES:
                raise StageError(f"{path}: unpacks to {size:,} bytes; allowed: at most {MOST_BYTES:,}; split it")
            return {name: file[name] for name in file.files}
    except DAMAGE as error:
        raise StageError(
            f"{path}: no readable .npz file of plain arrays ({str(error).splitlines()[0]}); write it again with "
            "numpy.savez or numpy.savez_compressed, without arrays of objects"
        ) from error


def _pair(arrays: dict[str, np.ndarray], images_key: str, labels_key: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    for key in (images_key, labels_key):
        if key not in arrays:
            held = ", ".join(arrays) or "nothing"
            raise StageError(
                f"{path}: holds no array '{key}'; it holds: {held}; needed: images and labels, or "
                f"{', '.join(SPLIT_KEYS)}"
            )
    images, labels = arrays[images_key], arrays[labels_key]
    check_pair(images, labels, f"{path}: {images_key}", f"{path}: {labels_key}")
    if labels.dtype.kind not in "iu":
        raise StageError(
            f"{path}: {labels_key} is of type {labels.dtype}; allowed: integers (put words into class_names)"
        )
    if int(labels.max()) > np.iinfo(np.int64).max:
        raise StageError(f"{path}: {labels_key} holds {labels.max()}; allowed: integers below 2^63")
    return images, labels.astype(np.int64)


def _as_bytes(images: np.ndarray, where: str) -> np.ndarray:
    """uint8 as it is; floats in [0, 1] as 255 * x, rounded."""
    if images.dtype == np.uint8:
        return images
    advice = "give uint8 in 0 to 255, or floats in [0, 1]"
    if images.dtype.kind != "f":
        raise StageError(f"{where}: is of type {images.dtype}; {advice}")
    if images.size and not (images.min() >= 0 and images.max() <= 1):  # also refuses NaN
        raise StageError(f"{where}: holds values from {images.min():g} to {images.max():g}; {advice}")
    return np.rint(images.astype(np.float64) * 255).astype(np.uint8)


def _names(arrays: dict[str, np.ndarray], path: Path) -> list[str] | None:
    if "class_names" not in arrays:
        return None
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise StageError(
            f"{path}: class_names is {names.dtype} of shape {list(names.shape)}; needed: text of shape [classes], as "
            "numpy.array(['cat', 'dog']) makes it"
        )
    return [str(name) for name in names]
