"""Files of generators as the published programs write them, made from tensors by name.

published_16px.safetensors holds, for each of the two programs, the tensors of a network of 16 px with random weights
(ada: conditional, grey; rosinality: unconditional, colour, with narrow layers), and what that program's own code makes
of them on a CPU: z, w, image with the constant noise, and for ada image_t, truncated by 0.7.
"""

import argparse
import math
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

Tensors = dict[str, torch.Tensor]
HELD = load_file(Path(__file__).with_name("published_16px.safetensors"))


def published(program: str) -> tuple[Tensors, Tensors]:
    """Tensors of a network by the names of its file, and what the program makes of them."""
    network = {n.removeprefix(f"{program}."): held for n, held in HELD.items() if n.startswith(f"{program}.")}
    return network, {n.removeprefix(f"{program}:"): held for n, held in HELD.items() if n.startswith(f"{program}:")}


def random_tensors(
    size_px: int, channels: int, *, classes: int, colours: int = 3, dim: int = 8, layers: int = 2
) -> Tensors:
    """A network of random weights by the names of StyleGAN2-ADA (PyTorch)."""
    stream = torch.Generator().manual_seed(size_px + classes)
    sizes = [4 * 2**level for level in range(int(math.log2(size_px)) - 1)]
    shapes: dict[str, tuple[int, ...]] = {"mapping.w_avg": (dim,), "synthesis.b4.const": (channels, 4, 4)}
    if classes:
        shapes |= {"mapping.embed.weight": (dim, classes), "mapping.embed.bias": (dim,)}
    for place in range(layers):
        inputs = dim * 2 if classes and place == 0 else dim
        shapes |= {f"mapping.fc{place}.weight": (dim, inputs), f"mapping.fc{place}.bias": (dim,)}
    for size in sizes:
        for name in ("conv0", "conv1", "torgb")[size == 4 :]:
            at, kernel, outputs = f"synthesis.b{size}.{name}", *((1, colours) if name == "torgb" else (3, channels))
            shapes |= {f"{at}.affine.weight": (channels, dim), f"{at}.affine.bias": (channels,)}
            shapes |= {f"{at}.weight": (outputs, channels, kernel, kernel), f"{at}.bias": (outputs,)}
            if kernel == 3:
                shapes |= {f"{at}.noise_const": (size, size), f"{at}.noise_strength": ()}
    tensors = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    for name, held in tensors.items():  # few pixels are saturated, and noise does not drown the rest
        held *= 0.1 if "noise_strength" in name else 0.3 if "torgb" in name and "affine" not in name else 1.0
        held *= 100 if "mapping.fc" in name else 1.0  # as at the start of a training, for the gain is 0.01
    if classes:
        tensors["mapping.fc0.weight"][:, dim:] *= 4  # the class shows more than the sample
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    filters = [f"synthesis.b{size}.{name}" for size in sizes for name in ("conv0", "conv1")[size == 4 :]]
    return tensors | {f"{name}.resample_filter": taps[:, None] * taps for name in filters}


def build_ada(
    tensors: Tensors, clamp: float | None = None, changed: Mapping[str, Mapping[str, Any]] | None = None
) -> Any:
    """The dict of a network-snapshot-*.pkl; changed: what modules, by name, hold otherwise."""
    modules: dict[str, dict[str, Any]] = {}

    def module(name: str) -> dict[str, Any]:
        if name not in modules:
            empty: dict[str, Any] = {kind: OrderedDict() for kind in ("_parameters", "_buffers", "_modules")}
            modules[name] = empty | {"training": False, "_non_persistent_buffers_set": set()}
            if name:
                outer, _, own = name.rpartition(".")
                module(outer)["_modules"][own] = Persistent("Layer", modules[name])
        return modules[name]

    for name, tensor in tensors.items():
        place, _, own = name.rpartition(".")
        kind = "_buffers" if own in ("noise_const", "resample_filter", "w_avg") else "_parameters"
        module(place)[kind][own] = torch.nn.Parameter(tensor) if kind == "_parameters" else tensor
    for name, held in modules.items():
        own = name.rpartition(".")[2]
        rate = 0.01 if own.startswith("fc") else 1.0
        if own.startswith("fc") or own in ("affine", "embed"):
            held["activation"] = "lrelu" if own.startswith("fc") else "linear"
            held |= {"weight_gain": rate / np.sqrt(held["_parameters"]["weight"].shape[1]), "bias_gain": rate}
        elif own in ("conv0", "conv1"):
            held |= {"activation": "lrelu", "conv_clamp": clamp}
        elif own == "torgb":
            held["conv_clamp"] = clamp
        elif own.startswith("b"):
            held["architecture"] = "skip"
        held |= (changed or {}).get(name, {})
    module("")["z_dim"] = tensors["mapping.fc0.weight"].shape[1] - len(tensors.get("mapping.embed.bias", []))
    network = Persistent("Generator", modules[""])
    return {"G": None, "D": network, "G_ema": network, "training_set_kwargs": EasyDict(path="images.zip")}


class EasyDict(dict[str, Any]):
    """As dnnlib has it."""


class Persistent:
    """A module whose pickle carries the source code of its class."""

    def __init__(self, class_name: str, state: Any) -> None:
        self.class_name, self.state = class_name, state

    def __reduce__(self) -> tuple[Any, ...]:
        source = "raise SystemExit('the source code that the file carries was run')"
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": self.class_name, "state": self.state}
        return rebuild, (EasyDict(meta),)


def rebuild(meta: Any) -> Any:
    raise AssertionError("the name that the file gives was called")


@contextmanager
def names(given: Mapping[str, Any]) -> Iterator[None]:
    """Inside the block pickle finds objects of this module under the names, "module:name", that the programs use."""
    inner = {name.partition(":")[0] for name in given}
    before = {module: sys.modules.get(module) for module in inner | {name.split(".")[0] for name in inner}}
    sys.modules.update({module: ModuleType(module) for module in before})
    own = {held: (held.__module__, held.__qualname__) for held in given.values()}
    try:
        for name, held in given.items():
            module, _, held.__qualname__ = name.partition(":")
            held.__module__ = module
            setattr(sys.modules[module], held.__qualname__, held)
        yield
    finally:
        for held, (module, name) in own.items():
            held.__module__, held.__qualname__ = module, name
        for module, kept in before.items():
            sys.modules.pop(module)
            if kept is not None:
                sys.modules[module] = kept


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    """A pickle with the published programs' names."""
    given: dict[str, Callable[..., Any]] = {
        "torch_utils.persistence:_reconstruct_persistent_obj": rebuild,
        "dnnlib.util:EasyDict": EasyDict,
    }
    with names(given):
        path.write_bytes(pickle.dumps(content, protocol))
    return path


def write_rosinality(path: Path, tensors: Tensors, **more: Any) -> Path:
    """A checkpoint of a training with that program, whose options stand beside the networks."""
    torch.save({"g": tensors, "g_ema": tensors, "args": argparse.Namespace(size=16, ckpt=None), **more}, path)
    return path
