"""How a process computes, as it is recorded: what changes bytes, and nothing that tells of a person or a machine."""

import json
import os
import subprocess
import sys

import pytest

from failure_atlas.core.computing import changes_bytes, count_cores
from tests.house import ROOT

DESCRIBE = "import {}, json; "
DESCRIBE += "from failure_atlas.core.computing import describe_computing as tell; print(json.dumps(tell()))"


def describe(modules: str, **variables: str) -> dict[str, object]:
    kept = {name: text for name, text in os.environ.items() if not changes_bytes(name)}
    command = [sys.executable, "-c", DESCRIBE.format(modules)]
    made = subprocess.check_output(command, cwd=ROOT, env=kept | variables, text=True)
    found: dict[str, object] = json.loads(made)
    return found


def test_kernels_and_threads_are_those_that_compute() -> None:
    variables = {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1", "FAILURE_ATLAS_DEVICE": "cpu"}
    paths = {"OMP_PLACES": "/home/me", "OMP_TOOL_LIBRARIES": "x", "OPENBLAS_THREAD_TIMEOUT": "4", "HOME": "/home/me"}
    found = describe("numpy, torch", **variables, **paths)
    assert found["variables"] == variables
    assert found["cores"] == count_cores()
    (blas,) = [each for each in found["libraries"] if each["user_api"] == "blas"]
    assert blas["num_threads"] == 1
    assert blas["architecture"] == "Haswell"
    assert found["torch"]["threads"] == 1
    assert found["torch"]["gpus"] == []
    assert "/" not in json.dumps(found)
    assert describe("numpy", OMP_NUM_THREADS="1")["torch"] is None


@pytest.mark.parametrize("name", ["ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES", "MKL_CBWR"])
def test_variables_that_count(name: str) -> None:
    assert changes_bytes(name, "x")


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "GOMP_SPINCOUNT", "MKL_VERBOSE", "XOMP_NUM_THREADS", "OMP_X\n"])
def test_variables_that_do_not(name: str) -> None:
    assert not changes_bytes(name, "x")


def test_cores_are_counted_where_the_system_binds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert count_cores() == os.cpu_count()
