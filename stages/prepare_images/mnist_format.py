"""Four IDX files of the user's own, in the form that MNIST made common."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from stages.common.errors import StageError
from stages.prepare_images.idx import parse_idx, unpack
from stages.prepare_images.own_images import OwnImage, OwnImages, name_classes
from stages.prepare_images.problems import Label

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
