"""A brought classifier on disk: its weights, its entry of params, and the hash of every file that was brought."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from stages.bring_classifiers.adapter import Adapter
from stages.bring_classifiers.brought_folder import check_files
from stages.bring_classifiers.forms import build_network
from stages.bring_classifiers.params import BringClassifierParams
from stages.common.errors import StageError
from stages.common.weights import load_tensors, read_description, save_tensors

KIND = "brought classifier"
REFUSED = "refused classifier"


def adapt(
    network: nn.Module,
    entry: BringClassifierParams,
    image_shape: Sequence[int],
    class_names: Sequence[str],
    key: str,
) -> Adapter:
    """The network as the stages know a classifier, with the input, outputs and class order of its entry.

    Raises StageError if the class order is not one of the data's classes, or the input does not fit the images.
    """
    order = None if entry.class_order is None else [str(name) for name in entry.class_order]
    if order is not None and sorted(order) != sorted(class_names):
        raise StageError(
            f"{key}.class_order: got {', '.join(order)}; allowed: each of the data's classes once: "
            f"{', '.join(class_names)}"
        )
    options: dict[str, Any] = {"class_order": order, "outputs": entry.outputs, "name": key}
    try:
        return Adapter(network, image_shape, class_names, **entry.input.model_dump(), **options).eval()
    except StageError as error:
        raise StageError(f"{key}.{error}") from error


def save_brought(
    path: Path, classifier: Adapter, entry: BringClassifierParams, folder: Path, name: str, hashes: dict[str, str]
) -> None:
    """Write a brought classifier so that `load_brought` needs this file and the folder as it was.

    hashes: of the folder's files, from before they were read.
    """
    description = {
        "kind": KIND,
        "name": name,
        "entry": entry.model_dump(),
        # From the file: the two move together, and neither has to stand in the current folder.
        "folder": Path(os.path.relpath(folder, path.parent)).as_posix(),
        "files": hashes,
        "image_shape": list(classifier.image_shape),
        "class_names": classifier.class_names,
    }
    save_tensors(path, classifier.network.state_dict(), description)


def save_refused(path: Path, name: str, refused: str) -> None:
    """Write, in place of an entry that is not under test, what is wrong with it."""
    save_tensors(path, {}, {"kind": REFUSED, "name": name, "refused": refused})


def load_brought(path: Path, device: torch.device) -> Adapter:
    """The classifier of a file, in evaluation mode, its parameters without gradients.

    Its code is imported from the folder again, of which every file has to be the one that was brought: whoever reads
    the weights gets the classifier that was checked.
    Raises StageError if the file is damaged, a file of the folder is another one, or the code cannot be run.
    """
    description = read_description(path)
    if description.get("kind") == REFUSED:
        raise StageError(
            f"{path}: {description['refused']} (so it was when {description['name']} was not under test yet); correct "
            f"that, and bring it again with: dvc repro -f bring_classifiers@{description['name']}"
        )
    tensors, description = load_tensors(path, KIND)
    try:
        name, files, folder = description["name"], description["files"], description["folder"]
        entry = BringClassifierParams.model_validate(description["entry"])
        shape, class_names = description["image_shape"], description["class_names"]
    except (KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no classifier that this version can read ({reason}); bring it again with: dvc repro "
            "bring_classifiers"
        ) from error
    brought = Path(os.path.normpath(path.parent / folder))
    check_files(brought, files, name)
    key = f"bring_classifiers.{name}"
    network = build_network(entry, brought, key)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise StageError(
            f"{path}: its weights do not fit what {key} now makes ({str(error).splitlines()[0]}); was another version "
            f"of a package installed? bring it again with: dvc repro bring_classifiers@{name}"
        ) from error
    return adapt(network, entry, shape, class_names, key).to(device).requires_grad_(False)
