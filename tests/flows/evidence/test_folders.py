"""Stages that read whole folders: outputs of other stages, tracked and ignored files, code that was brought."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows.evidence.attestation import make_keys, read_private_key
from flows.evidence.bundle import make_bundle
from flows.evidence.inventory import (
    Inventory,
    compare_data,
    dvc_md5,
    hash_bytes,
    hash_path,
    keep_outermost,
    list_files,
    select_below,
    take_inventory,
)
from flows.evidence.pipeline import LockedStage, compare_files, read_lock
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import ROOT, commit, criterion, judged, make_project, repro, stand_in

RANK = "mkdir -p data/rank/${item} && cd data/rank/${item} && echo ${item} > scores && echo '{\"n\": 1}' > metrics.json"
STAGES = {
    "rank": {
        "foreach": ["clean", "corrupted"],
        "do": {
            "cmd": RANK,
            "outs": ["data/rank/${item}/scores"],
            "metrics": [{"data/rank/${item}/metrics.json": {"cache": False}}],
        },
    },
    "collect": {
        "cmd": "mkdir -p data/collect && cat data/rank/*/scores > data/collect/all",
        "deps": ["data/rank", "data/brought/x"],
        "outs": ["data/collect/all"],
    },
    **judged("data/rank/clean/metrics.json"),
}
# A classifier that a person brought: its folder is no stage's, and its bytes are evidence like any other input.
BROUGHT = {
    "data/brought/x/my_model.py": b"WEIGHTS = 'weights.bin'\n",
    "data/brought/x/weights.bin": bytes(range(256)),
    "data/brought/x/layers/norm.py": b"EPSILON = 1e-5\n",
}
IGNORED = ("data/rank/clean/__pycache__/x.pyc", "data/rank/logs/run.log")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("folders"))
    (project / ".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    (project / ".gitignore").write_text("logs/\n*.pyc\n/evidence/\n.dvc-site-cache/\n.keys/\n")
    (project / "params.yaml").write_text(json.dumps({"acceptance": criterion("rank/clean: n")}))
    (project / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    texts = {name: name.encode() for name in ("data/rank/README.md", "data/rank/.hidden", *IGNORED)}
    for name, content in (texts | BROUGHT).items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    repro(project)
    commit(project, "first")
    return project


def read_stages(project: Path) -> dict[str, LockedStage]:
    return read_lock((project / "dvc.lock").read_bytes())


def take(project: Path) -> Inventory:
    return take_inventory(project, read_stages(project), [])


def test_hash_of_the_folder_is_that_of_dvc(project: Path) -> None:
    held = read_stages(project)["collect"].deps["data/rank"]
    assert held.endswith(".dir")
    files = hash_path(project, "data/rank")
    assert dvc_md5(files, "data/rank") == held
    written = {f"{key}/{name}" for key in ("clean", "corrupted") for name in (".gitignore", "metrics.json", "scores")}
    assert set(list_files(project, "data/rank")) == {"README.md", ".hidden", *written}
    with stand_in(project), Repo() as repo:
        assert repo.status() == {}


def test_each_file_is_listed_once_and_by_what_it_is(project: Path) -> None:
    inventory = take(project)
    assert list(compare_files(read_stages(project), inventory.files)) == []
    assert set(inventory.outs) == {
        *("data/collect/all", "data/report/report.html"),
        *(f"data/acceptance/{name}" for name in ("gates.csv", "gates.json", "metrics.json")),
        *(f"data/rank/{key}/{name}" for key in ("clean", "corrupted") for name in ("metrics.json", "scores")),
    }
    assert {"data/rank/README.md", "data/rank/.hidden", "data/rank/clean/.gitignore"} <= set(inventory.inputs)
    assert not any(name in inventory.files for name in IGNORED)
    below = select_below(inventory.files, "data/rank", sorted(inventory.files))
    assert set(below) == set(hash_path(project, "data/rank"))


@pytest.mark.parametrize("name", ["README.md", ".hidden", "clean/.gitignore", "clean/scores"])
def test_change_of_any_file_in_the_folder_is_seen(project: Path, name: str) -> None:
    inventory = take(project)
    path = project / "data/rank" / name
    good = path.read_bytes()
    path.write_bytes(good + b"#")
    try:
        told = {problem.path for problem in compare_files(read_stages(project), take(project).files)}
        assert "data/rank" in told
        assert [problem.path for problem in compare_data(inventory, project)] == [f"data/rank/{name}"]
    finally:
        path.write_bytes(good)


def test_new_files_are_seen_once_and_ignored_ones_are_not(project: Path) -> None:
    inventory = take(project)
    new, ignored = project / "data/rank/clean/new", project / "data/rank/clean/y.pyc"
    try:
        ignored.write_text("of no matter")
        assert list(compare_data(inventory, project)) == []
        assert take(project) == inventory
        new.write_text("of some")
        assert [problem.path for problem in compare_data(inventory, project)] == ["data/rank/clean/new"]
        assert [problem.path for problem in compare_files(read_stages(project), take(project).files)] == ["data/rank"]
    finally:
        ignored.unlink()
        new.unlink()


def test_outermost_paths() -> None:
    assert keep_outermost(["a/b", "a", "a/b/c", "ab", "c/d", "c/d"]) == ["a", "ab", "c/d"]


@pytest.fixture(scope="module")
def check(project: Path) -> Callable[[], list[str]]:
    """The problems of the project's bundle, held against its data."""
    private, _, _ = make_keys(project / ".keys")
    key = read_private_key(private)
    with stand_in(project):
        bundle = project / make_bundle(key)
    return lambda: [str(problem) for problem in verify(bundle, [key.public_key()], data=project).problems]


def test_what_was_brought_is_listed_with_its_hashes(project: Path, check: Callable[[], list[str]]) -> None:
    assert check() == []
    inventory = take(project)
    assert {name: held for name, held in inventory.files.items() if name.startswith("data/brought/")} == {
        name: hash_bytes(content) for name, content in BROUGHT.items()
    }
    assert "data/brought/x" in inventory.stages["collect"].deps


@pytest.mark.parametrize("name", BROUGHT)
def test_one_flipped_bit_of_what_was_brought_is_noticed(
    project: Path, check: Callable[[], list[str]], name: str
) -> None:
    """With the time of the file as it was: DVC itself then looks no further."""
    path, good = project / name, BROUGHT[name]
    times, spoilt = path.stat(), good[:-1] + bytes([good[-1] ^ 1])
    try:
        path.write_bytes(spoilt)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with stand_in(project), Repo() as repo:
            assert repo.status() == {}
        told = check()
    finally:
        path.write_bytes(good)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    held, found = (hash_bytes(content).sha256[:16] for content in (good, spoilt))
    assert told == [f"{name}: the bundle says sha256 {held}, the data hold {found}"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("torch_patch.py", b"", "extra in the data; the bundle does not list it"),
        ("weights.bin", None, "missing in the data; the bundle lists it"),
    ],
)
def test_a_file_more_or_less_is_noticed(
    project: Path, check: Callable[[], list[str]], name: str, content: bytes | None, told: str
) -> None:
    path = project / "data/brought/x" / name
    path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
    try:
        assert check() == [f"data/brought/x/{name}: {told}"]
    finally:
        path.unlink() if content is not None else path.write_bytes(BROUGHT[f"data/brought/x/{name}"])
