"""Reads the InceptionV3 weights that a user names."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from failure_atlas.core.errors import StageError
from stages.qualify_generator.inception import Inception

KEY = "qualify_generator.inception_weights"


def load_inception(path: Path, device: torch.device) -> Inception:
    """Read the feature network from a weights file: safetensors, or a torch state dict (never unpickled as code).

    Entries of the classification head are ignored.  Raises StageError if the file is unreadable or lacks an entry.
    """
    entries = _read_state(path)
    network = Inception()
    wanted = network.state_dict()
    state = {name: entries[name] for name in wanted if name in entries}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise StageError(
            f"{KEY}: {path} lacks {len(missing)} of {len(wanted)} entries, such as "
            f"'{missing[0]}'; needed: the InceptionV3 state dict that FID is computed with"
        )
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            raise StageError(
                f"{KEY}: {path}: '{name}' has the shape {list(tensor.shape)}; needed: {list(wanted[name].shape)}"
            )
    network.load_state_dict(wanted | state)
    return network.to(device).eval().requires_grad_(False)


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StageError(
            f"{KEY}: {path} cannot be read ({reason}); allowed: .safetensors or a torch state dict"
        ) from error
    if not isinstance(content, dict):
        raise StageError(f"{KEY}: {path} holds a {type(content).__name__}; needed: a state dict")
    return content
