"""The stage as a command: equal bytes, kill -9 and rerun, files that load by themselves, and user errors."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import save_tensors
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, load_generator, save_generator
from stages.common.artefacts.images import named_arrays
from stages.train_stylegan2.__main__ import main
from tests import yaml12 as yaml
from tests.house import ROOT

TINY = {
    "resume": None,
    "total_kimg": 2,
    "snapshot_kimg": 1,
    "z_dim": 8,
    "w_dim": 8,
    "generator_channels": [4, 4, 4, 4],
    "discriminator_channels": [4, 4, 4, 4],
    "batch_size": 50,
    "minibatch_std_group": 5,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    part = ImageSet(rng.integers(0, 255, (60, 1, 32, 32), dtype=np.uint8), np.arange(60) % 10)
    attributes = {"source": "test", "class_names": [str(digit) for digit in range(10)]}
    write_arrays(tmp_path / "images.zarr", named_arrays("train", part), attributes)
    write_params(tmp_path)
    return tmp_path


def write_params(project: Path, **changes: object) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    section = {**document["train_stylegan2"], **TINY, **changes}
    (project / "params.yaml").write_text(yaml.safe_dump({"train_stylegan2": section}), encoding="utf-8")


def command(out: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "stages.train_stylegan2", "--images", "images.zarr", "--out", out, *more]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "FAILURE_ATLAS_PROCESSES": "2", "FAILURE_ATLAS_DEVICE": "cpu"}


def run(project: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *more), cwd=project, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


def wait_for_snapshot(project: Path) -> None:
    """Return as soon as a training in progress has left its first snapshot."""
    deadline = time.monotonic() + 120
    while not list((project / ".resume").rglob("snapshot.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_killed_at_any_moment_the_next_run_ends_with_the_same_bytes(project: Path) -> None:
    done = run(project, "unbroken")
    assert done.returncode == 0, done.stderr
    assert "2,000/2,000 img" in done.stderr
    assert not list((project / ".resume").rglob("*.safetensors")), "resume state is removed after success"

    victim = subprocess.Popen(command("killed"), cwd=project, env=environment(), stderr=subprocess.DEVNULL)
    wait_for_snapshot(project)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (project / "killed" / "metrics.json").exists()
    assert run(project, "killed").returncode == 0
    assert contents(project / "unbroken") == contents(project / "killed")

    metrics = json.loads((project / "killed" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["kimg"] == 2
    assert metrics["style_dimensions"] == 44
    generator = load_generator(project / "killed" / "generator.safetensors", torch.device("cpu"))
    assert generator.style_dimensions == 44
    assert not generator.training


def test_a_stage_killed_leaves_no_worker_behind(project: Path) -> None:
    write_params(project, total_kimg=1000)
    victim = subprocess.Popen(
        command("out"), cwd=project, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_snapshot(project)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    deadline = time.monotonic() + 10
    while members_of(victim.pid):
        assert time.monotonic() < deadline, f"left behind: {members_of(victim.pid)}"
        time.sleep(0.1)


def test_torchrun_takes_the_same_steps(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on several GPUs, with one process each: they join a group that torchrun describes.

    Those that the stage starts itself meet in a temporary folder, whatever that is called.
    """
    odd = tmp_path / f"a b'c\"d#e%41?\n\u00fc{'x' * 150}"
    odd.mkdir()
    with monkeypatch.context() as changed:
        changed.setenv("TMPDIR", str(odd))
        assert run(project, "alone").returncode == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = subprocess.run(
        [*launcher, *command("launched")[1:]],
        cwd=project, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    assert started.stderr.count("2,000/2,000 img") == 1, "one process shows progress"
    assert contents(project / "alone") == contents(project / "launched")


def members_of(session: int) -> list[str]:
    """Process ids of the living members of a session, zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rat": 0.1}, "train_stylegan2.learning_rat: unknown key; allowed here: seed, total_kimg"),
        ({"batch_size": 51}, "a batch_size that minibatch_std_group divides (here 51 and 5)"),
        ({"generator_channels": [4, 4, 4, 4, 4]}, "of equal length, one width per resolution (here 5 and 4)"),
        (
            {"generator_channels": [4] * 5, "discriminator_channels": [4] * 5},
            "5 widths make 64 px images, the data's are 32 x 32 px",
        ),
        ({"resume": [{"path": "gone.safetensors", "sha256": "0" * 64}]}, "resume.0.path: no file gone.safetensors"),
        ({"total_kimg": "resumed"}, "a number for total_kimg where resume is null"),
    ],
)
def test_mistakes_in_params_are_named_before_any_work(project: Path, changes: dict[str, object], message: str) -> None:
    write_params(project, **changes)
    with pytest.raises(StageError, match=re.escape(message)):
        main(project / "images.zarr", project / "out", project / ".resume", project / "params.yaml")
    assert not (project / "out").exists()
    assert not (project / ".resume").exists()


def test_missing_images_end_in_one_line(project: Path) -> None:
    (project / "images.zarr").rename(project / "elsewhere")
    done = run(project, "out")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: images.zarr: missing")


def make_generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorArchitecture(8, 8, 3, 2, (4, 4, 4, 4), 3, "fir"))


def test_a_generator_loads_from_its_file_alone(tmp_path: Path) -> None:
    generator = make_generator()
    save_generator(tmp_path / "first.safetensors", generator)
    save_generator(tmp_path / "second.safetensors", generator)
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "second.safetensors").read_bytes()
    loaded = load_generator(tmp_path / "first.safetensors", torch.device("cpu"))
    s = torch.randn(4, generator.style_dimensions)
    assert torch.equal(loaded.synthesize(s), generator.synthesize(s))
    assert loaded.synthesize(s).shape == (4, 3, 32, 32)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_damaged_generator_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    with pytest.raises(StageError, match="no such weights file"):
        load_generator(path, torch.device("cpu"))
    save_generator(path, make_generator())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StageError, match="cut or not a safetensors file"):
        load_generator(path, torch.device("cpu"))
    save_tensors(path, {"a": torch.zeros(1)}, {"kind": "classifier"})
    with pytest.raises(StageError, match="holds a classifier, needed: a stylegan2-generator"):
        load_generator(path, torch.device("cpu"))
