"""What a bundle holds, and what gets none."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo
from typer.testing import CliRunner

from flows.cli import app
from flows.errors import FlowError
from flows.evidence.attestation import ENVELOPE, METRICS_SCHEMA, key_id, make_keys, read_private_key, read_public_key
from flows.evidence.bundle import make_bundle
from flows.evidence.case import CASE_TITLES
from flows.evidence.folder import find_last
from flows.evidence.inventory import hash_bytes
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import Made, list_all, read_payload, write_params


def call(*arguments: str) -> tuple[int, str]:
    """Exit code and output; an error that the command line would tell is raised."""
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_what_a_bundle_holds(lasting: Made) -> None:
    held = {path.relative_to(lasting.newest).as_posix() for path in list_all(lasting.newest)}
    assert held == {
        *("README.md", ENVELOPE, "dvc.lock", "dvc.yaml", "environment.json", "inventory.json", "params.yaml"),
        *("ro-crate-metadata.json", "stages.json", "data/measure/metrics.json", "data/report/report.html"),
        *(f"data/acceptance/{name}" for name in ("gates.csv", "gates.json", "metrics.json")),
        *CASE_TITLES,
        "data/measure/figures/numbers.csv",  # not the PNG, not the numbers; whether DVC caches it or not
    }
    inventory = json.loads((lasting.newest / "inventory.json").read_text())
    listed = set(inventory["files"])
    assert {
        "data/draw/numbers/below/c.safetensors",
        "data/measure/figures/numbers.png",
        "work/draw.py",
        "params.yaml",
    } < listed
    assert inventory["metrics"] == ["data/acceptance/metrics.json", "data/measure/metrics.json"]
    table = json.loads((lasting.newest / "stages.json").read_text())
    assert [(row["stage"], row["state"]) for row in table] == [
        (name, "up to date") for name in ("draw", "measure", "acceptance", "report")
    ]
    assert table[0]["command"] == "python work/draw.py"
    said = read_payload(lasting.newest)["predicate"]["buildDefinition"]
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=lasting.project, text=True).strip()
    assert said["resolvedDependencies"][0]["digest"]["gitCommit"] == head
    assert lasting.newest.name.startswith(head[:8] + "-")
    assert said["externalParameters"]["previous"]["name"] == lasting.bundles[0].name
    assert said["internalParameters"] == {"place": 1, "changed": [], "metrics": METRICS_SCHEMA}
    assert json.loads((lasting.newest / "environment.json").read_text())["git"]["changed"] == []


def forge_lock(project: Path) -> None:
    """Flatter the metrics, and write their MD5 into dvc.lock by hand, for the stage that made them and no other."""
    metrics, lock = project / "data/measure/metrics.json", project / "dvc.lock"
    before = hash_bytes(metrics.read_bytes()).md5
    metrics.write_text(metrics.read_text().replace('"n": 30', '"n": 99'))
    after = hash_bytes(metrics.read_bytes()).md5
    lock.write_text(lock.read_text().replace(before, after, 1))


def change_unseen(project: Path) -> None:
    """DVC trusts size and time of a file that it has hashed once."""
    path = project / "data/draw/numbers/a"
    with chdir(project), Repo() as repo:
        assert repo.status() == {}
    times = path.stat()
    path.write_bytes(b"9" + path.read_bytes()[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with chdir(project), Repo() as repo:
        assert repo.status() == {}


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (change_unseen, r"data/draw/numbers: dvc.lock says md5 \w+.dir \(draw\), the bytes give \w+.dir; no evidence"),
        (forge_lock, r"acceptance: .*metrics.json.*; run `failure-atlas reproduce` first"),
        (lambda project: write_params(project, 3), r"draw: .*params.yaml.*; run `failure-atlas reproduce` first"),
        (lambda project: (project / "dvc.lock").unlink(), r"no dvc.lock here; run `failure-atlas reproduce` first"),
        (lambda project: shutil.rmtree(project / ".git"), r"git rev-parse in .*: fatal: .*; a git repository with"),
        (lambda project: (project / "data/measure/metrics.json").unlink(), r"measure: .*deleted.*run `failure-atlas"),
    ],
)  # fmt: skip
def test_results_that_get_no_bundle(
    made: Made, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], what: str
) -> None:
    spoil(made.project)
    before = sorted(path.name for path in made.newest.parent.iterdir())
    monkeypatch.chdir(made.project)
    with pytest.raises(FlowError, match=what):
        make_bundle(made.key, Path("evidence/another"))
    assert sorted(path.name for path in made.newest.parent.iterdir()) == before


def test_next_bundle(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """After another commit, what a killed run left half is swept away, and the chain grows."""
    monkeypatch.chdir(made.project)
    with pytest.raises(FlowError, match=r"is there already: this state has its bundle; name another folder with --out"):
        make_bundle(made.key)
    (made.project / "note.txt").write_text("not committed")
    half = made.newest.parent / ".partial-killed"
    half.mkdir()
    (half / "attestation.dsse.json").write_text("{")
    (made.newest.parent / "accepted").write_text(made.newest.name)  # other files beside the bundles do no harm
    third = made.project / make_bundle(made.key, Path("evidence/third"))
    assert not half.exists()
    verdict = verify(third, made.keys, made.project, third.parent)
    assert verdict.accepted
    assert verdict.lines[0][1].endswith(", 1 paths differed from it")
    assert read_payload(third)["predicate"]["buildDefinition"]["internalParameters"]["changed"] == ["note.txt"]
    # A second one after the same bundle: the chain has two ends, and a person has to say which to follow.
    fork = made.project / make_bundle(made.key, Path("evidence/fork"), previous=made.newest)
    assert verify(fork, made.keys, made.project, fork.parent).accepted
    with pytest.raises(FlowError, match=r"the chain of bundles has 2 ends \(fork, third\); name one with --previous"):
        find_last(third.parent, made.keys)


def test_no_bundle_follows_a_spoilt_one(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.project)
    (made.newest / "README.md").write_text("edited")
    with pytest.raises(FlowError, match=r"no bundle can follow this one: README.md: the statement says sha256 "):
        make_bundle(made.key, Path("evidence/third"))
    assert not (made.project / "evidence/third").exists()


def test_new_key_follows_an_old_one_that_is_named(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.project)
    private, public, _ = make_keys(Path("new-keys"))
    with pytest.raises(FlowError, match=r"attestation.dsse.json: signed by the key \w+, not by \w+; a chain goes on"):
        make_bundle(read_private_key(private), Path("evidence/third"))
    old = ".keys/evidence.pub.pem"
    code, output = call("evidence", "--key", str(private), "--trust", old, "--out", "evidence/third")
    assert (code, output) == (0, "evidence/third\n")
    assert call("verify", "evidence/third", "--key", str(public), "--key", old)[0] == 0
    code, output = call("verify", "evidence/third", "--key", str(public))
    assert code == 1
    assert f"     {made.newest.name}/attestation.dsse.json: signed by the key " in output


def test_verifier_at_the_command_line(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.project)
    name = f"evidence/{made.newest.name}"
    code, output = call("verify", name)
    assert code == 0
    key = made.project / ".keys/evidence.pub.pem"
    assert output.startswith(f"ok   signature  key {key_id(read_public_key(key))}; run {made.newest.name}, ")
    assert output.splitlines()[0].endswith(", from .keys/evidence.pub.pem")
    assert output.splitlines()[-2] == f"accepted: {name}"
    assert output.splitlines()[-1] == (
        "not computed again: the metrics and figures, from params and code as they are in the commit (--rerun "
        "computes them); what the report says in words and pictures; times and environment; that no newer bundle exists"
    )
    path = made.newest / "params.yaml"
    path.write_text(path.read_text().replace("10", "11"))
    code, output = call("verify", name, "--no-data", "--alone")
    assert code == 1
    assert re.search(
        r"\nBAD  files      1 problem\n.*\n     params.yaml: the statement says sha256 \w+, the bytes", output
    )
    assert output.splitlines()[-1] == f"NOT ACCEPTED: {name}"


def test_verifier_away_from_the_project(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = tmp_path / "handed over" / made.newest.name
    shutil.copytree(made.newest, alone)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowError, match=r"no public key at .keys/evidence.pub.pem; name the maker's with --key"):
        call("verify", str(alone))
    key = str(made.project / ".keys/evidence.pub.pem")
    code, output = call("verify", str(alone), "--key", key)
    assert code == 1
    assert f"     {made.bundles[0].name}: missing; the bundle {made.newest.name} follows the envelope" in output
    code, output = call("verify", str(alone), "--key", key, "--alone")
    assert code == 0
    assert "ok   data       not checked\nok   chain      not checked\n" in output
    assert call("verify", str(alone), "--key", key, "--alone", "--data", str(made.project))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["verify", "none"], "none: no such folder"),
        (["verify", ".", "--data", "work"], "--data work: no dvc.yaml there"),
        (["verify", ".", "--data", ".", "--no-data"], "--data and --no-data: allowed is one of them"),
        (["verify", ".", "--data", "..", "--rerun"], "--data ..: no dvc.yaml there"),
        (["verify", "evidence", "--key", "none.pem"], r"none.pem: cannot read the key \(missing\); get it"),
        (["evidence", "--key", "none.pem"], r"none.pem: cannot read the key \(missing\); make one"),
        (["evidence", "--previous", "work"], "work: attestation.dsse.json: missing; a chain goes on only from"),
        (["key"], "is there already and is never overwritten; name another folder with --out"),
    ],
)
def test_mistakes_at_the_command_line(
    made: Made, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.chdir(made.project)
    if "--previous" in arguments:
        arguments = [*arguments, "--out", "evidence/third"]
    with pytest.raises(FlowError, match=what):
        call(*arguments)


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowError, match=r"no dvc.yaml here; go to the project's root and try again"):
        call("evidence")
    (tmp_path / "file").touch()
    with pytest.raises(FlowError, match=r"file/keys: cannot write a key there \(Not a directory\)"):
        call("key", "--out", "file/keys")
    code, output = call("key")
    assert code == 0
    assert re.search(r"^\.keys/evidence\.pem  private: never leaves this machine\n.*\nkey [0-9a-f]{64}\n$", output)
