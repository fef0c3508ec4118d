"""Image files in one folder per class."""

import os
import re
import struct
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import BadImageError
from failure_atlas.images.own_images import MOST_CLASSES, OwnImage, OwnImages, check_class_names
from failure_atlas.images.problems import Label

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")  # the last with its kin: PGM, PBM
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
ROLES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
ROLES |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
LAYOUTS = (
    "read are CLASS/*.png, or train/CLASS/*.png and test/CLASS/*.png (training and testing, too, in any case; val, "
    "valid, validation or dev beside them is left out)"
)
IGNORED = ("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir")  # of file managers, in any case
MOST_PIXELS = 64_000_000  # a small file can unpack to more than the memory holds
# What Pillow raises for damaged files differs with the format and with the damage.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
          RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
          Image.DecompressionBombWarning)  # fmt: skip


def read_image_folder(folder: Path) -> OwnImages:
    """The images in `train/CLASS/` and `test/CLASS/`, or in `CLASS/`; classes and files in natural order of names.

    All of it may lie in one folder more.  Raises StageError if folders are missing, linked, or do not fit together.
    """
    _check_text(folder)
    top, around = folder, {folder}
    while len(inside := _folders(top)) == 1 and inside[0].name.lower() not in ROLES and _folders(inside[0]):
        top = inside[0]
        around.add(top)
    splits, warnings = _find_splits(top)
    learned = splits.get("train", top)
    names = [path.name for path in _folders(learned)]
    if len(names) < 2:
        files = sum(path.is_file() for path in learned.iterdir())
        raise StageError(
            f"{learned}: number of classes is {f'1 ({names[0]})' if names else 'none'}; allowed: 2 to {MOST_CLASSES}, "
            f"a folder for each (found: {len(names)} folders, {files} files); {LAYOUTS}"
        )
    check_class_names(names, str(learned))
    images = _list_strays(folder, around | set(splits.values()))
    for split, part in splits.items():
        for place in _folders(part):
            if place.name not in names:
                raise StageError(
                    f"{place}: no such class among those of {learned.name} ({', '.join(names[:10])}); rename or move it"
                )
            images += _list_class(folder, split, place)
    return OwnImages(images, tuple(names), warnings=warnings)


def _find_splits(top: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The folder of each split, or `top` itself under '' where none is made; and what is said of what is left out."""
    tops = _folders(top)
    by_role: dict[str, list[Path]] = {role: [] for role in ("train", "test", "val", "")}
    for path in tops:
        by_role[ROLES.get(path.name.lower(), "")].append(path)
    others = by_role.pop("")
    known = [path for paths in by_role.values() for path in paths]
    # A class may be called train; a split holds class folders, or else nothing stands beside it.
    if not known or (others and not any(_folders(path) for path in known)):
        return {"": top}, ()
    held = f"{top}: holds {', '.join(path.name for path in tops)}"
    if others or any(len(paths) > 1 for paths in by_role.values()):
        raise StageError(f"{held}, which is no split of train and test; move what does not belong there; {LAYOUTS}")
    missing = [role for role in ("train", "test") if not by_role[role]]
    if missing:
        rename = f", rename {by_role['val'][0].name} to test" if missing == ["test"] and by_role["val"] else ""
        raise StageError(
            f"{held} but not {' and '.join(missing)}; add it{rename}, or move the class folders up for a split by "
            "prepare_images.seed"
        )
    warnings = tuple(
        f"{path.name} ({sum(file.is_file() for file in path.rglob('*'))} files) is left out, neither learned from nor "
        "tested on; move its images to train or test to use them"
        for path in by_role["val"]
    )
    return {"train": by_role["train"][0], "test": by_role["test"][0]}, warnings


def _check_text(folder: Path) -> None:
    """Raise StageError for a name that is not UTF-8."""
    for path in folder.rglob("*"):
        if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # so Python holds bytes that are no text
            shown = os.fsencode(path).decode(errors="backslashreplace")
            raise StageError(f"{shown}: a name that is not UTF-8, and DVC takes no other; rename it")


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
    return decode_picture(path)


def decode_picture(source: Path | BinaryIO, formats: tuple[str, ...] = FORMATS) -> np.ndarray:
    """Pixels as `read_picture` gives them, of a file that may be open already."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise BadImageError(
                        "unreadable", f"it is {opened.width} x {opened.height} px; at most {MOST_PIXELS:,} are unpacked"
                    )
                if getattr(opened, "n_frames", 1) > 1:
                    raise BadImageError("unreadable", f"it holds {opened.n_frames} pictures")  # type: ignore[attr-defined]
                wide = opened.mode.startswith("I;16") or (opened.format, opened.mode) == ("PPM", "I")
                _check_line_ends(opened)
                opened.load()
                return _to_pixels(ImageOps.exif_transpose(opened), wide)
    except DAMAGE as error:
        raise BadImageError("unreadable", " ".join(f"{type(error).__name__}: {error}".split())[:200]) from error


def _check_line_ends(opened: ImageFile.ImageFile) -> None:
    """Raise BadImageError for a PPM whose header ends in CR LF: the LF would be taken for the first byte of pixels."""
    if opened.format == "PPM" and opened.tile[0].codec_name != "ppm_plain" and opened.fp is not None:
        opened.fp.seek(opened.tile[0].offset - 1)
        if opened.fp.read(2) == b"\r\n":
            raise BadImageError(
                "unreadable", "its line ends are CR LF, as git or FTP write them into text; get it as a binary file"
            )


def _to_pixels(picture: Image.Image, wide: bool) -> np.ndarray:
    """wide: of 16 bits."""
    if wide:
        return np.rint(np.asarray(picture).astype(np.float64) / 257).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise BadImageError("unreadable", f"its pixels are of the mode {picture.mode!r}; save it with 8 or 16 bits")
    mode = "L" if picture.mode in ("L", "LA", "La", "1") else "RGB"
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return np.asarray(picture.convert(mode))


def _is_ignored(path: Path) -> bool:
    """Whether a file or folder is hidden, or a file manager has left it."""
    return path.name.startswith(".") or path.name.lower() in IGNORED


def _folders(place: Path) -> list[Path]:
    """Folders in natural order; StageError if one is a link, which DVC would not look into."""
    found = [path for path in place.iterdir() if path.is_dir() and not _is_ignored(path)]
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
    files = [path for path in place.iterdir() if not _is_ignored(path)]
    if not files:
        raise StageError(f"{place}: holds no file; put the images of the class there, or remove the folder")
    if all(path.is_dir() for path in files):
        inside = ", ".join(sorted(path.name for path in files)[:10])
        raise StageError(f"{place}: holds no file but the folders {inside}; {LAYOUTS}")
    return [
        OwnImage(Label(split, path.relative_to(folder).as_posix(), place.name), partial(read_picture, path))
        for path in sorted(files, key=lambda path: natural_order(path.name))
    ]
