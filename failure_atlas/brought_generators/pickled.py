"""What a pickle of StyleGAN2-ADA (PyTorch) holds, as plain data: nothing that the file names is imported or called.

The published loader runs source code that the file carries. Here the names that such a file needs stand for inert data,
and every other name is refused. This is the only place in the project that reads a pickle's form.
"""

import io
import mmap
import pickle
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from failure_atlas.core.errors import StageError

MOST_BYTES = 4 * 2**30  # the largest published file, of 1024 px, has 0.4
MOST_OPERATIONS = 500_000  # the same file has fewer than 50,000
DEEPEST = 8  # modules inside modules; G_ema.synthesis.b4.conv1.affine is the fourth
# What pickles of protocol 3 and later are made of. No object but of a name (GLOBAL), and none from outside the stream.
OPERATIONS = """
PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2
TUPLE3 EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL
REDUCE NEWOBJ BUILD
"""
KNOWN = frozenset(OPERATIONS.split())
NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))  # NumPy's, of one number


class RefusedError(Exception):
    """What a file holds beyond tensors and plain containers, in words."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still in bytes: those of the D network are never read."""

    storage: bytes
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> torch.Tensor:
        """The tensor, contiguous; RefusedError if it is not what its bytes can hold."""
        if self.storage[:2] == b"PK":
            raise RefusedError("a tensor in a compressed archive")
        try:
            held = torch.load(io.BytesIO(self.storage), map_location="cpu", weights_only=True)
            flat = torch.empty(0, dtype=held.dtype).set_(held)
        except Exception as error:
            raise RefusedError(f"a tensor that cannot be read ({str(error).splitlines()[0]})") from error
        numbers = (self.offset, *self.size, *self.stride)
        if len(self.size) != len(self.stride) or not all(type(each) is int and each >= 0 for each in numbers):
            raise RefusedError(f"a tensor of size {self.size} and stride {self.stride}")
        last = self.offset + sum((count - 1) * step for count, step in zip(self.size, self.stride, strict=True))
        if 0 not in self.size and (last >= len(flat) or int(np.prod(self.size, dtype=object)) > len(flat)):
            raise RefusedError(f"a tensor of size {self.size} in the bytes of {len(flat)} numbers")
        return flat.as_strided(self.size, self.stride, self.offset).contiguous()


@dataclass(frozen=True)
class HeldModule:
    """A network module as data: its class's name and what was in its `__dict__`."""

    class_name: str
    state: dict[str, Any]

    def modules(self) -> dict[str, "HeldModule"]:
        """The modules directly inside."""
        return {name: held for name, held in self._entries("_modules") if isinstance(held, HeldModule)}

    def tensors(self) -> dict[str, StoredTensor]:
        """Parameters and buffers of this module alone, those inside not included."""
        every = [*self._entries("_parameters"), *self._entries("_buffers")]
        return {name: held for name, held in every if isinstance(held, StoredTensor)}

    def walk(self, name: str = "", depth: int = 0) -> Iterator[tuple[str, "HeldModule"]]:
        """Itself and all modules inside by dotted name; RefusedError where they are nested too deep."""
        if depth > DEEPEST:
            raise RefusedError(f"modules inside modules, {DEEPEST} deep")
        yield name, self
        for inner, module in self.modules().items():
            yield from module.walk(f"{name}.{inner}".removeprefix("."), depth + 1)

    def _entries(self, kind: str) -> list[tuple[Any, Any]]:
        held = self.state.get(kind)
        return list(held.items()) if isinstance(held, dict) else []


def read_pickle(path: Path, key: str) -> Any:
    """What a pickle holds: plain containers, numbers, texts, HeldModule and StoredTensor; key: where params name it.

    Raises StageError if the file is cut, too large, or names anything else; nothing that it names is imported.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if len(data) > MOST_BYTES:
            raise StageError(f"{key}: {path} has {len(data):,} bytes; at most {MOST_BYTES:,} are read")
        try:
            _check_operations(data)
            data.seek(0)
            return _Reader(data).load()
        except RefusedError as error:
            raise StageError(
                f"{key}: {path} holds {error}; only tensors and plain containers are read, and nothing in the file is "
                "run: bring a network-snapshot-*.pkl of StyleGAN2-ADA (PyTorch) as its training wrote it"
            ) from error
        except Exception as error:
            raise StageError(
                f"{key}: {path} is cut, or no pickle ({' '.join(str(error).split())[:200]}); fetch it again, and "
                "compare its SHA-256 with its source's"
            ) from error


def _check_operations(data: mmap.mmap) -> None:
    """Raise RefusedError for an operation that no such file has, before any is carried out; ValueError of a cut file.

    So that neither objects made in other ways nor sizes without bytes behind them ever reach the reader.
    """
    for done, (operation, argument, _) in enumerate(pickletools.genops(data), start=1):  # type: ignore[arg-type]  # a file
        if operation.name not in KNOWN:
            raise RefusedError(f"the pickle operation {operation.name}")
        # The reader keeps a table as long as the largest number in it.
        if operation.name in ("BINPUT", "LONG_BINPUT") and int(argument or 0) > done:
            raise RefusedError(f"a memo numbered {argument} after {done} operations")
        if done > MOST_OPERATIONS:
            raise RefusedError(f"more than {MOST_OPERATIONS:,} pickle operations")


class _Maker:
    """Stands for a name of the file; calling it makes plain data. Nothing of it can be changed by the file."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RefusedError(f"a change of {name} of one of its names")


class _NumberType:
    """NumPy's type of one number, by its name."""

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in NUMBERS:
            raise RefusedError(f"a NumPy scalar of type {str(name)[:20]!r}")
        self.name = str(name)

    def __setstate__(self, state: Any) -> None:
        """The byte order; what else is in it is of arrays and structures."""
        if not (isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", "|", "=")):
            raise RefusedError("a NumPy scalar of another byte order")


def _read_number(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _NumberType) or not isinstance(data, bytes):
        raise RefusedError("a NumPy scalar that is no number")
    return np.frombuffer(data, kind.name)[0].item()


def _hold_module(meta: Any, *_: Any) -> HeldModule:
    """In place of importing the source code in `meta`, which is dropped."""
    held = meta if isinstance(meta, dict) else {}
    class_name, state = held.get("class_name"), held.get("state")
    if not isinstance(class_name, str) or not isinstance(state, dict):
        raise RefusedError("a persistent object without class_name and state")
    return HeldModule(class_name, state)


def _hold_storage(data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise RefusedError("a storage that is no bytes")
    return data


def _hold_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StoredTensor:
    return StoredTensor(_hold_storage(storage), offset, tuple(size), tuple(stride))


def _hold_parameter(data: Any, *_: Any) -> StoredTensor:
    if not isinstance(data, StoredTensor):
        raise RefusedError("a parameter that is no tensor")
    return data


# The two names in the published files of plain dicts are types, as the operation NEWOBJ wants them.
NAMES: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Maker(_hold_module),
    ("torch._utils", "_rebuild_parameter"): _Maker(_hold_parameter),
    ("torch._utils", "_rebuild_tensor_v2"): _Maker(_hold_tensor),
    ("torch.storage", "_load_from_bytes"): _Maker(_hold_storage),
    ("numpy.core.multiarray", "scalar"): _Maker(_read_number),
    ("numpy._core.multiarray", "scalar"): _Maker(_read_number),
    ("numpy", "dtype"): _Maker(_NumberType),
    ("dnnlib.util", "EasyDict"): dict,
    ("collections", "OrderedDict"): dict,
    ("builtins", "set"): set,
}
# Files of other programs, told by what they name first.
OTHERS = {"dnnlib.tflib.network": " (a TensorFlow network: convert it with legacy.py of the published code)"}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return NAMES[module, name]
        except KeyError:
            told = f"{module}.{name}"[:100] + OTHERS.get(module, "")
            raise RefusedError(f"the name {told}") from None

    def persistent_load(self, _: Any) -> Any:
        raise RefusedError("a reference to something outside the file")
