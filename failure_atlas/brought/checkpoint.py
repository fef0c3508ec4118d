"""A brought classifier: made of an entry of params and its folder, kept on disk, and loaded again as it was checked."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from failure_atlas.brought.adapter import Adapter
from failure_atlas.brought.black_box import BlackBox
from failure_atlas.brought.code import import_from, modules_of, tell
from failure_atlas.brought.folder import check_files, fit_weights, read_weights
from failure_atlas.brought.http_predictor import HttpPredictor
from failure_atlas.brought.onnx_form import convert_onnx
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.networks import load_classifier as load_trained
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, read_description, save_tensors


def build_network(entry: BringClassifierParams, folder: Path, key: str) -> nn.Module:
    """The network of an entry in evaluation mode, as its code leaves it: `weights` are not read yet.

    folder: what was brought.  key: the entry's place in params.
    Raises StageError that names the key, what it held and what is allowed.
    """
    network = BUILDERS[entry.form](getattr(entry, entry.form), entry, folder, f"{key}.{entry.form}")
    return network.float().eval()


def read_network(entry: BringClassifierParams, folder: Path, key: str) -> nn.Module:
    """The network of an entry with its weights.

    Raises StageError as `build_network`, if the weights are unusable or do not fit, or if there are none and the code
    draws new ones each time.
    """
    network = build_network(entry, folder, key)
    if entry.weights is not None:
        path = folder / entry.weights
        fit_weights(network, read_weights(path, f"{key}.weights"), path, f"{key}.weights")
    elif entry.load is not None:
        again = build_network(entry, folder, key).state_dict()
        if not all(torch.equal(tensor, again[name]) for name, tensor in network.state_dict().items()):
            raise StageError(
                f"{key}.weights: missing, and {entry.load} draws new weights at each call; name the file of the "
                "trained ones"
            )
    return network


def _load(place: str, entry: BringClassifierParams, folder: Path, key: str) -> nn.Module:
    with modules_of(folder):
        make = import_from(folder, place, key)
        if isinstance(make, nn.Module) or not callable(make):
            raise StageError(
                f"{key}: {place} is a {type(make).__name__}; name a class or function that makes the network"
            )
        try:
            network = make(**entry.arguments)
        except Exception as error:
            raise StageError(
                f"{key}: {place} fails when it is called with arguments {entry.arguments} ({tell(error)}); "
                "correct its code or the key arguments"
            ) from error
    if not isinstance(network, nn.Module):
        raise StageError(f"{key}: {place} returns a {type(network).__name__}; it has to return a torch.nn.Module")
    return network


def _predict(place: str, _: BringClassifierParams, folder: Path, key: str) -> nn.Module:
    with modules_of(folder):
        predict = import_from(folder, place, key)
    if isinstance(predict, nn.Module):
        raise StageError(f"{key}: {place} is a torch.nn.Module; bring it with load, which keeps its gradients")
    if isinstance(predict, type) or not callable(predict):
        raise StageError(f"{key}: {place} is a {type(predict).__name__}; name a function of a NumPy array [N, C, H, W]")
    return BlackBox(predict, key)


def _url(url: str, entry: BringClassifierParams, _: Path, key: str) -> nn.Module:
    predictor = HttpPredictor(url, timeout_seconds=entry.timeout_seconds, batch_size=entry.images_per_request)
    return BlackBox(predictor, key)


BUILDERS: dict[str, Callable[[str, BringClassifierParams, Path, str], nn.Module]] = {
    "load": _load,
    "onnx": lambda file, _, folder, key: convert_onnx(folder / file, key),
    "predict": _predict,
    "url": _url,
}


KIND = "brought classifier"
REFUSED = "refused classifier"


def adapt(
    network: nn.Module, entry: BringClassifierParams, image_shape: Sequence[int], class_names: Sequence[str], key: str,
    **changed: Any,
) -> Adapter:  # fmt: skip
    """The network as the stages know a classifier, with the input, outputs and class order of its entry.

    changed: of the input, what is another than the entry says.
    Raises StageError if the class order is not one of the data's classes, or the input does not fit the images.
    """
    order = None if entry.class_order is None else [str(name) for name in entry.class_order]
    if order is not None and sorted(order) != sorted(class_names):
        raise StageError(
            f"{key}.class_order: got {', '.join(order)}; allowed: each of the data's classes once: "
            f"{', '.join(class_names)}"
        )
    shown, options = entry.input.model_copy(update=changed), {"outputs": entry.outputs, "name": key}
    try:
        return Adapter(network, image_shape, class_names, shown, class_order=order, **options).eval()
    except StageError as error:
        raise StageError(f"{key}.{error}") from error


def save_brought(
    path: Path, classifier: Adapter, entry: BringClassifierParams, folder: Path, name: str, hashes: dict[str, str]
) -> None:
    """Write a brought classifier so that `load_brought` needs this file and the folder as it was.

    hashes: of the folder's files, from before they were read.
    """
    shown = {"image_shape": list(classifier.image_shape), "class_names": classifier.class_names}
    description = {"kind": KIND} | describe_code(path, entry, folder, name, hashes) | shown
    save_tensors(path, classifier.network.state_dict(), description)


def describe_code(
    path: Path, entry: BringClassifierParams, folder: Path, name: str, hashes: dict[str, str]
) -> dict[str, Any]:
    """What a file at this path says of the code that makes its network, see `restore_network`."""
    # From the file: the two move together, and neither has to stand in the current folder.
    place = Path(os.path.relpath(folder, path.parent)).as_posix()
    return {"name": name, "entry": entry.model_dump(), "folder": place, "files": hashes}


def restore_network(
    path: Path, kind: str, room: str, needed: Sequence[str]
) -> tuple[nn.Module, BringClassifierParams, dict[str, Any]]:
    """The network of a file with its weights, the entry that it was made of, and what else the file says.

    Its code is imported from the folder again, of which every file has to be the one that was brought.
    kind: "brought classifier", or what else it has to be.  room: the stage that brought it.  needed: what the file has
    to say.  Raises StageError as `load_brought`.
    """
    tensors, description = load_tensors(path, kind)
    try:
        name, files, folder, *_ = (description[key] for key in ("name", "files", "folder", *needed))
        entry = BringClassifierParams.model_validate(description["entry"])
    except (KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no {kind} that this version can read ({reason}); bring it again with: dvc repro {room}"
        ) from error
    brought = Path(os.path.normpath(path.parent / folder))
    check_files(brought, files, f"{room}@{name}")
    network = build_network(entry, brought, f"{room}.{name}")
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise StageError(
            f"{path}: its weights do not fit what {room}.{name} now makes ({str(error).splitlines()[0]}); was another "
            f"version of a package installed? bring it again with: dvc repro {room}@{name}"
        ) from error
    return network, entry, description


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
    network, entry, description = restore_network(path, KIND, "bring_classifiers", ("image_shape", "class_names"))
    told = description["image_shape"], description["class_names"], f"bring_classifiers.{description['name']}"
    return adapt(network, entry, *told).to(device).requires_grad_(False)


def load_classifier(path: Path, device: torch.device) -> nn.Module:
    """The classifier of a file of train_classifiers or bring_classifiers, in evaluation mode, without gradients.

    It maps images [N, C, H, W], float32 in [0, 1] as the data has them, to logits [N, classes] in the order of the
    data's classes. `failure_atlas.classifiers.networks.is_differentiable` says whether gradients go through it.
    Raises StageError if the file is missing, damaged or of another kind, or if what was brought has changed since.
    """
    brought = read_description(path).get("kind") in (KIND, REFUSED)
    return load_brought(path, device) if brought else load_trained(path, device)
