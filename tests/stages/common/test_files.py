"""Files, Zarr stores and weights: whole or absent, equal content gives equal bytes, damage is told."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import save_file

from failure_atlas.core import arrays, files
from failure_atlas.core.arrays import COLUMN_CHUNK, StoredRows, read_array, read_attributes, write_arrays
from failure_atlas.core.files import remove, replacing, require, write_csv, write_json
from failure_atlas.core.weights import METADATA_KEY, PinnedFile, check_pinned, load_tensors, save_tensors
from tests.house import ROOT
from tests.refusing import refused

KILLED = """
import os, signal, sys
from pathlib import Path
from failure_atlas.core.files import replacing

with replacing(Path(sys.argv[1])) as temporary:
    if sys.argv[2] == "folder":
        temporary.mkdir()
        temporary = temporary / "part"
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make(path, kind, text):
    if kind == "folder":
        path.mkdir()
        path = path / "part"
    path.write_text(text, encoding="utf-8")


def fail_halfway(path, kind, error):
    make(path, kind, "half")
    raise error


def content(path):
    return (path / "part" if path.is_dir() else path).read_text(encoding="utf-8")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, "file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_new_content_takes_the_place_of_old(tmp_path, old, new):
    path = tmp_path / "deep" / "out"
    if old:
        path.parent.mkdir()
        make(path, old, "old")
    with replacing(path) as temporary:
        make(temporary, new, "new")
        assert content(path) == "old" if old else not path.exists()
    assert content(path) == "new"
    assert path.is_dir() == (new == "folder")
    assert names(path.parent) == ["out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_after_an_exception_or_a_kill_the_old_content_is_there_and_the_next_run_cleans_up(tmp_path, kind):
    path = tmp_path / "out"
    make(path, kind, "old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), replacing(path) as temporary:
            fail_halfway(temporary, kind, error)
    with pytest.raises(FileNotFoundError, match="nothing was written"), replacing(path):
        pass
    assert content(path) == "old"
    assert names(tmp_path) == ["out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), kind], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert content(path) == "old"
    assert names(tmp_path) == [".out.partial", "out"]
    with replacing(path) as temporary:
        assert not temporary.exists()
        make(temporary, kind, "new")
    assert content(path) == "new"
    assert names(tmp_path) == ["out"]


def test_a_folder_is_moved_away_whole_before_it_is_deleted(tmp_path, monkeypatch):
    """A kill while the old folder is being deleted must not leave half of it under its name."""
    path = tmp_path / "out"
    make(path, "folder", "old")
    seen = []

    def watch(folder):
        if folder.exists():
            seen.append((folder.name, content(path)))
        remove(folder)

    monkeypatch.setattr(files, "remove", watch)
    with replacing(path) as temporary:
        make(temporary, "folder", "new")
    assert seen == [(".out.old.partial", "new")]
    (tmp_path / "link").symlink_to(path)
    for name in ("link", "absent"):
        remove(tmp_path / name)
    assert names(tmp_path) == ["out"]  # of a link the target stays
    assert content(path) == "new"


def test_a_missing_input_names_the_stage_that_makes_it(tmp_path):
    assert require(tmp_path, "prepare_images") == tmp_path
    told = r"gone\.zarr: missing; make it with: dvc repro prepare_images"
    refused(told, require, tmp_path / "gone.zarr", "prepare_images")


def test_metrics_are_rounded_sorted_and_hold_no_nan(tmp_path):
    path = tmp_path / "metrics.json"
    given_ = {
        "b": 1 / 3, "a": float("nan"), "numpy": np.int64(3), "torch": torch.tensor(2.5), "flag": np.bool_(True), 3: 4,
        "nested": {"high": float("inf"), "list": [np.float32(0.1), -float("inf"), (1, np.float64("nan"))]},
        "large": 123456789, "tiny": 1.23456789e-12, "text": "ü", "none": None,
    }  # fmt: skip
    write_json(path, given_)
    held = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert held == {
        "b": 0.333333, "a": None, "nested": {"high": None, "list": [0.1, None, [1, None]]}, "numpy": 3, "torch": 2.5,
        "flag": True, "large": 123456789, "tiny": 1.23457e-12, "text": "ü", "none": None, "3": 4,
    }  # fmt: skip
    assert held["flag"] is True
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert list(held) == sorted(held)
    write_json(tmp_path / "one", {"a": 1, "b": 0.1 + 0.2})
    write_json(tmp_path / "two", {"b": 0.3, "a": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(TypeError):
        write_json(path, {"a": Path("x")})  # no JSON: the old file stays
    assert path.read_text(encoding="utf-8") == text


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_keeps_six_significant_digits(value):
    rounded = files._rounded({"x": value})["x"]
    assert rounded == pytest.approx(value, rel=5.1e-6, abs=5e-324)
    assert files._rounded(rounded) == rounded


def test_tables_have_no_index_six_digits_and_unix_line_ends(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, pd.DataFrame({"name": ["a", "b,c"], "value": [1 / 3, np.nan], "n": [1, 2]}, index=[7, 8]))
    assert path.read_bytes() == b'name,value,n\na,0.333333,1\n"b,c",,2\n'


def draw_arrays(rows=30):
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
def store(tmp_path):
    path = tmp_path / "images.zarr"
    write_arrays(path, draw_arrays(), {"source": "tiny", "class_names": ["0", "1"]})
    return path


def test_what_is_written_comes_back_with_names_of_its_axes_in_few_files(store):
    assert read_attributes(store) == {"source": "tiny", "class_names": ["0", "1"]}
    group = zarr.open_group(store, mode="r")
    for name, (array, dimensions) in draw_arrays().items():
        held = read_array(store, name)
        assert held.dtype == array.dtype
        np.testing.assert_array_equal(held, array)
        assert (group[name].metadata.dimension_names, group[name].metadata.zarr_format) == (dimensions, 3)
    assert (group["s"].chunks, group["s"].shards) == ((30, COLUMN_CHUNK), (30, 3 * COLUMN_CHUNK))  # narrow columns
    files = [path for path in store.rglob("*") if path.is_file()]
    assert len(files) == 1 + 2 * len(draw_arrays())  # the group, and per array its description and one shard
    assert not list(store.rglob("*.partial"))
    wrong = {"style": (np.zeros((2, 2)), ("sample",))}
    refused("style: 2 axes but dimension names", write_arrays, store, wrong, error=ValueError)
    assert "s" in zarr.open_group(store, mode="r")  # the old store is still there


@given(
    shape=st.one_of(
        st.tuples(st.integers(0, 25)),
        st.tuples(st.integers(0, 25), st.integers(1, 140)),
        st.tuples(st.integers(0, 25), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    )
)
def test_any_shape_comes_back(tmp_path_factory, shape):
    path = tmp_path_factory.mktemp("any") / "a.zarr"
    array = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "SHARD_ROWS", 10)
        write_arrays(path, {"a": (array, tuple(f"axis{index}" for index in range(len(shape))))})
    assert sum(file.is_file() for file in (path / "a" / "c").rglob("*")) == -(-shape[0] // 10)
    np.testing.assert_array_equal(read_array(path, "a"), array)


def test_stores_of_equal_content_have_equal_bytes(tmp_path, store, hash_folder):
    other = tmp_path / "other.zarr"
    write_arrays(other, dict(reversed(draw_arrays().items())), {"source": "tiny", "class_names": ["0", "1"]})
    assert hash_folder(store) == hash_folder(other)
    write_arrays(other, draw_arrays(7))  # replaced whole: nothing of the longer store stays
    write_arrays(store, draw_arrays(7))
    assert hash_folder(store) == hash_folder(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.zarr", "other.zarr"]


def fault_of(store, name="s"):
    return refused("", read_array, store, name)


def test_a_missing_store_or_array_is_told(tmp_path, store):
    for name in ("gone.zarr", "g" * 300):
        assert fault_of(tmp_path / name).endswith(f"{name}: missing; make it with dvc repro")
    message = "holds no array 'z'; it holds: images, labels, missing, s, well, zeros"
    assert fault_of(store, "z").endswith(message)
    refused(r"gone\.zarr: missing", read_attributes, tmp_path / "gone.zarr")
    zarr.open_group(store / "inner", mode="w")
    assert fault_of(store, "inner").endswith("'inner' is a group, not an array")


@pytest.mark.parametrize("name", ["s", "labels", "well", "zeros", "missing"])
def test_a_missing_shard_is_no_zeros_and_a_cut_one_is_told(store, name):
    (shard,) = (path for path in (store / name / "c").rglob("*") if path.is_file())
    whole = shard.read_bytes()
    for kept in (1, 7, len(whole) // 2, len(whole) - 1):
        shard.write_bytes(whole[:kept])
        assert f"array '{name}' is damaged (" in fault_of(store, name)
    for lose in (lambda: shard.write_bytes(b""), shard.unlink):
        lose()
        assert f"array '{name}' is damaged (0 of 1 shard files are there); remove" in fault_of(store, name)


def test_a_damaged_description_and_a_folder_that_is_no_store_are_told(store):
    path = store / "s" / "zarr.json"
    whole = path.read_text(encoding="utf-8")
    changed = ({"shape": "large"}, {"codecs": [{"name": "unheard of"}]})
    for text in (*(json.dumps(json.loads(whole) | changes) for changes in changed), whole[:-20]):
        path.write_text(text, encoding="utf-8")
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
    refused("holds no array 'w'", StoredRows, tmp_path / "a.zarr", "w")
    (tmp_path / "a.zarr/s/c/2/0").unlink()
    refused("array 's' is damaged", StoredRows, tmp_path / "a.zarr", "s")


DESCRIPTION = {"kind": "classifier", "architecture": {"width": 8, "channels": [1, 2]}, "log": [{"kimg": 0.5}]}


def draw_tensors():
    random = torch.Generator().manual_seed(0)
    tensors = {f"layer{index}": torch.randn(3, 4, generator=random) for index in range(5)}
    tensors |= {"transposed": tensors["layer0"].T, "parameter": torch.nn.Parameter(torch.randn(2, generator=random))}
    tensors |= {"step": torch.tensor(3.0), "count": torch.arange(3), "empty": torch.zeros(0, 2)}
    return tensors | {"half": tensors["layer1"].bfloat16()}


def test_what_is_written_comes_back(tmp_path):
    tensors = draw_tensors()
    tensors["shared"] = tensors["layer0"]
    save_tensors(tmp_path / "weights.safetensors", tensors, DESCRIPTION)
    loaded, description = load_tensors(tmp_path / "weights.safetensors", "classifier")
    assert description == DESCRIPTION
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor.detach())
        assert not loaded[name].requires_grad


def test_equal_content_gives_equal_bytes(tmp_path):
    paths = [tmp_path / f"{index}.safetensors" for index in range(3)]
    for path in paths[:2]:
        save_tensors(path, draw_tensors(), DESCRIPTION)
    save_tensors(paths[2], dict(reversed(draw_tensors().items())), DESCRIPTION)
    assert len({path.read_bytes() for path in paths}) == 1
    assert sorted(tmp_path.iterdir()) == paths
    (tmp_path / "plain").write_text("x", encoding="utf-8")
    assert paths[0].stat().st_mode == (tmp_path / "plain").stat().st_mode  # others can read it


def test_another_kind_and_a_missing_cut_foreign_or_damaged_file_are_told(tmp_path):
    path = tmp_path / "weights.safetensors"

    for gone in (path, tmp_path, tmp_path / ("g" * 300)):
        refused("no such weights file; make it with dvc repro, or correct the path", load_tensors, gone, "classifier")
    save_tensors(path, draw_tensors(), DESCRIPTION)
    refused(r"weights\.safetensors: holds a classifier, needed: a generator", load_tensors, path, "generator")
    whole = path.read_bytes()
    for content in (whole[:0], whole[:4], whole[:40], whole[:-1], b"PK" + bytes(200)):
        path.write_bytes(content)
        refused(r"weights\.safetensors: cut or not a safetensors file .*restore it", load_tensors, path, "classifier")
    save_file({"a": torch.ones(1)}, path)
    refused("written by something else; its metadata has no 'failure-atlas' entry", load_tensors, path, "classifier")
    save_file({"a": torch.ones(1)}, path, metadata={METADATA_KEY: "{"})
    refused("its description is no JSON", load_tensors, path, "classifier")


def test_a_pinned_file_is_taken_only_as_it_was(tmp_path):
    path, expected = tmp_path / "weights", hashlib.sha256(b"held").hexdigest()
    path.write_bytes(b"held")
    assert check_pinned(PinnedFile(path=str(path), sha256=expected), "a.b") == path
    for content in (b"hel", b"hele", b""):
        path.write_bytes(content)
        found = hashlib.sha256(content).hexdigest()
        told = rf"weights: expected SHA-256 {expected}, found {found}; .* set a\.b\.sha256"
        refused(told, check_pinned, PinnedFile(path=str(path), sha256=expected), "a.b")
    for name in ("gone", "g" * 300):
        told = rf"a\.b\.path: no file .*{name}, expected SHA-256 0{{64}}; restore it, or"
        refused(told, check_pinned, PinnedFile(path=str(tmp_path / name), sha256="0" * 64), "a.b")
    with pytest.raises(ValidationError, match="sha256"):
        PinnedFile(path="weights", sha256="abc")
