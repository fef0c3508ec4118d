"""The forms in which a classifier can be brought, each as a PyTorch module."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from stages.bring_classifiers.black_box import BlackBox
from stages.bring_classifiers.brought_code import import_from, modules_of, tell
from stages.bring_classifiers.brought_weights import fit_weights, read_weights
from stages.bring_classifiers.http_predictor import HttpPredictor
from stages.bring_classifiers.onnx_form import convert_onnx
from stages.bring_classifiers.params import BringClassifierParams
from stages.common.errors import StageError


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
    elif entry.load is not None and not _same(network, build_network(entry, folder, key)):
        raise StageError(
            f"{key}.weights: missing, and {entry.load} draws new weights at each call; name the file of the trained "
            "ones"
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


def _onnx(file: str, _: BringClassifierParams, folder: Path, key: str) -> nn.Module:
    return convert_onnx(folder / file, key)


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


def _same(one: nn.Module, two: nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


BUILDERS: dict[str, Callable[[str, BringClassifierParams, Path, str], nn.Module]] = {
    "load": _load,
    "onnx": _onnx,
    "predict": _predict,
    "url": _url,
}
