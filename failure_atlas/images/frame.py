"""What is wrong with single images: which kinds there are, how copies are found, and the table that lists them.

One image of any size, grey or colour, into the square frame that all networks see.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from failure_atlas.core.errors import StageError

Kind = Literal["misplaced", "unreadable", "empty", "wrong_size", "duplicate", "leak", "conflict"]
Action = Literal["kept", "dropped", "stopped"]

KINDS: tuple[Kind, ...] = ("misplaced", "unreadable", "empty", "wrong_size", "duplicate", "leak", "conflict")
COLUMNS = ["split", "image", "class", "problem", "detail", "action"]
SHOWN = 3


class BadImageError(Exception):
    """One image that cannot be used; kind: what is wrong.  The text says more."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True)
class Label:
    """Where one image stands: its split ('' where the seed is still to split), its name and its class."""

    split: str
    name: str
    class_name: str


@dataclass(frozen=True)
class Problem:
    """One image that something is wrong with."""

    image: Label
    kind: Kind
    detail: str
    action: Action


def find_copies(images: np.ndarray, labels: Sequence[Label]) -> dict[int, Problem]:
    """Images whose pixels occur before: by index, what is wrong with each; images uint8 [N, ...], labels [N].

    conflict: the copies are not all of one class; each of them is listed, for nobody knows which class is right.
    leak: a training image that is also a test image.  duplicate: one more of its class in its split; of test images
    and of training images that leak nowhere the first is kept.  Every action is 'dropped'.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[blake2b(image.tobytes(), digest_size=16).digest()].append(index)
    found: dict[int, Problem] = {}
    for members in groups.values():
        if len(members) > 1:
            found |= _tell_copies(members, labels)
    return dict(sorted(found.items()))


def _tell_copies(members: list[int], labels: Sequence[Label]) -> dict[int, Problem]:
    if len({labels[index].class_name for index in members}) > 1:
        conflicts = {}
        for index in members:
            other = next(labels[j] for j in members if labels[j].class_name != labels[index].class_name)
            detail = f"same pixels as {_place(other)}, which is of class {other.class_name!r}"
            conflicts[index] = Problem(labels[index], "conflict", detail, "dropped")
        return conflicts
    copies = {}
    first: dict[str, int] = {}
    for index in members:
        first.setdefault(labels[index].split, index)
    for index in members:
        split = labels[index].split
        if split == "train" and "test" in first:
            detail = f"same pixels as the test image {labels[first['test']].name}"
            copies[index] = Problem(labels[index], "leak", detail, "dropped")
        elif index != first[split]:
            detail = f"same pixels as {labels[first[split]].name}"
            copies[index] = Problem(labels[index], "duplicate", detail, "dropped")
    return copies


def with_action(problems: Sequence[Problem], action: Action) -> list[Problem]:
    """The same problems, something else being done about them."""
    return [replace(problem, action=action) for problem in problems]


def count_problems(problems: Sequence[Problem]) -> dict[str, int]:
    """How many there are of each kind, those without any included."""
    counts = Counter(problem.kind for problem in problems)
    return {kind: counts[kind] for kind in KINDS}


def tabulate_problems(problems: Sequence[Problem]) -> pd.DataFrame:
    """One row per problem."""
    rows = [
        (each.image.split, each.image.name, each.image.class_name, each.kind, each.detail, each.action)
        for each in problems
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def describe_problems(problems: Sequence[Problem]) -> str:
    """The first few in words, and how many there are of each kind."""
    counts = ", ".join(f"{count} {kind}" for kind, count in count_problems(problems).items() if count)
    first = "; ".join(f"{_place(each.image)}: {each.kind} ({each.detail})" for each in problems[:SHOWN])
    return f"{counts}. First: {first}"


def _place(image: Label) -> str:
    return f"{image.split} image {image.name}" if image.split else image.name


def check_class_sizes(counts: dict[str, tuple[int, int]], fewest_train: int, fewest_test: int) -> None:
    """StageError that names the classes with too few images; counts: class -> training and test images."""
    small = {name: held for name, held in counts.items() if held[0] < fewest_train or held[1] < fewest_test}
    if small:
        listed = [f"{name!r} ({train} training, {test} test)" for name, (train, test) in list(small.items())[:SHOWN]]
        more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        raise StageError(
            f"{len(small)} of {len(counts)} classes have too few images: {', '.join(listed)}{more}; each needs at "
            f"least {fewest_train} for training and {fewest_test} for testing: add images, leave the class out, or, "
            "where the seed splits, raise prepare_images.test_fraction"
        )


Fit = Literal["pad", "resize"]


@dataclass(frozen=True)
class Frame:
    """What every image becomes: [channels, size_px, size_px]; fit: how, see `frame_image`."""

    size_px: int
    channels: int
    fit: Fit


def frame_image(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """uint8 [H, W] or [H, W, 1 or 3] as uint8 [channels, size_px, size_px].

    Grey is repeated in each channel; colour becomes grey by luminance (ITU-R 601, as Pillow computes it).  fit 'pad':
    centred on black at its own size; 'resize': padded to a black square, then scaled to fill the frame, smaller by the
    mean of the area that a pixel covers, larger bilinearly.
    Raises BadImageError if it is larger than the frame and not to be resized.
    """
    pixels = convert_channels(pixels, frame.channels)
    height, width = pixels.shape[:2]
    if frame.fit == "resize":
        return np.moveaxis(_resize(_pad(pixels, max(height, width)), frame.size_px), -1, 0)
    if max(height, width) > frame.size_px:
        raise BadImageError("wrong_size", f"it is {width} x {height} px, size_px is {frame.size_px}")
    return np.moveaxis(_pad(pixels, frame.size_px), -1, 0)


def frame_all(images: np.ndarray, frame: Frame) -> np.ndarray:
    """Images of one size, uint8 [N, H, W] or [N, H, W, 1 or 3], as uint8 [N, channels, size_px, size_px].

    Raises StageError if they are larger than the frame.
    """
    framed = np.zeros((len(images), frame.channels, frame.size_px, frame.size_px), np.uint8)
    try:
        for row, pixels in enumerate(images):
            framed[row] = frame_image(pixels, frame)
    except BadImageError as error:
        height, width = images.shape[1:3]
        raise StageError(
            f"prepare_images.size_px: got {frame.size_px}, but the images are {width} x {height} px; raise it, or set "
            "prepare_images.fit: resize"
        ) from error
    return framed


def check_shown(pixels: np.ndarray) -> None:
    """BadImageError if an image [H, W] or [H, W, C] shows nothing: no pixel, or one value everywhere."""
    if not pixels.size:
        raise BadImageError("empty", f"it is {pixels.shape[1]} x {pixels.shape[0]} px")
    if np.all(pixels == pixels[0, 0]):
        raise BadImageError("empty", "all its pixels are alike")


def convert_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [H, W] or [H, W, 1 or 3] as uint8 [H, W, channels]."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[..., None]


def _pad(pixels: np.ndarray, size_px: int) -> np.ndarray:
    height, width, channels = pixels.shape
    framed = np.zeros((size_px, size_px, channels), np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    framed[top : top + height, left : left + width] = pixels
    return framed


def _resize(square: np.ndarray, size_px: int) -> np.ndarray:
    held = square.shape[0]
    if held == size_px:
        return square
    how = Image.Resampling.BOX if held > size_px else Image.Resampling.BILINEAR
    planes = [
        np.asarray(Image.fromarray(plane).resize((size_px, size_px), how)) for plane in np.moveaxis(square, -1, 0)
    ]
    return np.stack(planes, axis=-1)
