"""Named arrays in one Zarr group: sharded, with dimension names, equal bytes for equal content."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from stages.common.errors import StageError
from stages.common.files import remove, replacing

zarr.config.refresh(paths=[], env={})  # whatever ZARR_ variables and ~/.config/zarr say: a store's bytes are results

SHARD_ROWS = 10_000
COLUMN_CHUNK = 64

NamedArray = tuple[np.ndarray, tuple[str, ...]]


def write_arrays(path: Path, arrays: Mapping[str, NamedArray], attributes: Mapping[str, Any] | None = None) -> None:
    """Write arrays with their dimension names as one Zarr v3 group, whole or not at all.

    arrays: name -> (array, dimension names). A shard holds up to 10,000 rows, so that a store is a few large files;
    two-dimensional arrays are chunked 64 columns wide inside it, because ranking and histograms read columns.
    """
    with replacing(path) as temporary:
        group = zarr.open_group(temporary, mode="w", attributes=dict(attributes or {}))
        for name, (array, dimensions) in arrays.items():
            if len(dimensions) != array.ndim:
                raise ValueError(f"{name}: {array.ndim} axes but dimension names {dimensions}")
            chunks, shards = _layout(array.shape)
            target = group.create_array(
                name,
                shape=array.shape,
                dtype=array.dtype,
                chunks=chunks,
                shards=shards,
                dimension_names=dimensions,
                compressors=ZstdCodec(level=0, checksum=True),  # a flipped byte is an error, not another number
                fill_value=np.nan if array.dtype.kind == "f" else 0,
                config={"write_empty_chunks": True},
            )
            target[...] = array
        for leftover in temporary.rglob("*.partial"):
            remove(leftover)


def read_array(path: Path, name: str) -> np.ndarray:
    """Read one whole array of a group; StageError if the group or the array is missing or damaged."""
    group = _open(path)
    try:
        if name not in group:
            raise StageError(f"{path}: holds no array '{name}'; it holds: {', '.join(sorted(group.array_keys()))}")
        array = group[name]
        if not isinstance(array, zarr.Array):
            raise StageError(f"{path}: '{name}' is a group, not an array")
        _check_shards(path / name, array)
        return np.asarray(array[...])
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise StageError(f"{path}: array '{name}' is damaged ({reason}); remove {path} and run dvc repro") from error


def read_attributes(path: Path) -> dict[str, Any]:
    """Read the attributes of a group; StageError if it is missing."""
    return dict(_open(path).attrs)


def _open(path: Path) -> zarr.Group:
    if not path.is_dir():
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
