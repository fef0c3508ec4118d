"""All checks of a bundle, in the order in which each may rest on those before it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.evidence.chain import follow_chain
from flows.evidence.folder import ENVELOPE, compare_bundle, open_signed
from flows.evidence.hashing import hash_bytes
from flows.evidence.inventory import Inventory, compare_data
from flows.evidence.locked import LOCK_FILE, LockedStage, compare_files, compare_params, read_lock
from flows.evidence.problem import Problem, Verdict
from flows.evidence.report_metrics import compare_shown, read_shown
from flows.evidence.statement import Claims

INVENTORY = "inventory.json"
STAGES = "stages.json"
PAGES = "data/report/"


def verify(
    bundle: Path, keys: Sequence[Ed25519PublicKey], data: Path | None = None, chain: Path | None = None
) -> Verdict:
    """Check a bundle: signature, files, dvc.lock, stages, report, data, chain.

    keys: the public keys that are trusted; one of them must have signed.  data: the project whose files are compared
    with the recorded hashes.  chain: the folder with the bundles before.  None leaves either out.
    What a file says is read only if the signature holds and every file is as it was signed.
    """
    verdict = Verdict()
    signed = open_signed(bundle, keys)
    if isinstance(signed, Problem):
        verdict.note("signature", [signed], "")
        return verdict
    claims = signed.claims
    changed = f", {len(claims.changed)} paths differed from it" if claims.changed else ""
    verdict.note("signature", [], f"key {signed.key[:16]}; run {claims.name}, commit {claims.commit[:12]}{changed}")
    if verdict.note("files", compare_bundle(bundle, claims), f"{len(claims.files) + 1} files, none missing or extra"):
        _verify_contents(bundle, claims, data, verdict)
    if chain is None:
        verdict.lines.append(("chain", "not checked", True))
    else:
        problems, passed = follow_chain(chain, claims, keys)
        verdict.note("chain", problems, f"{passed} bundles before this one, back to the first")
    return verdict


def _verify_contents(bundle: Path, claims: Claims, data: Path | None, verdict: Verdict) -> None:
    """Check what the files of a bundle say against each other, and against the data."""
    try:
        inventory = Inventory.from_json(json.loads((bundle / INVENTORY).read_bytes()))
        stages = {row["stage"]: row for row in json.loads((bundle / STAGES).read_bytes())}
        commands = {name: str(row["command"]) for name, row in stages.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        verdict.note("contents", [Problem(ENVELOPE, f"no inventory or stages that can be read ({error})")], "")
        return
    try:
        lock = read_lock((bundle / LOCK_FILE).read_bytes())
    except (OSError, ValueError) as error:
        verdict.note("dvc.lock", [Problem(LOCK_FILE, str(error))], "")
        return
    # Of stages that dvc.yaml no longer has, dvc.lock may keep entries; nothing rests on them.
    used = {name: lock[name] for name in commands if name in lock}
    verdict.note(
        "dvc.lock",
        _compare_lock(bundle, used, commands, inventory),
        f"{len(used)} stages; md5, params and commands agree with the bytes of {len(inventory.files)} files",
    )
    verdict.note("copies", _compare_copies(claims, inventory), "the bundle's copies are the files of the inventory")
    _verify_report(bundle, claims, inventory, verdict)
    if data is None:
        verdict.lines.append(("data", "not checked", True))
        return
    verdict.note("data", _compare_project(data, claims, inventory), f"{len(inventory.files)} files in {data}")


def _compare_lock(
    bundle: Path, lock: dict[str, LockedStage], commands: dict[str, str], inventory: Inventory
) -> Iterator[Problem]:
    for name, command in commands.items():
        if name not in lock:
            yield Problem(LOCK_FILE, f"no stage {name}")
        elif lock[name].command != command:
            yield Problem(LOCK_FILE, f"{name}: another command than in {STAGES}")
    yield from compare_files(lock, inventory.files)
    params = {path for stage in lock.values() for path in stage.params}
    yield from compare_params(
        lock, {path: (bundle / path).read_bytes() for path in params if (bundle / path).is_file()}
    )


def _compare_copies(claims: Claims, inventory: Inventory) -> Iterator[Problem]:
    for name, sha256 in claims.files.items():
        held = inventory.files.get(name)
        if held is not None and held.sha256 != sha256:
            yield Problem(name, f"the inventory says sha256 {held.sha256[:16]}, the statement {sha256[:16]}")


def _verify_report(bundle: Path, claims: Claims, inventory: Inventory, verdict: Verdict) -> None:
    pages = [name for name in claims.files if name.startswith(PAGES) and name.endswith(".html")]
    problems: list[Problem] = []
    count = 0
    # Any JSON file may be shown, not metrics alone.
    held = {
        name: json.loads((bundle / name).read_bytes())
        for name in claims.files
        if name.endswith(".json") and (name in inventory.files or name in inventory.metrics)
    }
    for page in pages:
        try:
            shown = read_shown((bundle / page).read_bytes())
        except ValueError as error:
            problems.append(Problem(page, str(error)))
            continue
        problems += compare_shown(page, shown or {}, held)
        count += len(shown or {})
    summary = f"metrics of {count} files are shown as they are" if count else "no page that embeds metrics: not checked"
    verdict.note("report", problems, summary)


def _compare_project(project: Path, claims: Claims, inventory: Inventory) -> Iterator[Problem]:
    yield from compare_data(inventory, project)
    # Files of the bundle that no stage lists, as dvc.yaml and dvc.lock.
    for name in (LOCK_FILE, "dvc.yaml"):
        if not (project / name).is_file():
            yield Problem(name, "missing in the data; the bundle holds it")
            continue
        found = hash_bytes((project / name).read_bytes())
        if found.sha256 != claims.files.get(name):
            yield Problem(name, "another one in the data than in the bundle; has the project moved on since?")
