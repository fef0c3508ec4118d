"""A classifier that a person brought: its folder is no stage's, and its bytes are evidence like any other input."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dvc.repo import Repo

from flows.evidence.attestation import make_keys, read_private_key
from flows.evidence.bundle import make_bundle
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import ROOT, commit, criterion, judged, make_project, repro, stand_in

FILES = {
    "data/brought/x/my_model.py": b"WEIGHTS = 'weights.bin'\n",
    "data/brought/x/weights.bin": bytes(range(256)),
    "data/brought/x/layers/norm.py": b"EPSILON = 1e-5\n",
}
# As dvc.yaml of the project has it: a folder as the dependency of each entry.
STAGES = {
    "bring": {
        "foreach": ["x"],
        "do": {
            "cmd": "mkdir -p data/bring/${item} && echo '{\"n\": 1}' > data/bring/${item}/metrics.json",
            "deps": ["data/brought/${item}"],
            "metrics": [{"data/bring/${item}/metrics.json": {"cache": False}}],
        },
    },
    **judged("data/bring/x/metrics.json"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ed25519PrivateKey]:
    """A project with a brought folder, the bundle of its run, and the key."""
    project = make_project(tmp_path_factory.mktemp("brought"))
    (project / ".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    (project / ".gitignore").write_text("logs/\n*.pyc\n/evidence/\n.dvc-site-cache/\n.keys/\n")
    (project / "params.yaml").write_text(json.dumps({"acceptance": criterion("bring/x: n")}))
    (project / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    for name, content in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    repro(project)
    commit(project, "first")
    private, _, _ = make_keys(project / ".keys")
    key = read_private_key(private)
    with stand_in(project):
        return project, project / make_bundle(key), key


def test_the_bundle_names_each_file_that_was_brought_with_its_hash(
    made: tuple[Path, Path, Ed25519PrivateKey],
) -> None:
    project, bundle, key = made
    inventory = json.loads((bundle / "inventory.json").read_text())
    listed = {name: held for name, held in inventory["files"].items() if name.startswith("data/brought/")}
    assert set(listed) == set(FILES)
    for name, content in FILES.items():
        assert listed[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert listed[name]["size"] == len(content)
    assert "data/brought/x" in inventory["stages"]["bring@x"]["deps"]
    verdict = verify(bundle, [key.public_key()], data=project)
    assert verdict.accepted, verdict.problems


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_of_what_was_brought_is_noticed(made: tuple[Path, Path, Ed25519PrivateKey], name: str) -> None:
    """With the time of the file as it was: DVC itself then looks no further."""
    project, bundle, key = made
    path = project / name
    good, times = path.read_bytes(), path.stat()
    try:
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with stand_in(project), Repo() as repo:
            assert repo.status() == {}
        verdict = verify(bundle, [key.public_key()], data=project)
    finally:
        path.write_bytes(good)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not verdict.accepted
    (problem,) = verdict.problems
    held, found = hashlib.sha256(good), hashlib.sha256(good[:-1] + bytes([good[-1] ^ 1]))
    what = f"{name}: the bundle says sha256 {held.hexdigest()[:16]}, the data hold {found.hexdigest()[:16]}"
    assert str(problem) == what


@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_file_more_or_less_is_noticed(made: tuple[Path, Path, Ed25519PrivateKey], change: str) -> None:
    project, bundle, key = made
    path = project / ("data/brought/x/torch_patch.py" if change == "add" else "data/brought/x/weights.bin")
    good = path.read_bytes() if path.exists() else None
    try:
        path.write_bytes(b"") if change == "add" else path.unlink()
        verdict = verify(bundle, [key.public_key()], data=project)
    finally:
        path.unlink(missing_ok=True)
        if good is not None:
            path.write_bytes(good)
    assert not verdict.accepted
    told = "extra in the data; the bundle does not list it" if change == "add" else "missing in the data; the bundle"
    assert any(str(problem).startswith(f"{path.relative_to(project)}: {told}") for problem in verdict.problems)
