"""Stages that read whole folders: outputs of other stages, tracked and ignored files, code that was brought."""

import json
import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows.evidence import inventory as listing
from flows.evidence.attestation import make_keys, read_private_key
from flows.evidence.bundle import make_bundle
from flows.evidence.pipeline import compare_files, read_lock
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import ROOT, commit, criterion, judged, make_project, repro

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


@pytest.fixture(scope="module")
def check(project: Path) -> Callable[[], list[str]]:
    """The problems of the project's bundle, held against its data."""
    private, _, _ = make_keys(project / ".keys")
    key = read_private_key(private)
    with chdir(project):
        bundle = project / make_bundle(key)
    return lambda: [str(problem) for problem in verify(bundle, [key.public_key()], data=project).problems]


def read_stages(project: Path) -> dict[str, listing.LockedStage]:
    return read_lock((project / "dvc.lock").read_bytes())


def take(project: Path) -> listing.Inventory:
    return listing.take_inventory(project, read_stages(project), [])


def test_each_file_is_listed_once_by_what_it_is_and_hashed_as_dvc_does(
    project: Path, check: Callable[[], list[str]]
) -> None:
    assert check() == []
    stages, inventory, below = read_stages(project), take(project), listing.hash_path(project, "data/rank")
    assert stages["collect"].deps["data/rank"].endswith(".dir")
    assert listing.dvc_md5(below, "data/rank") == stages["collect"].deps["data/rank"]
    written = {f"{key}/{name}" for key in ("clean", "corrupted") for name in (".gitignore", "metrics.json", "scores")}
    assert set(listing.list_files(project, "data/rank")) == {"README.md", ".hidden", *written}
    with chdir(project), Repo() as repo:
        assert repo.status() == {}
    assert list(compare_files(stages, inventory.files)) == []
    assert set(inventory.outs) == {
        *("data/collect/all", "data/report/report.html"),
        *(f"data/acceptance/{name}" for name in ("gates.csv", "gates.json", "metrics.json")),
        *(f"data/rank/{key}/{name}" for key in ("clean", "corrupted") for name in ("metrics.json", "scores")),
    }
    assert {"data/rank/README.md", "data/rank/.hidden", "data/rank/clean/.gitignore"} <= set(inventory.inputs)
    assert not any(name in inventory.files for name in IGNORED)
    assert listing.select_below(inventory.files, "data/rank", sorted(inventory.files)) == below
    brought = {name: held for name, held in inventory.files.items() if name.startswith("data/brought/")}
    assert brought == {name: listing.hash_bytes(content) for name, content in BROUGHT.items()}
    assert "data/brought/x" in inventory.stages["collect"].deps


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


CHANGED, EXTRA = "the bundle says sha256 ", "extra in the data; the bundle does not list it"


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        *(
            (f"data/rank/{name}", flip, CHANGED)
            for name in ("README.md", ".hidden", "clean/.gitignore", "clean/scores")
        ),
        *((name, flip, CHANGED) for name in BROUGHT),
        ("data/brought/x/torch_patch.py", lambda _: b"", EXTRA),
        ("data/brought/x/weights.bin", lambda _: None, "missing in the data; the bundle lists it"),
        ("data/rank/clean/new", lambda _: b"of some matter", EXTRA),
        ("data/rank/clean/y.pyc", lambda _: b"ignored, of no matter", ""),
    ],
)
def test_a_change_of_any_file_in_a_folder_is_seen(
    project: Path, check: Callable[[], list[str]], name: str, change: Callable[[bytes], bytes | None], told: str
) -> None:
    """A flipped bit with the time of the file as it was, for which DVC itself then looks no further."""
    path, folder = project / name, "/".join(name.split("/")[:2])
    good, times = (path.read_bytes(), path.stat()) if path.exists() else (b"", None)
    spoilt = change(good)
    try:
        path.write_bytes(spoilt) if spoilt is not None else path.unlink()
        if spoilt is not None and times:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            with chdir(project), Repo() as repo:
                assert repo.status() == {}
        found, locked = check(), [problem.path for problem in compare_files(read_stages(project), take(project).files)]
    finally:
        path.write_bytes(good) if times else path.unlink()
        if times:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(found) == bool(told)
    assert not told or found[0].startswith(f"{name}: {told}")
    assert bool(told) == any(each.startswith(folder) for each in locked)


def test_outermost_paths() -> None:
    assert listing.keep_outermost(["a/b", "a", "a/b/c", "ab", "c/d", "c/d"]) == ["a", "ab", "c/d"]
