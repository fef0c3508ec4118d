"""One stage through the real DVC: what it is called, what of DVC's lines is told, and what it leaves when it breaks."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows.children import Children
from flows.console import is_hint
from flows.dag import read_all_changes
from flows.environment import prepare_environment
from flows.outcome import Outcome, StageRun
from flows.stage_run import find_error, run_stage
from tests.flows.conftest import ROOT, Project, wait_until


@pytest.fixture
def toy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(os, "environ", project.environment.copy())
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    prepare_environment()
    return project


def run(stage: str, children: Children | None = None) -> tuple[StageRun, list[str]]:
    lines: list[str] = []
    return run_stage(stage, force=False, children=children or Children(), on_line=lines.append), lines


def test_stage_that_always_runs_is_done(toy: Project) -> None:
    toy.write_stages(a={"cmd": "echo x > out", "outs": ["out"], "always_changed": True})
    assert [run("a")[0].outcome for _ in range(2)] == [Outcome.DONE, Outcome.DONE]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("echo 'error: key: got 7; allowed: 1 to 5' >&2; exit 1", "key: got 7; allowed: 1 to 5"),
        ("echo last words; exit 3", "last words (exit code 3)"),
        ("cat dvc.yaml > /dev/full && cp dvc.yaml out", "cat: write error: No space left on device (exit code 1)"),
        ("true", "failed to reproduce 'a': output 'out' does not exist"),
    ],
)
def test_failure_is_told_in_one_line(toy: Project, command: str, error: str) -> None:
    toy.write_stages(a={"cmd": command, "outs": ["out"]})
    ended, _ = run("a")
    assert (ended.outcome, ended.error) == (Outcome.FAILED, error)


def test_output_that_changes_meanwhile_is_no_success(toy: Project) -> None:
    class Meddler(Children):
        def stream(self, *arguments: Any, **options: Any) -> tuple[int, list[str]]:
            ended = super().stream(*arguments, **options)
            Path("out").write_text("somebody else's\n")
            return ended

    toy.write_stages(a={"cmd": "echo one > out", "outs": ["out"]})
    ended, _ = run("a", children=Meddler())
    assert ended.outcome is Outcome.FAILED
    assert ended.error.startswith("not as dvc.lock says after the run (changed outs: out (modified))")


@pytest.fixture
def small_cache(toy: Project) -> Iterator[Path]:
    """A DVC cache on a file system of 2 MB in memory; the test is skipped where this user may not mount one."""
    cache = toy.path / ".dvc/cache"
    cache.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", cache]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a tmpfs")
    yield cache
    subprocess.run(["umount", "--lazy", cache], check=True)


def test_full_disk_fails_though_dvc_exits_with_zero(toy: Project, small_cache: Path) -> None:
    fill = "mkdir -p out; for name in a b c; do head -c $(cat bytes) /dev/urandom > out/$name; done"
    toy.write_stages(
        a={"cmd": fill, "deps": ["bytes"], "outs": ["out"]}, b={"cmd": "head -c 1500000 /dev/zero > b", "outs": ["b"]}
    )
    Path("bytes").write_text("1500000")
    ended, lines = run("a")
    assert not any(line.startswith("ERROR: failed to reproduce") for line in lines), "DVC saw no failure"
    assert not Path("dvc.lock").exists(), "it had recorded the stage"
    for size in ("1000", "1500000"):
        before = Path("dvc.lock").read_bytes() if Path("dvc.lock").exists() else b""
        Path("bytes").write_text(size)
        ended, _ = run("a")
        assert [path for path in small_cache.rglob("*.tmp") if path.is_file()] == []
    assert Path("dvc.lock").read_bytes() == before
    assert ended.outcome is Outcome.FAILED
    assert ended.error.startswith("an output was not stored, and dvc.lock is as before: the disk of DVC's cache, ")
    assert f"{small_cache}/files/md5, is full (" in ended.error
    assert " of 2.0 MiB free now); make room there and run again (failed to transfer '" in ended.error
    # Of a single file DVC does tell that it failed.
    assert run("b")[0].error.startswith("an output was not stored, and dvc.lock is as before: the disk of DVC's cache")
    assert [path for path in small_cache.rglob("*.tmp") if path.is_file()] == []
    assert Path("dvc.lock").read_bytes() == before

    subprocess.run(["mount", "-o", "remount,size=20m", small_cache], check=True)
    assert [run(stage)[0].outcome for stage in "ab"] == [Outcome.DONE, Outcome.DONE]
    assert read_all_changes()[1] == {}


@pytest.mark.parametrize(
    ("victim", "error"), [("--wait-for-lock repro", "dvc ended with exit code 137"), ("sleep 300", "exited with -9")]
)
def test_killed_dvc_or_stage_is_a_failure_leaves_nothing_and_is_mended(toy: Project, victim: str, error: str) -> None:
    slow = "echo half > out; touch begun; test -e fast || exec sleep 300; echo whole > out"
    toy.write_stages(a={"cmd": slow, "outs": ["out"]})

    def find_victims() -> list[int]:
        return [
            number
            for number, command in toy.processes().items()
            if victim in command and not any(other in command for other in ("flows.", "touch"))
        ]

    children = Children()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, "a", children=children)
        try:
            toy.wait_for_file("begun")
            wait_until(lambda: len(find_victims()) == 1, 30, toy.processes)
            os.kill(find_victims()[0], signal.SIGKILL)
            ended, _ = running.result(timeout=90)
        finally:
            children.stop()
    assert ended.outcome is Outcome.FAILED
    assert error in ended.error
    assert {number for number in toy.processes() if number != os.getpid()} == set()
    Path("fast").touch()
    assert run("a")[0].outcome is Outcome.DONE
    assert Path("out").read_text() == "whole\n"


RUNS = ["Running stage 'a':", "> x"]
STAGE_SPOKE = ["training: 5/10 img", "error: params.yaml: train.lr: got -1; allowed: greater than 0"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["", "ERROR: failed to reproduce 'a': missing data: raw"], "failed to reproduce 'a': missing data: raw"),
        (["ERROR: unexpected error - no space left"], "unexpected error - no space left"),
    ],
)
def test_error_of_dvc_itself_is_told(lines: list[str], expected: str) -> None:
    assert find_error(lines, 255) == expected


def test_hints_are_not_for_the_terminal() -> None:
    hints = ["", "\tgit add dvc.lock", "To track the changes with git, run:", "Updating lock file 'dvc.lock'", *RUNS]
    assert all(map(is_hint, hints))
    assert not any(map(is_hint, STAGE_SPOKE))
