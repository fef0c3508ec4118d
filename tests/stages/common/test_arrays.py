"""Zarr stores: layout, equal bytes, and damage that must not be read as zeros."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.core import arrays
from failure_atlas.core.arrays import COLUMN_CHUNK, StoredRows, read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError

Arrays = dict[str, tuple[np.ndarray, tuple[str, ...]]]


def draw_arrays(rows: int = 30) -> Arrays:
    random = np.random.default_rng(0)
    return {
        "s": (random.random((rows, 130), np.float32), ("sample", "style")),
        "images": (random.integers(0, 256, (rows, 1, 4, 4), dtype=np.uint8), ("sample", "channel", "y", "x")),
        "labels": (random.integers(0, 10, rows), ("sample",)),
        "well": (random.random(rows) < 0.5, ("sample",)),
        "zeros": (np.zeros((rows, 3)), ("sample", "probe")),
        "missing": (np.full((rows, 3), np.nan), ("sample", "probe")),
    }


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "images.zarr"
    write_arrays(path, draw_arrays(), {"source": "tiny", "class_names": ["0", "1"]})
    return path


def test_what_is_written_comes_back_with_names_of_its_axes_in_few_files(store: Path) -> None:
    assert read_attributes(store) == {"source": "tiny", "class_names": ["0", "1"]}
    group = zarr.open_group(store, mode="r")
    for name, (array, dimensions) in draw_arrays().items():
        held = read_array(store, name)
        assert held.dtype == array.dtype
        np.testing.assert_array_equal(held, array)
        assert group[name].metadata.dimension_names == dimensions
        assert group[name].metadata.zarr_format == 3
    assert (group["s"].chunks, group["s"].shards) == ((30, COLUMN_CHUNK), (30, 3 * COLUMN_CHUNK))  # narrow columns
    files = [path for path in store.rglob("*") if path.is_file()]
    assert len(files) == 1 + 2 * len(draw_arrays())  # the group, and per array its description and one shard
    assert not list(store.rglob("*.partial"))
    with pytest.raises(ValueError, match="style: 2 axes but dimension names"):
        write_arrays(store, {"style": (np.zeros((2, 2)), ("sample",))})
    assert "s" in zarr.open_group(store, mode="r")  # the old store is still there


@given(
    shape=st.one_of(
        st.tuples(st.integers(0, 25)),
        st.tuples(st.integers(0, 25), st.integers(1, 140)),
        st.tuples(st.integers(0, 25), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    )
)
def test_any_shape_comes_back(tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.zarr"
    array = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "SHARD_ROWS", 10)
        write_arrays(path, {"a": (array, tuple(f"axis{index}" for index in range(len(shape))))})
    assert sum(file.is_file() for file in (path / "a" / "c").rglob("*")) == -(-shape[0] // 10)
    np.testing.assert_array_equal(read_array(path, "a"), array)


def test_equal_content_gives_equal_bytes(
    tmp_path: Path, store: Path, hash_folder: Callable[[Path], dict[str, str]]
) -> None:
    other = tmp_path / "other.zarr"
    write_arrays(other, dict(reversed(draw_arrays().items())), {"source": "tiny", "class_names": ["0", "1"]})
    assert hash_folder(store) == hash_folder(other)
    write_arrays(other, draw_arrays(7))  # replaced whole: nothing of the longer store stays
    write_arrays(store, draw_arrays(7))
    assert hash_folder(store) == hash_folder(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.zarr", "other.zarr"]


def fault_of(store: Path, name: str = "s") -> str:
    with pytest.raises(StageError) as caught:
        read_array(store, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_store_or_array_is_told(tmp_path: Path, store: Path) -> None:
    for name in ("gone.zarr", "g" * 300):
        assert fault_of(tmp_path / name).endswith(f"{name}: missing; make it with dvc repro")
    message = "holds no array 'z'; it holds: images, labels, missing, s, well, zeros"
    assert fault_of(store, "z").endswith(message)
    with pytest.raises(StageError, match=r"gone\.zarr: missing"):
        read_attributes(tmp_path / "gone.zarr")
    zarr.open_group(store / "inner", mode="w")
    assert fault_of(store, "inner").endswith("'inner' is a group, not an array")


@pytest.mark.parametrize("name", ["s", "labels", "well", "zeros", "missing"])
def test_a_missing_shard_is_no_zeros_and_a_cut_one_is_told(store: Path, name: str) -> None:
    (shard,) = (path for path in (store / name / "c").rglob("*") if path.is_file())
    whole = shard.read_bytes()
    for kept in (1, 7, len(whole) // 2, len(whole) - 1):
        shard.write_bytes(whole[:kept])
        assert f"array '{name}' is damaged (" in fault_of(store, name)
    for lose in (lambda: shard.write_bytes(b""), shard.unlink):
        lose()
        assert f"array '{name}' is damaged (0 of 1 shard files are there); remove" in fault_of(store, name)


def test_a_damaged_description_and_a_folder_that_is_no_store_are_told(store: Path) -> None:
    path = store / "s" / "zarr.json"
    whole = path.read_text(encoding="utf-8")
    for changes in ({"shape": "large"}, {"codecs": [{"name": "unheard of"}]}):
        path.write_text(json.dumps(json.loads(whole) | changes), encoding="utf-8")
        assert "array 's' is damaged (" in fault_of(store)
    path.write_text(whole[:-20], encoding="utf-8")
    assert "array 's' is damaged (" in fault_of(store)
    for content in (b"", b"{", b"\xff"):
        (store / "zarr.json").write_bytes(content)
        assert "no Zarr group" in fault_of(store)
    shutil.rmtree(store)
    store.mkdir()
    assert "no Zarr group" in fault_of(store)


def test_stored_rows_are_those_of_the_array(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(25, 70)).astype(np.float32)
    monkeypatch.setattr("failure_atlas.core.arrays.SHARD_ROWS", 10)
    write_arrays(tmp_path / "a.zarr", {"s": (array, ("sample", "style"))})
    stored = StoredRows(tmp_path / "a.zarr", "s")
    assert (len(stored), stored.shape) == (25, (25, 70))
    for rows in (slice(0, 4), slice(4, 8), slice(8, 23), slice(20, 40), slice(None), np.array([3, 24, 7])):
        assert np.array_equal(stored[rows], array[rows])
    for columns in (slice(60, 80), np.array([69, 0])):
        assert np.array_equal(stored.columns(columns), array[:, columns])
    with pytest.raises(StageError, match="holds no array 'w'"):
        StoredRows(tmp_path / "a.zarr", "w")
    (tmp_path / "a.zarr/s/c/2/0").unlink()
    with pytest.raises(StageError, match="array 's' is damaged"):
        StoredRows(tmp_path / "a.zarr", "s")
