"""The folder that a person brings, pinned file by file, and the weights in it, read without unpickling anything."""

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import hash_file, is_file


def check_brought(entry: BringClassifierParams, folder: Path, key: str) -> None:
    """Raise StageError if the folder, or a file or module that an entry names, is not there.

    Nothing is read or imported, so that it costs nothing to ask before any work.  key: the entry's place in params.
    """
    place = entry.load or entry.predict
    top = None if place is None else place.partition(":")[0].split(".")[0]
    elsewhere = entry.url is not None or (top is not None and find_spec(top) is not None)
    _list_files(folder, elsewhere=elsewhere and entry.weights is None)
    for name in ("weights", "onnx"):
        file = getattr(entry, name)
        if file is not None:
            require_file(folder / file, f"{key}.{name}")
    if place is not None and top not in modules_in(folder) and not elsewhere:
        raise StageError(tell_missing_module(place, folder, f"{key}.{entry.form}"))


def require_file(path: Path, key: str) -> None:
    """Raise StageError if a file of the folder is missing; key: where the params name it."""
    if not is_file(path):
        others = ", ".join(sorted(file.name for file in path.parent.glob("*") if file.is_file())) or "none"
        raise StageError(f"{key}: no file {path}; files there: {others}{_tell_pointer(path)}")


def modules_in(folder: Path) -> set[str]:
    """Names of the modules and packages that stand directly in a folder."""
    return {path.stem for path in folder.glob("*.py")} | {
        path.name for path in folder.iterdir() if path.is_dir() and path.name.isidentifier() and any(path.rglob("*.py"))
    }


def tell_missing_module(place: str, folder: Path, key: str) -> str:
    """That the module of "module:name" is neither in the folder nor installed."""
    here = ", ".join(sorted(modules_in(folder))) or "none"
    return (
        f"{key}: got '{place}'; {folder} holds no module {place.partition(':')[0]}, and none is installed; modules "
        f"there: {here}"
    )


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path within it.

    What Python leaves there when it imports is left out, as DVC leaves it out (.dvcignore).
    Raises StageError if the folder is missing or empty, or holds a link to a folder, whose files would not be pinned.
    """
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in _list_files(folder)}


def check_files(folder: Path, expected: dict[str, str], stage: str) -> None:
    """Raise StageError with the expected and the found hash if a file is not the one that `stage` brought."""
    found = hash_files(folder)
    for file in sorted({*expected, *found}):
        before, now = expected.get(file), found.get(file)
        if before != now:
            told = [f"SHA-256 {each}" if each else "no such file" for each in (before, now)]
            raise StageError(
                f"{folder / file}: expected {told[0]}, found {told[1]}; restore the folder, or bring it "
                f"again with: dvc repro {stage}"
            )


def check_unwritten(folder: Path, hashes: dict[str, str]) -> None:
    """Raise StageError if brought code has written into its folder: each later stage would find another network."""
    changed = sorted({name for name, _ in hashes.items() ^ hash_files(folder).items()})
    if changed:
        raise StageError(f"{folder / changed[0]}: written by its own code; let it write elsewhere")


def _list_files(folder: Path, *, elsewhere: bool = False) -> list[Path]:
    """The files of a folder; elsewhere: what is brought is itself a server or an installed package."""
    inside = sorted(folder.rglob("*"))
    for path in inside:
        if path.is_symlink() and path.is_dir():
            raise StageError(
                f"{path}: is a link to the folder {path.readlink()}; DVC does not look into it, so that a change there "
                f"would go unnoticed; copy the folder to that place, or link its files one by one"
            )
    files = [path for path in inside if path.is_file() and path.suffix != ".pyc"]
    if files:
        return files
    held = "holds no file" if folder.is_dir() else "no such folder"
    advice = "put its files there"
    if elsewhere:
        advice = (
            "nothing else tells DVC when the classifier changes; name it and its version in a file there: "
            f"mkdir -p {folder} && echo 'NAME VERSION' > {folder}/version.txt"
        )
    raise StageError(f"{folder}: {held}; {advice}, or remove its entry from params{_tell_pointer(folder)}")


def _tell_pointer(path: Path) -> str:
    """What brings a file or folder that is kept by DVC."""
    pointer = path.with_name(f"{path.name}.dvc")
    return f"; fetch it with: dvc pull {pointer}" if pointer.is_file() else ""


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
