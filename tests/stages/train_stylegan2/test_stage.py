"""The stage as a command: equal bytes, kill -9 and rerun, files that load by themselves, and user errors."""

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
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, load_generator, save_generator
from stages.common.artefacts.images import named_arrays
from stages.train_stylegan2.__main__ import main
from tests import yaml12 as yaml
from tests.house import ROOT

TINY = {
    "resume": None, "total_kimg": 2, "snapshot_kimg": 1, "z_dim": 8, "w_dim": 8, "generator_channels": [4, 4, 4, 4],
    "discriminator_channels": [4, 4, 4, 4], "batch_size": 50, "minibatch_std_group": 5,
}  # fmt: skip
VARIABLES = {"PYTHONPATH": str(ROOT), "FAILURE_ATLAS_PROCESSES": "2", "FAILURE_ATLAS_DEVICE": "cpu"}
CPU = torch.device("cpu")


def make_project(folder):
    rng = np.random.default_rng(0)
    part = ImageSet(rng.integers(0, 255, (60, 1, 32, 32), dtype=np.uint8), np.arange(60) % 10)
    write_arrays(folder / "images.zarr", named_arrays("train", part), {"class_names": [*"0123456789"]})
    write_params(folder)
    return folder


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, hash_folder):
    """What a training leaves that nothing disturbs, as hashes.

    Its two processes meet in a temporary folder, whatever that is called.
    """
    project = make_project(tmp_path_factory.mktemp("unbroken"))
    (odd := project / f"a b'c\"d#e%41?\n\u00fc{'x' * 150}").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(odd))
        train(project)
    assert not list((project / ".resume").rglob("*.safetensors")), "resume state is removed after success"
    metrics = json.loads((project / "out" / "metrics.json").read_text(encoding="utf-8"))
    generator = load_generator(project / "out" / "generator.safetensors", CPU)
    assert (metrics["kimg"], metrics["style_dimensions"], generator.style_dimensions) == (2, 44, 44)
    assert not generator.training
    return hash_folder(project / "out")


def write_params(project, **changes):
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    section = {**document["train_stylegan2"], **TINY, **changes}
    (project / "params.yaml").write_text(yaml.safe_dump({"train_stylegan2": section}), encoding="utf-8")


def train(project):
    """Run the stage in this process, which starts the second one."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        main(project / "images.zarr", project / "out", project / ".resume/train_stylegan2", project / "params.yaml")


def start(project, *launcher, **options):
    """Start the stage as a command."""
    words = [*(launcher or [sys.executable]), "-m", "stages.train_stylegan2", "--images", "images.zarr", "--out", "out"]
    options |= {"cwd": project, "env": os.environ | VARIABLES, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, **options)


def wait_until(wanted, seconds):
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_at_any_moment_it_leaves_no_worker_and_the_next_run_ends_with_the_same_bytes(
    project, unbroken, hash_folder
):
    with start(project, start_new_session=True) as victim:
        wait_until(lambda: list((project / ".resume").rglob("snapshot.safetensors")), 120)
        assert len(members_of(victim.pid)) > 1, "it has a worker"
        victim.send_signal(signal.SIGKILL)
    wait_until(lambda: not members_of(victim.pid), 10)
    assert not (project / "out" / "metrics.json").exists()
    train(project)
    assert hash_folder(project / "out") == unbroken


def test_torchrun_takes_the_same_steps(project, unbroken, hash_folder):
    """As on several GPUs, with one process each: they join a group that torchrun describes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with start(project, *launcher) as started:
        shown = started.communicate(timeout=300)[1]
    assert started.returncode == 0, shown
    assert shown.count("2,000/2,000 img") == 1, "one process shows progress"
    assert hash_folder(project / "out") == unbroken


def members_of(session):
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


MISTAKES = [
    ({"batch_size": 51}, "a batch_size that minibatch_std_group divides (here 51 and 5)"),
    ({"generator_channels": [4, 4, 4, 4, 4]}, "of equal length, one width per resolution (here 5 and 4)"),
    (
        {"generator_channels": [4] * 5, "discriminator_channels": [4] * 5},
        "5 widths make 64 px images, the data's are 32 x 32 px",
    ),
    ({"resume": [{"path": "gone.safetensors", "sha256": "0" * 64}]}, "resume.0.path: no file gone.safetensors"),
    ({"total_kimg": "resumed"}, "a number for total_kimg where resume is null"),
    (None, "images.zarr: missing; make it with dvc repro"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_mistakes_are_named_before_any_work(project, changes, message):
    if changes is None:
        (project / "images.zarr").rename(project / "elsewhere")
    else:
        write_params(project, **changes)
    with pytest.raises(StageError, match=re.escape(message)):
        main(project / "images.zarr", project / "out", project / ".resume", project / "params.yaml")
    assert not (project / "out").exists()
    assert not (project / ".resume").exists()


def test_a_generator_loads_from_its_file_alone(tmp_path):
    torch.manual_seed(0)
    generator = Generator(GeneratorArchitecture(8, 8, 3, 2, (4, 4, 4, 4), 3, "fir"))
    save_generator(tmp_path / "first.safetensors", generator)
    save_generator(tmp_path / "second.safetensors", generator)
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "second.safetensors").read_bytes()
    loaded = load_generator(tmp_path / "first.safetensors", CPU)
    s = torch.randn(4, generator.style_dimensions)
    assert torch.equal(loaded.synthesize(s), generator.synthesize(s))
    assert loaded.synthesize(s).shape == (4, 3, 32, 32)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
