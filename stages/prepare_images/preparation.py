"""A data set, read, checked, split and framed: a published one, or images of the user's own."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.frame import Frame
from failure_atlas.images.gtsrb import SIGNS_VARIABLE, fetch_gtsrb, read_gtsrb
from failure_atlas.images.idx import read_mnist_format
from failure_atlas.images.image_folder import read_image_folder
from failure_atlas.images.image_set import ImageSet
from failure_atlas.images.npz import read_npz
from failure_atlas.images.own_images import OwnImages, check_class_names, choose_classes, frame_own, list_arrays
from failure_atlas.images.problems import (
    Problem,
    check_class_sizes,
    refuse_problems,
    tabulate_problems,
    with_action,
)
from failure_atlas.images.sources import (
    DIGITS,
    FOLDER_VARIABLE,
    IDX_SOURCES,
    drop_mnist_5k,
    fetch_idx,
    find_package,
    load_idx,
    load_mnist_5k,
    split_by_class,
)
from stages.common.image_params import PUBLISHED, PrepareImagesParams

READERS: dict[str, Callable[[Path, Sequence[str] | None], OwnImages]] = {
    "npz": read_npz,
    "mnist-format": read_mnist_format,
    "image-folder": lambda folder, _: read_image_folder(folder),
}
FEWEST_TRAIN, FEWEST_TEST = 10, 2  # images of a class: below, nothing can be learnt, or not even halved for a check


@dataclass(frozen=True)
class Prepared:
    """Both splits, framed; what was found wrong; how many images were changed in which way; what may not be meant."""

    train: ImageSet
    test: ImageSet
    class_names: tuple[str, ...]
    problems: list[Problem]
    changes: dict[str, int]
    from_float: bool = False
    warnings: Sequence[str] = ()


def prepare(section: PrepareImagesParams, frame: Frame, downloads: Path, folder: Path, table: Path) -> Prepared:
    """Read, frame and split what the source holds; `table` lists what is wrong with single images.

    A published set stays whole: copies in it are listed and kept.  Of the user's own images in `folder` problems stop
    the run or are dropped.  downloads: see `read_published`.
    Raises StageError if the source, its classes or, unless they are to be dropped, single images cannot be used.
    """
    published = section.source in PUBLISHED
    own = read_published(section, downloads) if published else read_own(section, folder)
    own, where = choose_classes(own, section.classes), Path(section.source) if published else folder
    framed, found, changes = frame_own(own, frame, whole=published)
    for warning in framed.warnings:
        logging.warning("warning: %s: %s", where, warning)
    faults = [problem for problem in found if problem.action == "dropped"]
    stopped = with_action(faults, "stopped") if section.on_problem == "stop" else []
    problems = [*(stopped or faults), *(problem for problem in found if problem.action == "kept")]
    write_csv(table, tabulate_problems(problems))
    refuse_problems(stopped, len(own.images), where, table)
    if any(label.split for label in framed.labels):
        train, test = framed.select("train"), framed.select("test")
    else:
        stream = numpy_stream(section.seed, "prepare_images", "split")
        train, test = split_by_class(framed.select(""), section.test_fraction, stream)
    if not published:
        counts = [count_by_class(part, own.class_names) for part in (train, test)]
        sizes = {name: (counts[0][name], counts[1][name]) for name in own.class_names}
        check_class_sizes(sizes, FEWEST_TRAIN, FEWEST_TEST)
    return Prepared(train, test, own.class_names, problems, changes, own.from_float, framed.warnings)


def read_published(section: PrepareImagesParams, downloads: Path) -> OwnImages:
    """A data set that others made and checked, with its split.

    downloads: folder of what was fetched, where the environment variables MNIST_DIR and GTSRB_DIR name none.
    """
    named = os.environ.get(SIGNS_VARIABLE if section.source == "gtsrb" else FOLDER_VARIABLE, "").strip()
    if section.source == "gtsrb":
        return read_gtsrb(Path(named) if named else fetch_gtsrb(downloads))
    if section.source == "mnist-5k":
        train, test = load_mnist_5k(section.seed, section.test_fraction)
        class_names = DIGITS
    else:
        source = IDX_SOURCES[section.source]
        class_names = source.class_names
        held = Path(named) if named else find_package(source) or fetch_idx(source, downloads)
        train, test = load_idx(source, held)
        train = drop_mnist_5k(train) if section.leave_out_mnist_5k else train
    parts = [(split, part.images, part.labels, f"{split}_images") for split, part in (("train", train), ("test", test))]
    return list_arrays(parts, class_names, section.source)


def read_own(section: PrepareImagesParams, folder: Path) -> OwnImages:
    """Images of the user's own; StageError if the folder or its classes cannot be used."""
    if not folder.is_dir():
        raise StageError(f"{folder}: no such folder; prepare_images.source {section.source} reads your images from it")
    if section.class_names is not None:
        check_class_names(section.class_names, "prepare_images.class_names")
    return READERS[section.source](folder, section.class_names)


def count_by_class(part: ImageSet, class_names: tuple[str, ...]) -> dict[str, int]:
    """How many images of each class there are."""
    return dict(zip(class_names, np.bincount(part.labels, minlength=len(class_names)).tolist(), strict=True))
