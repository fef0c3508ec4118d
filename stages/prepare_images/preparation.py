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
from failure_atlas.images.frame import CHANGES, Frame, frame_all, tell_changes
from failure_atlas.images.idx import read_mnist_format
from failure_atlas.images.image_folder import read_image_folder
from failure_atlas.images.image_set import ImageSet
from failure_atlas.images.npz import read_npz
from failure_atlas.images.own_images import OwnImages, check_class_names, frame_own
from failure_atlas.images.problems import (
    Label,
    Problem,
    check_class_sizes,
    find_copies,
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
from stages.common.image_params import PrepareImagesParams

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


def prepare_published(section: PrepareImagesParams, frame: Frame, downloads: Path) -> Prepared:
    """A data set that others made and checked: it stays whole; what is listed is kept.

    downloads: folder of what was fetched, where the environment variable MNIST_DIR names none.
    """
    if section.source == "mnist-5k":
        train, test = load_mnist_5k(section.seed, section.test_fraction)
        class_names = DIGITS
    else:
        source = IDX_SOURCES[section.source]
        class_names, named = source.class_names, os.environ.get(FOLDER_VARIABLE, "").strip()
        held = Path(named) if named else find_package(source) or fetch_idx(source, downloads)
        train, test = load_idx(source, held)
        train = drop_mnist_5k(train) if section.leave_out_mnist_5k else train
    changed = tell_changes(train.images.shape[1:], frame)
    changes = {change: (len(train.labels) + len(test.labels)) * (change in changed) for change in CHANGES}
    train, test = (ImageSet(frame_all(part.images, frame), part.labels) for part in (train, test))
    labels = [
        Label(split, f"{split}_images[{row}]", class_names[label])
        for split, part in (("train", train), ("test", test))
        for row, label in enumerate(part.labels.tolist())
    ]
    copies = find_copies(np.concatenate([train.images, test.images]), labels)
    return Prepared(train, test, class_names, with_action(list(copies.values()), "kept"), changes)


def prepare_own(section: PrepareImagesParams, frame: Frame, folder: Path, table: Path) -> Prepared:
    """Images of the user's own: what is wrong with them stops the run or is dropped; `table` lists it either way.

    Raises StageError if the folder, its classes or, unless they are to be dropped, single images cannot be used.
    """
    if not folder.is_dir():
        raise StageError(f"{folder}: no such folder; prepare_images.source {section.source} reads your images from it")
    if section.class_names is not None:
        check_class_names(section.class_names, "prepare_images.class_names")
    own = READERS[section.source](folder, section.class_names)
    framed, problems, changes = frame_own(own, frame)
    for warning in framed.warnings:
        logging.warning("warning: %s: %s", folder, warning)
    stop = section.on_problem == "stop"
    write_csv(table, tabulate_problems(with_action(problems, "stopped") if stop else problems))
    if stop:
        refuse_problems(problems, len(own.images), folder, table)
    if any(label.split for label in framed.labels):
        train, test = framed.select("train"), framed.select("test")
    else:
        stream = numpy_stream(section.seed, "prepare_images", "split")
        train, test = split_by_class(framed.select(""), section.test_fraction, stream)
    counts = [count_by_class(part, own.class_names) for part in (train, test)]
    check_class_sizes({name: (counts[0][name], counts[1][name]) for name in own.class_names}, FEWEST_TRAIN, FEWEST_TEST)
    return Prepared(train, test, own.class_names, problems, changes, own.from_float, framed.warnings)


def count_by_class(part: ImageSet, class_names: tuple[str, ...]) -> dict[str, int]:
    """How many images of each class there are."""
    return dict(zip(class_names, np.bincount(part.labels, minlength=len(class_names)).tolist(), strict=True))
