"""What decides bytes: random streams, the device, kernels and threads; and a user's settings, which change none."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.core.computing import changes_bytes, count_cores
from failure_atlas.core.device import DEVICE_VARIABLE, choose_device, choose_dtype
from failure_atlas.core.seeds import numpy_stream, torch_stream
from tests.house import ROOT
from tests.refusing import refused

NAMES = st.lists(st.one_of(st.text(min_size=1, max_size=8), st.integers(0, 2**31)), max_size=3)
PATHS = [(), ("a",), ("b",), ("a", 0), ("a", 1), (0, "a"), ("a", "b"), ("ab",), (0,), (1,)]
Names = list[str | int]


@given(seed=st.integers(0, 2**64), names=NAMES, other=NAMES)
def test_numbers_follow_from_seed_and_names_alone(seed, names, other):
    def draw(seed, names):
        drawn = torch.rand(4, generator=torch_stream(seed, *names))
        return numpy_stream(seed, *names).bytes(16), drawn.numpy().tobytes()

    held = draw(seed, names)
    assert held == draw(seed, names)
    for changed in (draw(seed + 1, names), draw(seed, other) if names != other else (b"", b"")):
        assert all(one != two for one, two in zip(held, changed, strict=True))


def test_streams_of_different_names_are_uncorrelated_and_the_first_numbers_of_numbered_ones_uniform():
    """Streams named by a sample's index serve one sample each: their first draws must look like one stream's."""
    normal = np.stack([numpy_stream(1, *path).standard_normal(4000) for path in PATHS])
    drawn = torch.stack([torch.randn(4000, generator=torch_stream(1, *path)) for path in PATHS]).numpy()
    for numbers in (normal, drawn):
        correlation = np.corrcoef(numbers)[np.triu_indices(len(PATHS), 1)]
        assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    first = np.array([numpy_stream(1, "image", index).random() for index in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 5 / np.sqrt(2000)


def test_numbers_stay_the_same_from_version_to_version_and_leave_global_state_alone():
    """A change here changes every result: CHANGELOG.md has to say so."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert numpy_stream(1, "image", 7).integers(0, 1000, 4).tolist() == [357, 245, 631, 733]
    drawn = torch.randint(0, 1000, (4,), generator=torch_stream(1, "image", 7))
    assert drawn.tolist() == [518, 811, 972, 141]
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002
    refused("non-negative", numpy_stream, -1, error=ValueError)


@pytest.fixture
def _kept(monkeypatch):
    """What choosing a device sets is as before."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before)
    torch.utils.deterministic.fill_uninitialized_memory = filled


@pytest.mark.usefixtures("_kept")
def test_the_named_device_is_taken_or_cuda_if_present_and_kernels_are_deterministic(monkeypatch):
    torch.use_deterministic_algorithms(False)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    for value, kind in ((None, default), ("", default), ("  ", default), (" cpu ", "cpu")):
        monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(DEVICE_VARIABLE, value)
        assert choose_device().type == kind
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize("value", ["gpu", "CPU", "meta", "mps", "cuda:999", "cuda:-1", "cpu,cuda", "vulkan"])
def test_another_device_ends_in_one_short_line(monkeypatch, value):
    monkeypatch.setenv(DEVICE_VARIABLE, value)
    told = rf"^{DEVICE_VARIABLE}: got '{value}', which this machine cannot use.{{,300}}allowed: cpu, cuda, cuda:N$"
    refused(told, choose_device)


def test_precision_is_asked_of_the_processor(monkeypatch):
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        assert choose_dtype("auto", torch.device("cpu")) is (torch.bfloat16 if native else torch.float32)
        assert choose_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
        assert choose_dtype("float32", torch.device("cpu")) is torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    assert choose_dtype("auto", torch.device("cuda")) is torch.float32


def describe(modules, **variables):
    kept = {name: text for name, text in os.environ.items() if not changes_bytes(name)}
    code = f"import {modules}, json; from failure_atlas.core.computing import describe_computing as tell; "
    command = [sys.executable, "-c", f"{code}print(json.dumps(tell()))"]
    found: dict[str, object] = json.loads(subprocess.check_output(command, cwd=ROOT, env=kept | variables, text=True))
    return found


def test_kernels_and_threads_are_those_that_compute_and_nothing_tells_of_a_person(monkeypatch):
    variables = {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1", "FAILURE_ATLAS_DEVICE": "cpu"}
    paths = {"OMP_PLACES": "/home/me", "OMP_TOOL_LIBRARIES": "x", "OPENBLAS_THREAD_TIMEOUT": "4", "HOME": "/home/me"}
    found = describe("numpy, torch", **variables, **paths)
    assert (found["variables"], found["cores"]) == (variables, count_cores())
    (blas,) = [each for each in found["libraries"] if each["user_api"] == "blas"]
    assert (blas["num_threads"], blas["architecture"]) == (1, "Haswell")
    assert (found["torch"]["threads"], found["torch"]["gpus"]) == (1, [])
    assert "/" not in json.dumps(found)
    assert describe("numpy", OMP_NUM_THREADS="1")["torch"] is None
    for name in ("ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES", "MKL_CBWR"):
        assert changes_bytes(name, "x"), name
    for name in ("PATH", "LD_PRELOAD", "GOMP_SPINCOUNT", "MKL_VERBOSE", "XOMP_NUM_THREADS", "OMP_X\n"):
        assert not changes_bytes(name, "x"), name
    monkeypatch.delattr(os, "sched_getaffinity")  # where the system binds none
    assert count_cores() == os.cpu_count()


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
    "MPLBACKEND": "nonsense", "PANDAS_FUTURE_INFER_STRING": "nonsense", "ZARR_ARRAY__ORDER": "F",
    "ZARR_DEFAULT_ZARR_FORMAT": "2", "ZARR_ARRAY__WRITE_EMPTY_CHUNKS": "False", "BLOSC_CLEVEL": "1",
}  # fmt: skip
FILES = {
    "matplotlibrc": b"text.usetex: True\nlines.linewidth: 6\nsavefig.facecolor: black\nfont.family: serif\n",
    ".config/matplotlib/matplotlibrc": b"\xff",
    ".config/zarr/zarr.yaml": b"default_zarr_format: 2\n",
}


def test_what_a_user_has_set_for_libraries_changes_no_byte_and_stops_nothing(tmp_path):
    made = {}
    for name, variables, files in (
        ("plain", {}, []),
        ("here", VARIABLES, ["matplotlibrc"]),
        ("home", {}, [*FILES][1:]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(FILES[file])
        environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)} | variables
        subprocess.run([sys.executable, "-c", MAKE, "out"], cwd=folder, env=environment, check=True)
        left = [path for path in (folder / "out").rglob("*") if path.is_file()]
        made[name] = {str(path.relative_to(folder)): path.read_bytes() for path in left}
        assert made[name] == made["plain"], name
    assert {"out/figure.png", "out/figure.csv", "out/store.zarr/zarr.json"} <= made["plain"].keys()
