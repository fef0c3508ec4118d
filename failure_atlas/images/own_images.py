"""Images of the user's own: what each way to keep them hands on, and how it becomes a checked train and test split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress
from failure_atlas.images.frame import CHANGES, BadImageError, Frame, check_shown, frame_image, tell_changes
from failure_atlas.images.image_set import ImageSet
from failure_atlas.images.problems import Label, Problem, find_copies, with_action

MOST_CLASSES = 256
LEAST_LEVELS = 32  # of 256 grey levels: no set of pictures that can be told apart uses fewer
LONGEST_NAME = 60  # characters of a class name: more would leave no room in a figure

RESERVED = ("all", "global")  # in tables these words stand for no single class
# What readers of tables take for an empty cell.
MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
    "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


@dataclass(frozen=True)
class OwnImage:
    """One image, not yet read.  read: uint8 [H, W] or [H, W, 1 or 3]; it raises BadImageError.

    track: the same number for images of one thing, which are nearly copies; None: nothing is known of that.
    """

    label: Label
    read: Callable[[], np.ndarray]
    track: int | None = None


@dataclass(frozen=True)
class OwnImages:
    """All that a source holds.

    class_names: in the order of the labels.  from_float: they were no bytes.  warnings: what is left out.
    """

    images: Sequence[OwnImage]
    class_names: tuple[str, ...]
    from_float: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framed:
    """Images that can be used.

    images: uint8 [N, C, H, W].  labels: N.  class_names: of the labels 0, 1, ...  warnings: what is odd about all.
    tracks: N, see `OwnImage`.
    """

    images: np.ndarray
    labels: list[Label]
    class_names: tuple[str, ...]
    warnings: list[str]
    tracks: list[int | None]

    def select(self, split: str) -> ImageSet:
        """Those of one split, with the index of the class as label."""
        index = {name: number for number, name in enumerate(self.class_names)}
        rows = [row for row, label in enumerate(self.labels) if label.split == split]
        labels = np.array([index[self.labels[row].class_name] for row in rows], np.int64)
        tracks = [track for row in rows if (track := self.tracks[row]) is not None]
        return ImageSet(self.images[rows], labels, np.array(tracks, np.int64) if tracks else None)


Part = tuple[str, np.ndarray, np.ndarray, str]  # a split's name ('' for none), its images, labels, what to call them


def list_arrays(
    parts: Sequence[Part],
    class_names: Sequence[str] | None,
    where: str,
    *,
    from_float: bool = False,
    warnings: tuple[str, ...] = (),
) -> OwnImages:
    """Images that lie in arrays, uint8 [N, H, W] or [N, H, W, 1 or 3], with integers as labels.

    class_names: as in `name_classes`, and where: what holds the arrays.
    """
    values = np.unique(np.concatenate([labels for _, _, labels, _ in parts]))
    names = name_classes(values.tolist(), class_names, where)
    found = [
        OwnImage(Label(split, f"{name}[{row}]", names[label]), partial(images.__getitem__, row))
        for split, images, labels, name in parts
        for row, label in enumerate(labels.tolist())
    ]
    return OwnImages(found, tuple(names.values()), from_float, warnings)


def choose_names(names: Sequence[str], wanted: Sequence[str] | None, key: str = "prepare_images.classes") -> list[str]:
    """Those class names that are wanted, None: all, in the order of `names`; StageError for one that is not there.

    key: where they are wanted.
    """
    for name in wanted or ():
        if name not in names:
            raise StageError(f"{key}: got {name!r}; allowed: {', '.join(names)}")
    return [name for name in names if wanted is None or name in wanted]


def choose_classes(own: OwnImages, wanted: Sequence[str] | None) -> OwnImages:
    """The images of some classes, None: all; what lies in no class stays.  StageError if there is no such class."""
    names = choose_names(own.class_names, wanted)
    kept = {"", *names}
    images = [image for image in own.images if image.label.class_name in kept]
    return replace(own, images=images, class_names=tuple(names))


def frame_own(own: OwnImages, frame: Frame, *, whole: bool = False) -> tuple[Framed, list[Problem], dict[str, int]]:
    """Read, convert and frame every image; find copies.

    whole: copies and images that show nothing are kept, as others published them; copies are listed all the same.
    Returns the images without problems, the problems, and how many of the readable images were changed in which way.
    """
    images = np.zeros((len(own.images), frame.channels, frame.size_px, frame.size_px), np.uint8)
    labels: list[Label] = []
    tracks: list[int | None] = []
    bad: list[Problem] = []
    changes = dict.fromkeys(CHANGES, 0)
    ends: list[tuple[int, int]] = []
    with Progress("reading images", len(own.images), "img") as progress:
        for image in own.images:
            try:
                pixels = image.read()
                ends += [(int(pixels.min()), int(pixels.max()))] if pixels.size else []
                if not whole:
                    check_shown(pixels)
                images[len(labels)] = frame_image(pixels, frame)
            except BadImageError as error:
                bad.append(Problem(image.label, error.kind, str(error)))
            else:
                labels.append(image.label)
                tracks.append(image.track)
                for change in tell_changes(pixels.shape, frame):
                    changes[change] += 1
            progress.advance()
    images = images[: len(labels)]
    copies = find_copies(images, labels)
    warnings = [*own.warnings, *check_range(np.array(ends, np.uint8).reshape(-1, 2))]
    if whole:
        kept = with_action(list(copies.values()), "kept")
        return Framed(images, labels, own.class_names, warnings, tracks), [*bad, *kept], changes
    good = [row for row in range(len(labels)) if row not in copies]
    framed = Framed(
        images[good], [labels[row] for row in good], own.class_names, warnings, [tracks[row] for row in good]
    )
    return framed, [*bad, *copies.values()], changes


def check_range(ends: np.ndarray) -> list[str]:
    """A warning where nine in ten images lie within an eighth of the grey levels.

    ends: uint8 [N, 2], the lowest and the highest value of each image.
    """
    if not len(ends):
        return []
    low, high = int(np.quantile(ends[:, 0], 0.1)), int(np.quantile(ends[:, 1], 0.9))
    if high - low >= LEAST_LEVELS:
        return []
    warning = (
        f"the images use the grey levels {low} to {high} of 0 to 255, so that they are nearly one grey to every "
        "network; write them with values over the whole range (12-bit values in a 16-bit file: times 16; numbers from "
        "0 to 1: times 255 before they become bytes)"
    )
    return [warning]


def check_class_names(names: Sequence[str], where: str) -> None:
    """StageError if names are not 2 to 256 different ones that can be shown; where: what holds them."""
    if not 2 <= len(names) <= MOST_CLASSES:
        held = f"{len(names)} ({', '.join(names[:3])})" if names else "none"
        raise StageError(f"{where}: number of classes is {held}; allowed: 2 to {MOST_CLASSES}")
    for name in names:
        if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise StageError(
                f"{where}: class name {name[:80]!r}; allowed: 1 to {LONGEST_NAME} printable characters, no space at "
                "either end; rename the class"
            )
        if name in RESERVED or name in MISSING:
            why = (
                "stands for no single class in tables" if name in RESERVED else "is read from a table as an empty cell"
            )
            raise StageError(f"{where}: class name {name!r} {why}; rename the class, for instance to 'class {name}'")
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise StageError(f"{where}: class name {twice!r} occurs twice; give each class a name of its own")


def name_classes(values: Sequence[int], wanted: Sequence[str] | None, where: str) -> dict[int, str]:
    """The name of each label value, by value in rising order.

    values: the values that occur.  wanted: names of the labels 0, 1, ...; None: a class is called as its value.
    Raises StageError if the names do not fit the values.
    """
    if wanted is None:
        names = {value: str(value) for value in sorted(values)}
        if min(names, default=0) < 0:
            raise StageError(
                f"{where}: label {min(names)} is negative, which often marks images without a class; allowed: 0 and "
                "above: leave those images out, or count from 0"
            )
    else:
        strange = [value for value in sorted(values) if not 0 <= value < len(wanted)]
        if strange:
            raise StageError(
                f"{where}: label {strange[0]} has no name: {len(wanted)} class names go with the labels 0 to "
                f"{len(wanted) - 1}; correct the labels or prepare_images.class_names"
            )
        names = dict(enumerate(wanted))
    check_class_names(list(names.values()), where)
    return names
