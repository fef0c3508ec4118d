"""Images in NumPy's .npz files: one with a split inside, one without, or one for each split."""

import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import Label
from failure_atlas.images.own_images import OwnImage, OwnImages, name_classes

WHOLE, TRAIN, TEST = "images.npz", "train.npz", "test.npz"
# A header may claim more than the memory holds.
DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)
SPLIT_KEYS = ("train_images", "train_labels", "test_images", "test_labels")


def read_npz(folder: Path, class_names: Sequence[str] | None) -> OwnImages:
    """The images of a folder's `images.npz`, or of its `train.npz` and `test.npz`.

    class_names: of the labels 0, 1, ...; None: those in the files, else the labels themselves.
    Raises StageError if files or arrays are missing, damaged, or of another form.
    """
    parts, named, warnings = _read_parts(folder)
    labels = np.unique(np.concatenate([held for _, _, held, _ in parts]))
    names = name_classes(labels.tolist(), class_names if class_names is not None else named, str(folder))
    converted = any(images.dtype.kind == "f" for _, images, _, _ in parts)
    found = []
    for split, images, held, where in parts:
        pixels = _as_bytes(images, where)
        found += [
            OwnImage(Label(split, f"{where}[{row}]", names[label]), partial(pixels.__getitem__, row))
            for row, label in enumerate(held.tolist())
        ]
    return OwnImages(found, tuple(names.values()), converted, warnings)


Part = tuple[str, np.ndarray, np.ndarray, str]  # a split's name ('' for none), its images, labels, what to call them


def _read_parts(folder: Path) -> tuple[list[Part], list[str] | None, tuple[str, ...]]:
    """All splits; the class names, if there are any; and what is said of what is left out."""
    whole, train, test = (folder / name for name in (WHOLE, TRAIN, TEST))
    there = [path.name for path in (whole, train, test) if path.is_file()]
    if there == [WHOLE]:
        arrays = _load(whole)
        if "images" in arrays and not any(key in arrays for key in SPLIT_KEYS):
            sides = [("", "images", "labels")]
        else:
            sides = [("train", *SPLIT_KEYS[:2]), ("test", *SPLIT_KEYS[2:])]
        parts = [(split, *_pair(arrays, images, labels, whole), f"{WHOLE}:{images}") for split, images, labels in sides]
        read = {"class_names", *(key for side in sides for key in side[1:])}
        warnings = _tell_left_out("the array ", sorted(arrays.keys() - read))
        return parts, _names(arrays, whole), warnings + _tell_left_out("", _other_files(folder, there))
    if there == [TRAIN, TEST]:
        sets = {"train": _load(train), "test": _load(test)}
        paths = {"train": train, "test": test}
        parts = [
            (split, *_pair(arrays, "images", "labels", paths[split]), paths[split].name)
            for split, arrays in sets.items()
        ]
        named = {split: _names(arrays, paths[split]) for split, arrays in sets.items()}
        if named["test"] is not None and named["test"] != named["train"]:
            raise StageError(
                f"{test}: its class_names differ from those in {TRAIN}; make them equal, or leave them out"
            )
        return parts, named["train"], _tell_left_out("", _other_files(folder, there))
    held = ", ".join(there) or "none of them"
    raise StageError(
        f"{folder}: holds {held}; prepare_images.source npz needs {WHOLE} alone, or {TRAIN} and {TEST} (see README.md "
        "there)"
    )


def _other_files(folder: Path, read: Sequence[str]) -> list[str]:
    return sorted(path.name for path in folder.glob("*.npz") if path.name not in read)


def _tell_left_out(what: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{what}{name} is left out, neither learned from nor tested on" for name in names)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise StageError(f"{path}: holds one array without a name; write it with numpy.savez")
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
    where = f"{path}: {images_key}"
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise StageError(
            f"{where}: shape is {list(images.shape)}; allowed: [N, H, W] or [N, H, W, C] with C 1 or 3, the channels "
            "last (from [N, C, H, W]: numpy.moveaxis(images, 1, -1))"
        )
    if labels.ndim != 1 or len(labels) != len(images):
        raise StageError(f"{path}: {labels_key} has shape {list(labels.shape)}; needed: [{len(images)}], one per image")
    if labels.dtype.kind not in "iu":
        raise StageError(
            f"{path}: {labels_key} is of type {labels.dtype}; allowed: integers (put words into class_names)"
        )
    if len(labels) and int(labels.max()) > np.iinfo(np.int64).max:
        raise StageError(f"{path}: {labels_key} holds {labels.max()}; allowed: integers below 2^63")
    if not len(images):
        raise StageError(f"{where}: holds no images; add some")
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
