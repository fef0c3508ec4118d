"""Weights that a person brings: read without unpickling anything, and fitted to the network."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from stages.bring_classifiers.brought_folder import require_file
from stages.common.errors import StageError

SAFE_WAY = "save it with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') and name that file"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which training scripts keep it beside the optimiser's
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before each name
SHOWN = 3  # names in a message


def read_weights(path: Path, key: str) -> dict[str, torch.Tensor]:
    """The state dict of a safetensors file, or of one that torch.save wrote; key: where the params name it.

    Raises StageError if the file is missing or cut, needs unpickling, or holds no state dict.
    """
    require_file(path, key)
    if path.suffix == ".safetensors":
        try:
            return load_file(path, device="cpu")
        except SafetensorError as error:
            raise StageError(f"{key}: {path} is cut or no safetensors file ({error}); {SAFE_WAY}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise StageError(
            f"{key}: {path} holds more than tensors, or is no file of torch.save: it would have to be unpickled, which "
            f"may run any code; {SAFE_WAY}"
        ) from error
    return _state_dict_of(content, path, key)


def fit_weights(network: nn.Module, weights: dict[str, torch.Tensor], path: Path, key: str) -> None:
    """Load a state dict into a network, all of it and nothing else.

    Raises StageError that names the missing, the unexpected and the misshapen entries.
    """
    expected = network.state_dict()
    lists = {
        "missing": [name for name in expected if name not in weights],
        "unexpected": [name for name in weights if name not in expected],
        "of another shape": [
            f"{name} {list(weights[name].shape)} for {list(expected[name].shape)}"
            for name in expected
            if name in weights and weights[name].shape != expected[name].shape
        ],
    }
    faults = [f"{len(names)} {what} ({_some(names)})" for what, names in lists.items() if names]
    if faults:
        raise StageError(
            f"{key}: {path} does not fit the network: {'; '.join(faults)}; use the code and the arguments with which "
            "these weights were trained"
        )
    network.load_state_dict(weights)


def check_numbers(network: nn.Module, key: str) -> None:
    """Raise StageError if a weight is not finite, or something in the state is no tensor."""
    for name, tensor in network.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            raise StageError(f"{key}: {name} of its state dict is a {type(tensor).__name__}, which cannot be kept")
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        # A mask may hold infinity; no number in use is NaN.
        bad = tensor.isnan() if name in dict(network.named_buffers()) else ~tensor.isfinite()
        if tensor.is_floating_point() and bool(bad.any()):
            raise StageError(
                f"{key}: {int(bad.sum())} of the {tensor.numel()} numbers of {name} are not finite (NaN or infinite); "
                "training diverged or the file is damaged: bring an earlier checkpoint"
            )


def _state_dict_of(content: Any, path: Path, key: str) -> dict[str, torch.Tensor]:
    held = content
    if isinstance(content, dict):
        held = next((content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), content)
    if not isinstance(held, dict) or not held or not all(isinstance(each, torch.Tensor) for each in held.values()):
        what = f"a dict of {_some([str(name) for name in content])}" if isinstance(content, dict) else type(content)
        raise StageError(f"{key}: {path} holds {what}, needed: a state dict; {SAFE_WAY}")
    for prefix in PREFIXES:
        nn.modules.utils.consume_prefix_in_state_dict_if_present(held, prefix)
    return dict(held)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
