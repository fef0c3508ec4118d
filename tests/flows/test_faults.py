"""What breaks a run, made to happen with the real tools: killed processes, full disks, cut files, flipped bytes."""

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import Project, mount_small_disk, open_project, wait_until

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


def read_results(project: Project) -> dict[str, str]:
    """SHA-256 of each output and of dvc.lock."""
    return {name: hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in (*OUTS, "dvc.lock")}


@pytest.fixture
def pipeline(served_project: Project) -> Project:
    write_pipeline(served_project)
    return served_project


@pytest.fixture(scope="module")
def undisturbed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The results of the same pipeline where nothing went wrong."""
    with open_project(template, tmp_path_factory.mktemp("undisturbed"), None) as project:
        write_pipeline(project)
        (project.path / "fast").touch()
        project.dvc("repro", "-q")
        return read_results(project)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["flow", "supervisor", "guard"])
def test_kill_leaves_no_orphan_and_the_next_run_ends_with_the_same_bytes(
    pipeline: Project, undisturbed: dict[str, str], victim: str
) -> None:
    """The processes above DVC; DVC and the stage themselves are killed in test_stage_run."""
    with pipeline.running("reproduce") as run:
        pipeline.wait_for_file("begun")
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
    assert read_results(pipeline) == undisturbed


@pytest.mark.slow
def test_manual_runs_beside_each_other(pipeline: Project, undisturbed: dict[str, str]) -> None:
    """While one is at work, neither command starts; after it, nothing is left to do."""
    with pipeline.running("reproduce") as first:
        pipeline.wait_for_file("begun")
        for command in ("reproduce", "reevaluate"):
            code, output = pipeline.run(command)
            assert (code, len(output.splitlines())) == (1, 1)
            assert output.startswith(f"error: another run is at work in this project (pid {first.pid}, since ")
        (pipeline.path / "fast").touch()
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert read_results(pipeline) == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mount_small_disk(tmp_path / "disk", "1m") as place:
        yield place


@pytest.mark.slow
def test_full_disk_under_the_cache(served_project: Project, small_disk: Path) -> None:
    """DVC calls it a success; the run does not, and is mended once there is room."""
    project = served_project
    project.dvc("config", "cache.dir", str(small_disk / "cache"))
    project.write_stages(
        big={"cmd": "yes | head -c 3000000 > out", "outs": ["out"]},
        after={"cmd": "cksum out > sum", "deps": ["out"], "outs": ["sum"]},
    )
    code, output = project.run("reproduce")
    assert code == 1
    assert "error: big: an output was not stored, and dvc.lock is as before: the disk of DVC's cache, " in output
    assert "is full (" in output
    assert "; make room there and run again (" in output
    assert not (project.path / "dvc.lock").exists()
    assert not list(small_disk.rglob("*.tmp"))
    assert [entry["outcome"] for entry in project.log()] == ["Failed", "NotRun"]
    assert not (project.path / "sum").exists()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    project.dvc("repro", "-q")
    assert (project.path / "out").stat().st_size == 3_000_000
    assert project.dvc("status").strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_full_disk_under_a_stage(served_project: Project, small_disk: Path) -> None:
    """The stage's own words are the error, and its half output does not count."""
    project = served_project
    project.write_stages(a={"cmd": f"yes | head -c 3000000 > {small_disk}/x && cp {small_disk}/x out", "outs": ["out"]})
    code, output = project.run("reproduce")
    assert code == 1
    assert "No space left on device" in output.splitlines()[-1]
    assert not (project.path / "dvc.lock").exists()


@pytest.mark.slow
def test_flipped_byte_in_the_cache(pipeline: Project, undisturbed: dict[str, str]) -> None:
    """DVC trusts a read-only object, so the run does not see it, and a lost output comes back wrong.

    That is why evidence is made of hashes of the bytes, and why `doctor` looks into the cache.
    """
    (pipeline.path / "fast").touch()
    pipeline.dvc("repro", "-q")
    digest = hashlib.md5((pipeline.path / "raw").read_bytes(), usedforsecurity=False).hexdigest()
    held = pipeline.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    flipped = bytearray(held.read_bytes())
    flipped[100] ^= 1
    held.chmod(0o644)
    held.write_bytes(flipped)
    held.chmod(0o444)
    code, _ = pipeline.run("reproduce")
    assert code == 0
    assert read_results(pipeline) == undisturbed, "outputs in place are not touched"
    (pipeline.path / "raw").unlink()
    pipeline.dvc("repro", "-q")
    assert (pipeline.path / "raw").read_bytes() == flipped, "if this fails, DVC has learnt to look: say so in the docs"
    # A byte that is flipped in an object that may be written is seen, and the stage runs again.
    (pipeline.path / "raw").unlink()
    held.chmod(0o644)
    pipeline.dvc("repro", "-q")
    assert read_results(pipeline) == undisturbed


@pytest.mark.slow
def test_cut_files_of_the_flows(pipeline: Project, undisturbed: dict[str, str]) -> None:
    """What a power cut may leave of the files that runs write: each is mended by the next run, or named."""
    (pipeline.path / "fast").touch()
    pipeline.dvc("repro", "-q")
    assert pipeline.run("reevaluate", "--no-evidence")[0] == 3
    for name in ("logs/flows.jsonl", "logs/reevaluate.jsonl"):
        file = pipeline.path / name
        file.write_bytes(file.read_bytes()[:-20])
    (pipeline.path / "logs/flow.lock").write_text("pid 1")
    (pipeline.path / "evidence").mkdir(exist_ok=True)
    assert pipeline.run("reevaluate", "--no-evidence")[0] == 3
    assert len((pipeline.path / "logs/reevaluate.jsonl").read_text().splitlines()) == 2
    last = (pipeline.path / "logs/flows.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["outcome"] == "Cached"
    assert read_results(pipeline) == undisturbed


def test_cut_lock_file_is_named_and_comes_back(project: Project) -> None:
    """dvc.lock cut short: an error that names it; without it, they are made again."""
    write_pipeline(project)
    (project.path / "fast").touch()
    project.dvc("repro", "-q")
    before = read_results(project)
    lock = project.path / "dvc.lock"
    whole = lock.read_bytes()
    second = whole.index(b"  second:")
    lock.write_bytes(whole[: whole.index(b"md5: ", second) + 2])  # in the middle of a word
    code, output = project.run("reproduce")
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith("error: DVC cannot read this project: ")
    assert "dvc.lock" in output
    for rest in (whole[:second], b""):  # between two stages, where it is still YAML; all of it
        lock.write_bytes(rest)
        project.dvc("repro", "-q")
        assert read_results(project) == before


def test_cut_database_of_the_temporary_server_names_the_way_out(project: Project) -> None:
    write_pipeline(project)
    (project.path / ".prefect").mkdir()
    (project.path / ".prefect/prefect.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    code, output = project.run("reproduce")
    assert code == 1
    assert "error: the temporary Prefect server did not start (" in output
    assert output.rstrip().endswith("or run without Prefect: dvc repro")
    project.wait_for_silence()
