"""All checks of a bundle, in the order in which each may rest on those before it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain as chained
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509 import Certificate

from failure_atlas.assurance.tool import COPIES
from failure_atlas.decisions.acceptance import Verdict as Decision
from flows.evidence import pipeline, recomputed
from flows.evidence.attestation import STAMP, Claims
from flows.evidence.case import CASE_TITLES, compare_case
from flows.evidence.crate import README, compare_crate
from flows.evidence.folder import Contents, compare_bundle, follow_chain, open_signed
from flows.evidence.inventory import Inventory, compare_data, hash_file
from flows.evidence.pipeline import LOCK_FILE, PARAMS, WORKFLOW, PlannedStage
from flows.evidence.reading import (
    YAML_BYTES,
    Budget,
    Problem,
    UnreadableError,
    Verdict,
    expect,
    parse_json,
    parse_yaml,
    read_plain,
)
from flows.evidence.recomputed import COUNTS, GATES
from flows.evidence.spread import find_faults
from flows.evidence.stamp import Newest, Span, check_key, check_newest, compare_times, read_stamp
from flows.evidence.weights import SIGNATURE, compare_weights

INVENTORY, ENVIRONMENT, STAGES = "inventory.json", "environment.json", "stages.json"
CRATE = "ro-crate-metadata.json"
# Files of the bundle that are no copies, beside its envelope.
RECORDS = {INVENTORY, ENVIRONMENT, STAGES, README, CRATE}
OWN = {*RECORDS, *CASE_TITLES, *COPIES, SIGNATURE}
RERUN = "the metrics and figures, from params and code as they are in the commit (--rerun computes them)"
# Stages without which there is no evidence, and what they make.
NEEDED: dict[str, set[str]] = {"acceptance": {GATES, COUNTS}, "report": set()}


def verify(
    bundle: Path,
    keys: Sequence[Ed25519PublicKey],
    data: Path | None = None,
    chain: Path | None = None,
    name: str | None = None,
    authorities: Sequence[Certificate] = (),
    spans: Mapping[str, Span] | None = None,
    newest: Newest | None = None,
    weights_key: EllipticCurvePublicKey | None = None,
) -> Verdict:
    """Check a bundle: signature, name, files, dvc.yaml against all that tells of it, verdicts, report, data, chain.

    keys: the public keys that are trusted; one of them must have signed.  data: the project whose files are compared
    with the recorded hashes.  chain: the folder with the bundles before.  None leaves either out.
    name: of the folder, where it is not yet under its own.  authorities: roots of time stamping authorities; with any,
    a bundle needs a stamp of theirs.  spans: when each key held, by its id; None where that is not asked.
    newest: what the signer says is the newest bundle.  weights_key: that has to have signed the weights.
    What a file says is read only if the signature holds and every file is as it was signed.
    """
    verdict = Verdict()
    try:
        signed = open_signed(bundle, keys)
    except UnreadableError as error:
        verdict.note("signature", [Problem(error.path, error.what)], "")
        return verdict
    claims = signed.claims
    verdict.key = signed.key
    changed = f", {len(claims.changed)} paths differed from it" if claims.changed else ""
    verdict.note("signature", [], f"key {signed.key}; run {claims.name}, commit {claims.commit[:12]}{changed}")
    # A link may give a bundle another's name as well as a copy may.
    names = {name} if name else {bundle.resolve().name, *([bundle.name] if bundle.is_symlink() else [])}
    another = f"signed under the name {claims.name}; a copy, or renamed; name the folder so again"
    others = [Problem(other, another) for other in sorted(names - {claims.name})]
    verdict.note("name", others, "that of the folder is the one signed")
    if verdict.note("files", compare_bundle(bundle, claims), f"{len(claims.files) + 1} files, none missing or extra"):
        _verify_contents(Contents(bundle, claims), claims, data, weights_key, verdict)
    stamped = _note_time(bundle, signed.key, authorities, spans, verdict)
    follows = {claims.previous.sha256} if claims.previous else set()
    if chain is None:
        verdict.lines.append(("chain", "not checked", True))
    else:
        passed = list(follow_chain(chain, claims, keys))
        problems = [each for each in passed if isinstance(each, Problem)]
        earlier = [each for each in passed if not isinstance(each, Problem)]
        before = len(earlier)
        follows |= {each.previous.sha256 for each in earlier if each.previous}
        if not problems:
            problems += _compare_stamps(chain, earlier, keys, stamped, authorities, spans)
        verdict.note("chain", problems, f"{before} bundles before this one, back to the first")
    if newest is not None:
        told = f"as the list of keys said at {newest.at.isoformat()}, which holds until {newest.until.isoformat()}"
        verdict.note("newest", check_newest(signed.sha256, follows, newest, datetime.now(UTC)), told)
    verdict.unchecked += [
        RERUN,
        *(["the data (--data compares them)"] if data is None else []),
        *(["the bundles before this one"] if chain is None else []),
        "what the report says in words and pictures",
        "times and environment" if stamped is None else "the environment, and times before the stamp",
        "that no newer bundle exists" + (f" since {newest.at.isoformat()}" if newest else ""),
    ]
    return verdict


def _note_time(
    bundle: Path,
    key: str,
    authorities: Sequence[Certificate],
    spans: Mapping[str, Span] | None,
    verdict: Verdict,
) -> datetime | None:
    """Since when a bundle has existed, if an authority says so; and whether its key held then."""
    stamped: datetime | None = None
    if authorities:
        try:
            stamped = read_stamp(bundle, authorities)
        except UnreadableError as error:
            verdict.note("time", [Problem(error.path, error.what)], "")
            return None
        if stamped is None:
            verdict.note("time", [Problem(STAMP, "missing; --authority asks for a stamp")], "")
        else:
            found = chained.from_iterable(compare_times(stamped, stated, CRATE) for stated in _read_made(bundle))
            verdict.note("time", found, f"existed at {stamped.isoformat(timespec='seconds')}, as its stamp says")
    elif (bundle / STAMP).exists():
        verdict.lines.append(("time", "its stamp is not checked: name the authority's root with --authority", True))
    if spans is not None:
        verdict.note("key dates", check_key(key, spans, stamped), "the key held then, as the list of keys says")
    return stamped


def _read_made(bundle: Path) -> Iterator[str]:
    """When a bundle says that it was made."""
    graph = expect(parse_json(read_plain(bundle, CRATE)), dict, "crate")["@graph"]
    yield next(str(each.get("datePublished", "")) for each in graph if each.get("@id") == "./")


def _compare_stamps(
    chain: Path,
    earlier: Sequence[Claims],
    keys: Sequence[Ed25519PublicKey],
    stamped: datetime | None,
    authorities: Sequence[Certificate],
    spans: Mapping[str, Span] | None,
) -> Iterator[Problem]:
    """Where bundles of a chain are stamped in another order, or their keys did not hold.

    The stamp of a later one shows of those before it, whose digests lead to it, that they existed then.
    """
    for claims in earlier:
        path = chain / claims.name
        own = read_stamp(path, authorities) if authorities else None
        if own is not None and stamped is not None and own > stamped:
            yield Problem(f"{claims.name}/{STAMP}", "stamped later than the bundle that follows it")
        stamped = own or stamped
        if spans is not None:
            for problem in check_key(open_signed(path, keys).key, spans, stamped):
                yield Problem(f"{claims.name}/{problem.path}", problem.what)


def _verify_contents(
    contents: Contents, claims: Claims, data: Path | None, weights_key: EllipticCurvePublicKey | None, verdict: Verdict
) -> None:
    """Check what the files of a bundle say against each other, and against the data."""
    try:
        inventory = contents.parse(INVENTORY, lambda text: Inventory.from_json(contents.json(text)))
        rows = contents.parse(STAGES, lambda text: expect(contents.json(text), list, "stages"))
        lock = contents.parse(LOCK_FILE, pipeline.read_lock)
        params = contents.parse(PARAMS, lambda text: expect(parse_yaml(text), dict, "params"))
        plan = contents.parse(WORKFLOW, lambda text: pipeline.read_pipeline(text, contents.read(PARAMS)))
    except UnreadableError as error:
        verdict.note("contents", [Problem(error.path, error.what)], "")
        return
    count = f"{len(plan)} stages of {WORKFLOW}, with its deps, outs and params in {LOCK_FILE}, {STAGES} and {INVENTORY}"
    whole = verdict.note(
        "stages", chained(pipeline.compare_plan(plan, lock, rows, inventory), _require_stages(plan)), count
    )
    # Of stages that dvc.yaml no longer has, dvc.lock may keep entries; nothing rests on them.
    used = {name: lock[name] for name in plan if name in lock}
    told, budget = f"md5 and params agree with the bytes of {len(inventory.files)} files", Budget(YAML_BYTES)

    def read(path: str) -> bytes | None:
        return contents.read(path, budget) if path in contents.files else None

    verdict.note("dvc.lock", pipeline.compare_lock(used, inventory.files, read), told)
    verdict.note("copies", _compare_copies(claims, inventory, plan), "all that belongs here, and nothing else")
    crate = compare_crate(CRATE, contents, inventory)
    verdict.note("crate", crate, "its sha256 are those of the statement and the inventory")
    metrics = [path for path in pipeline.list_metrics(plan) if path in contents.files]
    faults = (Problem(path, told) for path in metrics for told in find_faults(contents.parse(path, contents.json)))
    verdict.note("metrics", faults, f"the intervals of {len(metrics)} files hold their values, and are finite")
    if whole:
        decided: list[Decision] = []
        claims_too = " and claims" if recomputed.CLAIMS_STAGE in plan else ""
        told = f"acceptance criteria{claims_too}, decided again from the metrics"
        verdict.note("verdicts", recomputed.compare_verdicts(params, plan, contents, decided), told)
        shown = recomputed.compare_report(contents, decided)
        verdict.note("report", shown, "shows these verdicts, and the metrics as they are")
        told = "argument, clauses and what is known of the tool, made again from params and metrics"
        verdict.note("case", compare_case(params, decided, contents, inventory), told)
    if SIGNATURE in claims.files or weights_key is not None:
        told = "signed by the key given" if weights_key else "as the inventory has them; name the key that signed them"
        told += "" if weights_key else " with --weights-key"
        verdict.note("weights", compare_weights(contents, inventory.files, weights_key), told)
    if data is None:
        verdict.lines.append(("data", "not checked", True))
        return
    verdict.note("data", _compare_project(data, claims, inventory), f"{len(inventory.files)} files in {data}")


def _require_stages(plan: Mapping[str, PlannedStage]) -> Iterator[Problem]:
    for name, outs in NEEDED.items():
        if name not in plan:
            yield Problem(WORKFLOW, f"no stage {name}; a run without it is no evidence of anything")
        elif missing := outs - plan[name].outs:
            yield Problem(WORKFLOW, f"stage {name} does not make {', '.join(sorted(missing))}")
    if "acceptance" in plan and "acceptance" not in plan["acceptance"].params.get(PARAMS, ()):
        yield Problem(WORKFLOW, "stage acceptance does not read the section acceptance of params.yaml")


def _compare_copies(claims: Claims, inventory: Inventory, plan: Mapping[str, PlannedStage]) -> Iterator[Problem]:
    wanted = pipeline.choose_files(plan, inventory.files)
    own = {*RECORDS, *CASE_TITLES}
    for name in sorted({*wanted, *own} - claims.files.keys()):
        yield Problem(name, f"missing in the bundle, where {WORKFLOW} wants it")
    for name in sorted(claims.files.keys() - wanted - OWN):
        yield Problem(name, f"nothing that {WORKFLOW} wants in a bundle")
    told = {name: sha256 for name, sha256 in claims.files.items() if name not in OWN} | claims.others
    for name in sorted({*told, *inventory.files}):
        held = inventory.files.get(name)
        if held is None and name not in (WORKFLOW, LOCK_FILE):
            yield Problem(name, "the statement tells of it, the inventory does not")
        elif held is not None and held.sha256 != told.get(name):
            what = f"the inventory says sha256 {held.sha256[:16]}, the statement {str(told.get(name))[:16]}"
            yield Problem(name, what)


def _compare_project(project: Path, claims: Claims, inventory: Inventory) -> Iterator[Problem]:
    yield from compare_data(inventory, project)
    # Files of the bundle that no stage lists, as dvc.yaml and dvc.lock.
    for name in (LOCK_FILE, WORKFLOW):
        if not (project / name).is_file():
            yield Problem(name, "missing in the data; the bundle holds it")
        elif hash_file(project, name).sha256 != claims.files.get(name):
            yield Problem(name, "another one in the data than in the bundle; has the project moved on since?")
