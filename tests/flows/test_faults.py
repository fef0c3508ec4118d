"""What breaks a run, made to happen with the real tools: killed processes, full disks, cut files, flipped bytes."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import SLOW, Project, open_project, wait_until

PYTHON = "import pathlib, time, hashlib; p = pathlib.Path; p('begun').touch();"
WAIT = "[time.sleep(.1) for n in range(3000) if not p('fast').exists()];"
MAKE = "p('raw').write_bytes(hashlib.sha256(b'raw').digest() * 4000)"
OUTS = ("raw", "double", "report")


def write_pipeline(project: Project) -> None:
    """Three stages in a row; the first waits in its middle, after half of its output, until `fast` is there."""
    half = "p('raw').write_bytes(b'half');"
    project.write_stages(
        first={"cmd": f'python3 -c "{PYTHON} {half} {WAIT} {MAKE}"', "outs": ["raw"]},
        second={"cmd": "cat raw raw > double", "deps": ["raw"], "outs": ["double"]},
        third={"cmd": "cksum raw double > report", "deps": ["raw", "double"], "outs": ["report"]},
    )


def read_results(folder: Path) -> dict[str, str]:
    """SHA-256 of each output and of dvc.lock."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (*OUTS, "dvc.lock")}


@pytest.fixture
def pipeline(served_project: Project) -> Project:
    write_pipeline(served_project)
    return served_project


@pytest.fixture(scope="module")
def made(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pipeline after a run in which nothing went wrong."""
    with open_project(template, tmp_path_factory.mktemp("made"), None) as project:
        write_pipeline(project)
        (project.path / "fast").touch()
        project.dvc("repro", "-q")
        return project.path


@pytest.fixture
def finished(made: Path, tmp_path: Path, server: str) -> Iterator[Project]:
    with open_project(made, tmp_path, server) as project:
        yield project


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["flow", "supervisor", "guard"])
def test_kill_leaves_no_orphan_and_the_next_run_ends_with_the_same_bytes(
    pipeline: Project, made: Path, victim: str
) -> None:
    """The processes above DVC; DVC and the stage themselves are killed in test_stage_run, a disk is full there, too."""
    with pipeline.running("reproduce") as run:
        pipeline.wait_for_file("begun")
        for command in ("reproduce", "reevaluate") if victim == "flow" else ():  # beside it, nothing else may start
            code, told = pipeline.run(command)
            assert (code, len(told.splitlines())) == (1, 1)
            assert told.startswith(f"error: another run is at work in this project (pid {run.pid}, since ")
        called = {"flow": "flows.cli reproduce", "supervisor": "flows.supervisor -- ", "guard": "--guard -- "}[victim]
        (number,) = (number for number, command in pipeline.processes().items() if called in command)
        os.kill(number, signal.SIGKILL)
        wait_until(lambda: "pathlib, time" not in str(pipeline.processes()), 5, pipeline.processes)
        output, _ = run.communicate(timeout=60)
    pipeline.wait_for_silence()
    assert run.returncode != 0
    if victim != "flow":
        assert output.splitlines()[-1] == "error: first: dvc ended with exit code 137 and no message"
        assert [entry["outcome"] for entry in pipeline.log()] == ["Failed", "NotRun", "NotRun"]
    (pipeline.path / "fast").touch()
    pipeline.dvc("repro", "-q")
    assert read_results(pipeline.path) == read_results(made)


@pytest.mark.slow
def test_flipped_byte_in_the_cache(finished: Project, made: Path) -> None:
    """DVC trusts a read-only object, so the run does not see it, and a lost output comes back wrong.

    That is why evidence is made of hashes of the bytes, and why `doctor` looks into the cache.
    """
    digest = hashlib.md5((finished.path / "raw").read_bytes(), usedforsecurity=False).hexdigest()
    held = finished.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    flipped = bytearray(held.read_bytes())
    flipped[100] ^= 1
    held.chmod(0o644)
    held.write_bytes(flipped)
    held.chmod(0o444)
    code, _ = finished.run("reproduce", PREFECT_API_URL="")
    assert code == 0
    assert read_results(finished.path) == read_results(made), "outputs in place are not touched"
    (finished.path / "raw").unlink()
    finished.dvc("repro", "-q")
    assert (finished.path / "raw").read_bytes() == flipped, "if this fails, DVC has learnt to look: say so in the docs"
    # A byte that is flipped in an object that may be written is seen, and the stage runs again.
    (finished.path / "raw").unlink()
    held.chmod(0o644)
    finished.dvc("repro", "-q")
    assert read_results(finished.path) == read_results(made)


@pytest.mark.slow
def test_cut_files_of_the_flows(finished: Project, made: Path) -> None:
    """What a power cut may leave of the files that runs write: each is mended by the next run, or named."""
    assert finished.run("reevaluate", "--no-evidence")[0] == 3
    for name in ("logs/flows.jsonl", "logs/reevaluate.jsonl"):
        file = finished.path / name
        file.write_bytes(file.read_bytes()[:-20])
    (finished.path / "logs/flow.lock").write_text("pid 1")
    (finished.path / "evidence").mkdir(exist_ok=True)
    assert finished.run("reevaluate", "--no-evidence")[0] == 3
    assert len((finished.path / "logs/reevaluate.jsonl").read_text().splitlines()) == 2
    last = (finished.path / "logs/flows.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["outcome"] == "Cached"
    assert read_results(finished.path) == read_results(made)


def test_cut_lock_file_is_named_and_comes_back(finished: Project, made: Path) -> None:
    """dvc.lock cut short: an error that names it; without it, they are made again."""
    project, lock = finished, finished.path / "dvc.lock"
    whole = lock.read_bytes()
    second = whole.index(b"  second:")
    lock.write_bytes(whole[: whole.index(b"md5: ", second) + 2])  # in the middle of a word
    code, output = project.run("reproduce", PREFECT_API_URL="")
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith("error: DVC cannot read this project: ")
    assert "dvc.lock" in output
    lock.write_bytes(whole[:second])  # between two stages, where it is still YAML
    project.dvc("repro", "-q")
    assert read_results(project.path) == read_results(made)
    lock.unlink()
    project.dvc("repro", "-q")
    assert read_results(project.path) == read_results(made)


def test_cut_database_of_the_temporary_server_names_the_way_out(project: Project) -> None:
    write_pipeline(project)
    (project.path / ".prefect").mkdir()
    (project.path / ".prefect/prefect.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    started = time.monotonic()
    code, output = project.run("reproduce")
    assert code == 1
    assert "error: the temporary Prefect server did not start (" in output
    assert output.endswith("; see logs/prefect-server.log, or run without Prefect: dvc repro\n")
    assert time.monotonic() - started < 60, "told at once, not when its time is up"
    project.wait_for_silence()


@pytest.mark.slow
def test_kill_with_a_temporary_server_leaves_no_server(project_with_database: Project) -> None:
    project = project_with_database
    project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    with project.running("reproduce") as process:
        project.wait_for_file("begun", 90)
        assert "prefect server start" in str(project.processes())
        process.kill()
        project.wait_for_silence()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ended_by_signal(pipeline: Project, number: int, expected: int) -> None:
    """Cancelling from Prefect is tested in test_serve."""
    with pipeline.running("reproduce", "--max-workers", "2") as process:
        pipeline.wait_for_file("begun")
        started = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=90)
    assert time.monotonic() - started < 30
    assert process.returncode == expected, output
    assert "Traceback" not in output
    pipeline.wait_for_silence()
