"""Making a bundle: collect, hash, describe, sign, read back, and only then give it its name."""

import os
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flows.errors import FlowError
from flows.evidence import pipeline
from flows.evidence.attestation import ENVELOPE, STAMP, seal, write_statement
from flows.evidence.case import CASE_TITLES, build_case, read_copies
from flows.evidence.crate import README, Run, describe_crate
from flows.evidence.folder import as_previous, find_last
from flows.evidence.inventory import FileHash, hash_bytes, take_inventory, write_json
from flows.evidence.machine import describe_machine, describe_runs, read_stage_table
from flows.evidence.pipeline import LOCK_FILE, PARAMS, WORKFLOW
from flows.evidence.reading import UnreadableError, check_name, expect, parse_json, parse_yaml
from flows.evidence.recomputed import GATES
from flows.evidence.stamp import ask_stamp
from flows.evidence.verification import CRATE, ENVIRONMENT, INVENTORY, OWN, STAGES, verify
from flows.evidence.weights import SIGNATURE, sign_weights
from flows.git import Revision, read_revision

BUNDLES = Path("evidence")
README_TEMPLATE = Path(__file__).with_name("bundle_readme.md")
TITLES = {
    README: "How to read and check this bundle",
    INVENTORY: "SHA-256, MD5 and size of every file that a stage read or wrote",
    ENVIRONMENT: "Environment: packages, Python, operating system, processor, GPUs; commit and what differs from it",
    STAGES: "Stages: command, state, reason, seconds",
    ENVELOPE: "in-toto statement with SLSA provenance in a signed DSSE envelope",
    LOCK_FILE: "DVC's record of the run",
    PARAMS: "Params of the run",
    SIGNATURE: "OpenSSF model-signing signature of the weights, where --weights-key was given",
    **CASE_TITLES,
}
CRATE_TITLE = "All of this as an RO-Crate: files, stages, what each read and wrote"
HALF = ".partial-"


def make_bundle(
    key: Ed25519PrivateKey,
    out: Path | None = None,
    previous: Path | None = None,
    trusted: Sequence[Ed25519PublicKey] = (),
    authority: str | None = None,
    weights_key: EllipticCurvePrivateKey | None = None,
) -> Path:
    """Make the bundle of the project in the current folder; returns its folder.

    out: where to, by default evidence/NAME, the name being the commit and the digest of dvc.lock, shortened.
    previous: the bundle to follow; by default the end of the chain in the folder that `out` lies in.
    trusted: keys that earlier bundles are signed with, beside this one.  authority: URL of a time stamping authority
    that is asked for a stamp; None for none.  weights_key: that signs the weights, too; None for no such signature.
    Raises FlowError that names the file if the results are not those of dvc.lock.
    """
    project = Path.cwd()
    if not (project / LOCK_FILE).is_file():
        raise FlowError(f"{project}: no {LOCK_FILE} here; run `failure-atlas reproduce` first")
    lock_text = (project / LOCK_FILE).read_bytes()
    revision = read_revision(project, leave_out=(out or BUNDLES / "new").parent)
    name = f"{revision.commit[:8]}-{hash_bytes(lock_text).sha256[:8]}"
    out = out or BUNDLES / name
    if out.exists():
        raise FlowError(f"{out} is there already: this state has its bundle; name another folder with --out")
    keys = [key.public_key(), *trusted]
    last = as_previous(previous, keys) if previous else find_last(out.parent, keys)
    table = read_stage_table()
    for row in table:
        if row["state"] != "up to date":
            raise FlowError(f"{row['stage']}: {row['state'][:200]}; run `failure-atlas reproduce` first")
    try:
        locked = pipeline.read_lock(lock_text)
        lock = {row["stage"]: locked[row["stage"]] for row in table}
    except (ValueError, KeyError) as error:
        raise FlowError(f"{LOCK_FILE}: {error}; run `failure-atlas reproduce` first") from error
    try:
        plan = pipeline.read_pipeline((project / WORKFLOW).read_bytes(), (project / PARAMS).read_bytes())
        inventory = take_inventory(project, lock, pipeline.list_metrics(plan))
        for path in inventory.files:
            check_name(path)
    except UnreadableError as error:
        raise FlowError(f"{error}; rename it, or leave it out") from error
    except ValueError as error:
        raise FlowError(f"{WORKFLOW}: {error}") from error
    for problem in pipeline.compare_lock(lock, inventory.files, lambda path: (project / path).read_bytes()):
        raise FlowError(f"{problem}; no evidence of a result that dvc.lock does not hold: run `dvc repro`")
    chosen = pipeline.choose_files(plan, inventory.files)
    if taken := OWN & {*inventory.outs, *chosen}:
        told = "the bundle has a file of this name of its own; let the stage write to another path"
        raise FlowError(f"{min(taken)}: {told}")
    # Should one of them change now, `verify` is to see it.
    contents = {path: (project / path).read_bytes() for path in sorted(chosen)} | {
        INVENTORY: write_json(asdict(inventory)),
        STAGES: write_json(table),
        README: _write_readme(out.name, revision),
        ENVIRONMENT: write_json(
            describe_machine()
            | {"computing": describe_runs({row["stage"]: row["command"] for row in table})}
            | {"git": {"commit": revision.commit, "changed": revision.changed, "url": revision.url}}
        ),
    }
    if weights_key is not None:
        contents[SIGNATURE] = sign_weights(inventory.files, weights_key)
    contents |= _make_case(project, contents, inventory.files)
    files = {path: hash_bytes(data) for path, data in contents.items()}
    crate = describe_crate(_tell_run(project, out.name, revision), files, ENVELOPE, inventory, table, TITLES)
    contents[CRATE] = write_json(crate)
    files[CRATE] = hash_bytes(contents[CRATE])
    payload = write_statement(
        out.name, files, inventory, revision, table, last and last[0], last[1].place + 1 if last else 0
    )
    contents[ENVELOPE] = seal(payload, key)
    if authority is not None:
        contents[STAMP] = ask_stamp(authority, contents[ENVELOPE])
    _write_folder(out, contents, project, keys)
    return out


def _make_case(project: Path, contents: dict[str, bytes], hashes: dict[str, FileHash]) -> dict[str, bytes]:
    """The files of the case, with copies of what is known of the tool; contents: the other files of the bundle."""
    copies = read_copies(project)
    try:
        criteria = expect(parse_json(contents[GATES])["criteria"], list, "criteria")
        params = expect(parse_yaml(contents[PARAMS]), dict, PARAMS)
        return copies | dict(build_case(params, criteria, (contents | copies).get, hashes).files)
    except (ValueError, KeyError, TypeError) as error:
        raise FlowError(f"no case can be made of {GATES} and {PARAMS}: {error}; run `dvc repro acceptance`") from error


def _write_readme(name: str, revision: Revision) -> bytes:
    rows = "\n".join(f"| `{path}` | {title} |" for path, title in sorted((TITLES | {CRATE: CRATE_TITLE}).items()))
    count = len(revision.changed)
    changed = f"{count} paths differed from it (environment.json lists them)." if count else "Nothing differed from it."
    text = README_TEMPLATE.read_text(encoding="utf-8")
    return text.format(name=name, commit=revision.commit, changed=changed, rows=rows).encode()


def _tell_run(project: Path, name: str, revision: Revision) -> Run:
    about = project / "pyproject.toml"
    described = tomllib.loads(about.read_text(encoding="utf-8")).get("project", {}) if about.is_file() else {}
    terms, made = described.get("license"), datetime.now(UTC).isoformat(timespec="seconds")
    title, terms = str(described.get("name", project.name)), terms if isinstance(terms, str) else ""
    return Run(name, title, made, terms, revision.commit, version("dvc"))


def _write_folder(out: Path, contents: dict[str, bytes], project: Path, keys: Sequence[Ed25519PublicKey]) -> None:
    """Write a bundle beside its place, read it back with `verify`, move it there; nothing is left if that fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f"{HALF}*"):
        shutil.rmtree(left)  # of a run that was killed; the run lock says that no other is at work
    half = out.parent / f"{HALF}{out.name}"
    try:
        for path, data in contents.items():
            (half / path).parent.mkdir(parents=True, exist_ok=True)
            with (half / path).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        verdict = verify(half, keys, data=project, chain=out.parent, name=out.name)
        if not verdict.accepted:
            raise FlowError(f"the bundle does not pass its own check: {verdict.problems[0]}; try again")
        half.rename(out)
        number = os.open(out.parent, os.O_RDONLY)
        os.fsync(number)  # its name is on disk
        os.close(number)
    except OSError as error:
        raise FlowError(f"{out}: cannot be written ({error.strerror}); make room or name another folder") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
