"""Files are whole or absent, and equal content gives equal bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.core import files
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import remove, replacing, require, write_csv, write_json
from tests.house import ROOT

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


def make(path: Path, kind: str, text: str) -> None:
    if kind == "folder":
        path.mkdir()
        path = path / "part"
    path.write_text(text, encoding="utf-8")


def fail_halfway(path: Path, kind: str, error: type[BaseException]) -> None:
    make(path, kind, "half")
    raise error


def content(path: Path) -> str:
    return (path / "part" if path.is_dir() else path).read_text(encoding="utf-8")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, "file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_new_content_takes_the_place_of_old(tmp_path: Path, old: str | None, new: str) -> None:
    path = tmp_path / "deep" / "out"
    if old:
        path.parent.mkdir()
        make(path, old, "old")
    with replacing(path) as temporary:
        make(temporary, new, "new")
        if old:
            assert content(path) == "old"
        else:
            assert not path.exists()
    assert content(path) == "new"
    assert path.is_dir() == (new == "folder")
    assert names(path.parent) == ["out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_after_an_exception_or_a_kill_the_old_content_is_there_and_the_next_run_cleans_up(
    tmp_path: Path, kind: str
) -> None:
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


def test_a_folder_is_moved_away_whole_before_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while the old folder is being deleted must not leave half of it under its name."""
    path = tmp_path / "out"
    make(path, "folder", "old")
    seen = []

    def watch(folder: Path) -> None:
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


def test_a_missing_input_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    assert require(tmp_path, "prepare_images") == tmp_path
    with pytest.raises(StageError, match=r"gone\.zarr: missing; make it with: dvc repro prepare_images"):
        require(tmp_path / "gone.zarr", "prepare_images")


def test_metrics_are_rounded_sorted_and_hold_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    given_ = {
        "b": 1 / 3, "a": float("nan"), "numpy": np.int64(3), "torch": torch.tensor(2.5), "flag": np.bool_(True), 3: 4,
        "nested": {"high": float("inf"), "list": [np.float32(0.1), -float("inf"), (1, np.float64("nan"))]},
        "large": 123456789, "tiny": 1.23456789e-12, "text": "ü", "none": None,
    }  # fmt: skip
    write_json(path, given_)  # type: ignore[arg-type]
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
def test_rounding_keeps_six_significant_digits(value: float) -> None:
    rounded = files._rounded({"x": value})["x"]
    assert rounded == pytest.approx(value, rel=5.1e-6, abs=5e-324)
    assert files._rounded(rounded) == rounded


def test_tables_have_no_index_six_digits_and_unix_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, pd.DataFrame({"name": ["a", "b,c"], "value": [1 / 3, np.nan], "n": [1, 2]}, index=[7, 8]))
    assert path.read_bytes() == b'name,value,n\na,0.333333,1\n"b,c",,2\n'
