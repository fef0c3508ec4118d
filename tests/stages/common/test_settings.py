"""What a user has set for libraries changes no byte of a result and stops no stage."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT

MAKE = """
import stages
import sys
from pathlib import Path
import numpy as np
import pandas as pd
from failure_atlas.core.arrays import write_arrays
from failure_atlas.drawing.style import new_figure, save_figure
out = Path(sys.argv[1])
figure, axes = new_figure(1, 1, width=3, height=2)
axes[0, 0].semilogy([1, 2], [1, 20], label="a$b")
axes[0, 0].legend()
save_figure(figure, out / "figure.png", pd.DataFrame({"x": ["a", "b"]}))
write_arrays(out / "store.zarr", {"x": (np.arange(600.0).reshape(6, 100), ("row", "column"))})
"""
VARIABLES = {
    "MPLBACKEND": "nonsense",
    "PANDAS_FUTURE_INFER_STRING": "nonsense",
    "ZARR_ARRAY__ORDER": "F",
    "ZARR_DEFAULT_ZARR_FORMAT": "2",
    "ZARR_ARRAY__WRITE_EMPTY_CHUNKS": "False",
    "BLOSC_CLEVEL": "1",
}
FILES = {
    "matplotlibrc": b"text.usetex: True\nlines.linewidth: 6\nsavefig.facecolor: black\nfont.family: serif\n",
    ".config/matplotlib/matplotlibrc": b"\xff",
    ".config/zarr/zarr.yaml": b"default_zarr_format: 2\n",
}


def make(folder: Path, home: Path, variables: dict[str, str]) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-c", MAKE, "out"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("out/**/*") if path.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    made = make(tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("home"), {})
    assert {"out/figure.png", "out/figure.csv", "out/store.zarr/zarr.json"} <= made.keys()
    return made


def test_variables(plain: dict[str, bytes], tmp_path: Path) -> None:
    assert make(tmp_path, tmp_path, VARIABLES) == plain


@pytest.mark.parametrize("name", FILES)
def test_files(plain: dict[str, bytes], tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(FILES[name])
    assert make(tmp_path, tmp_path, {}) == plain
