"""Named arrays in one Zarr group: sharded, with dimension names, equal bytes for equal content."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import remove, replacing

zarr.config.refresh(paths=[], env={})  # whatever ZARR_ variables and ~/.config/zarr say: a store's bytes are results

SHARD_ROWS = 10_000
COLUMN_CHUNK = 64

NamedArray = tuple[np.ndarray, tuple[str, ...]]


@dataclass(frozen=True)
class ArraySpec:
    """An array that is written in parts."""

    shape: tuple[int, ...]
    dtype: np.dtype
    dimensions: tuple[str, ...]


def write_arrays(path: Path, arrays: Mapping[str, NamedArray], attributes: Mapping[str, Any] | None = None) -> None:
    """Write arrays with their dimension names as one Zarr v3 group, whole or not at all.

    arrays: name -> (array, dimension names). A shard holds up to 10,000 rows, so that a store is a few large files;
    two-dimensional arrays are chunked 64 columns wide inside it, because ranking and histograms read columns.
    """
    specs = {name: ArraySpec(array.shape, array.dtype, dimensions) for name, (array, dimensions) in arrays.items()}
    with writing_arrays(path, specs, attributes) as targets:
        for name, (array, _) in arrays.items():
            targets[name][...] = array


@contextmanager
def writing_arrays(
    path: Path, specs: Mapping[str, ArraySpec], attributes: Mapping[str, Any] | None = None
) -> Iterator[dict[str, zarr.Array[Any]]]:
    """The same in parts: yields the arrays to fill by slices of rows; what was filled is there when the block ends.

    Memory is that of a part. A part should be SHARD_ROWS rows, from a multiple of it on: a shard is then written once.
    """
    with replacing(path) as temporary:
        group = zarr.open_group(temporary, mode="w", attributes=dict(attributes or {}))
        targets = {}
        for name, spec in specs.items():
            if len(spec.dimensions) != len(spec.shape):
                raise ValueError(f"{name}: {len(spec.shape)} axes but dimension names {spec.dimensions}")
            chunks, shards = _layout(spec.shape)
            targets[name] = group.create_array(
                name,
                shape=spec.shape,
                dtype=spec.dtype,
                chunks=chunks,
                shards=shards,
                dimension_names=spec.dimensions,
                compressors=ZstdCodec(level=0, checksum=True),  # a flipped byte is an error, not another number
                fill_value=np.nan if spec.dtype.kind == "f" else 0,
                config={"write_empty_chunks": True},
            )
        yield targets
        for leftover in temporary.rglob("*.partial"):
            remove(leftover)


class StoredRows:
    """A two-dimensional array on disk, read by rows and columns, with the memory of one shard.

    It takes the place of an array where only its length, its shape, slices of rows and rows by index are asked for.
    Raises StageError, when made and when read, if the group or the array is missing or damaged.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        with _telling_damage(path, name):
            self._array = _open_array(path, name)
        self.shape: tuple[int, ...] = self._array.shape
        self._first, self._block = 0, np.empty((0, *self.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        with _telling_damage(self._path, self._name):
            if not isinstance(rows, slice):
                return np.asarray(self._array.oindex[rows])
            start, stop, _ = rows.indices(len(self))
            if not self._first <= start <= stop <= self._first + len(self._block):
                # Whole shards, from which the batches that follow are taken: a chunk is decoded once.
                self._first = start // SHARD_ROWS * SHARD_ROWS
                self._block = np.asarray(self._array[self._first : -(-stop // SHARD_ROWS) * SHARD_ROWS])
            return np.asarray(self._block[start - self._first : stop - self._first])

    def columns(self, chosen: slice | np.ndarray) -> np.ndarray:
        """Some columns of all rows, [N, K]."""
        with _telling_damage(self._path, self._name):
            return np.asarray(self._array.oindex[:, chosen])


def read_array(path: Path, name: str) -> np.ndarray:
    """Read one whole array of a group; StageError if the group or the array is missing or damaged."""
    with _telling_damage(path, name):
        return np.asarray(_open_array(path, name)[...])


@contextmanager
def _telling_damage(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise StageError(f"{path}: array '{name}' is damaged ({reason}); remove {path} and run dvc repro") from error


def _open_array(path: Path, name: str) -> zarr.Array[Any]:
    group = _open(path)
    if name not in group:
        raise StageError(f"{path}: holds no array '{name}'; it holds: {', '.join(sorted(group.array_keys()))}")
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise StageError(f"{path}: '{name}' is a group, not an array")
    _check_shards(path / name, array)
    return array


def read_attributes(path: Path) -> dict[str, Any]:
    """Read the attributes of a group; StageError if it is missing."""
    return dict(_open(path).attrs)


def _open(path: Path) -> zarr.Group:
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises OSError for a name that is too long
        raise StageError(f"{path}: missing; make it with dvc repro")
    try:
        return zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError) as error:
        raise StageError(f"{path}: no Zarr group ({error}); remove it and make it with dvc repro") from error


def _check_shards(folder: Path, array: zarr.Array[Any]) -> None:
    """Raise ValueError if a shard file is missing or empty; Zarr would read it as zeros or NaN without a word."""
    expected = math.prod(-(-size // part) for size, part in zip(array.shape, array.shards or array.chunks, strict=True))
    found = sum(file.is_file() and file.stat().st_size > 0 for file in (folder / "c").rglob("*"))
    if found != expected:
        raise ValueError(f"{found} of {expected} shard files are there")


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunk and shard shapes; a shard is a whole number of chunks along each axis."""
    rows = max(1, min(SHARD_ROWS, shape[0]))
    if len(shape) != 2:
        chunk = (rows, *shape[1:])
        return chunk, chunk
    columns = max(1, min(COLUMN_CHUNK, shape[1]))
    return (rows, columns), (rows, -(-shape[1] // columns) * columns)
