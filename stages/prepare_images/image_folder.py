"""Image files in one folder per class."""

import os
import re
import struct
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stages.common.errors import StageError
from stages.prepare_images.own_images import OwnImage, OwnImages, check_class_names
from stages.prepare_images.problems import BadImageError, Label

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SPLITS = ("train", "test")
IGNORED = ("Thumbs.db", "desktop.ini")  # of file managers; hidden files, too
MOST_PIXELS = 64_000_000  # a small file can unpack to more than the memory holds
# What Pillow raises for damaged files differs with the format and with the damage.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
          RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
          Image.DecompressionBombWarning)  # fmt: skip


def read_image_folder(folder: Path) -> OwnImages:
    """The images in `train/CLASS/` and `test/CLASS/`, or in `CLASS/`; classes and files in natural order of names.

    Raises StageError if folders are missing, linked, or do not fit together.
    """
    for path in folder.rglob("*"):
        if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # so Python holds bytes that are no text
            shown = os.fsencode(path).decode(errors="backslashreplace")
            raise StageError(f"{shown}: a name that is not UTF-8, and DVC takes no other; rename it")
    tops = _folders(folder)
    splits: dict[str, Path]
    if {path.name for path in tops} == set(SPLITS):
        splits = {split: folder / split for split in SPLITS}
    elif [path.name for path in tops] in (["train"], ["test"]):
        raise StageError(
            f"{folder}: holds {tops[0].name} but not {'test' if tops[0].name == 'train' else 'train'}; add it, or move "
            "the class folders up for a split by prepare_images.seed"
        )
    else:
        splits = {"": folder}
    names = [path.name for path in _folders(splits.get("train", folder))]
    check_class_names(names, str(splits.get("train", folder)))
    images = _list_strays(folder, {folder, *splits.values()})
    for split, top in splits.items():
        for place in _folders(top):
            if place.name not in names:
                raise StageError(
                    f"{place}: no such class among those of train ({', '.join(names[:10])}); rename or move it"
                )
            images += _list_class(folder, split, place)
    return OwnImages(images, tuple(names))


def natural_order(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorting key with numbers inside a name by their value: img2 before img10."""
    pieces = re.split(r"([0-9]+)", name)
    return [(1, int(piece), "") if number % 2 else (0, 0, piece) for number, piece in enumerate(pieces)], name


def read_picture(path: Path) -> np.ndarray:
    """Pixels of an image file: uint8 [H, W], or [H, W, 3]; turned as its camera says, laid on black where transparent.

    Raises BadImageError if it is no single whole image of a known format, or too large to unpack.
    """
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise BadImageError("unreadable", f"no image file: known are {', '.join(SUFFIXES)}")
    if not path.stat().st_size:
        raise BadImageError("empty", "the file has no bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise BadImageError(
                        "unreadable", f"it is {opened.width} x {opened.height} px; at most {MOST_PIXELS:,} are unpacked"
                    )
                if getattr(opened, "n_frames", 1) > 1:
                    raise BadImageError("unreadable", f"it holds {opened.n_frames} pictures")  # type: ignore[attr-defined]
                opened.load()
                return _to_pixels(ImageOps.exif_transpose(opened))
    except DAMAGE as error:
        raise BadImageError("unreadable", " ".join(f"{type(error).__name__}: {error}".split())[:200]) from error


def _to_pixels(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return np.rint(np.asarray(picture).astype(np.float64) / 257).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise BadImageError("unreadable", f"its pixels are of the mode {picture.mode!r}; save it with 8 or 16 bits")
    if picture.has_transparency_data:
        grey = picture.mode in ("L", "LA", "La", "1")
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
        picture = picture.convert("L" if grey else "RGB")
    elif picture.mode in ("1", "L"):
        picture = picture.convert("L")
    else:
        picture = picture.convert("RGB")
    return np.asarray(picture)


def _folders(place: Path) -> list[Path]:
    """Folders in natural order; StageError if one is a link, which DVC would not look into."""
    found = [path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in found:
        if path.is_symlink():
            raise StageError(
                f"{path}: a link to a folder, into which DVC does not look, so that changed images would go unnoticed; "
                "copy or move the folder here"
            )
    return sorted(found, key=lambda path: natural_order(path.name))


def _list_strays(folder: Path, tops: set[Path]) -> list[OwnImage]:
    """Pictures that lie beside the class folders, so that no class is known; notes may lie there."""

    def refuse() -> np.ndarray:
        raise BadImageError("misplaced", "it lies beside the class folders; move it into that of its class")

    found = [path for top in tops for path in top.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    names = sorted((path.relative_to(folder).as_posix() for path in found), key=natural_order)
    return [OwnImage(Label("", name, ""), refuse) for name in names]


def _list_class(folder: Path, split: str, place: Path) -> list[OwnImage]:
    files = [path for path in place.iterdir() if not path.name.startswith(".") and path.name not in IGNORED]
    if not files:
        raise StageError(f"{place}: holds no file; put the images of the class there, or remove the folder")
    return [
        OwnImage(Label(split, path.relative_to(folder).as_posix(), place.name), partial(read_picture, path))
        for path in sorted(files, key=lambda path: natural_order(path.name))
    ]
