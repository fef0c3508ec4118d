"""The commands about evidence: `failure-atlas key`, `evidence` and `verify`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from flows.console import require_project, say
from flows.errors import FlowError


def key(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the key pair.")] = Path(".keys"),
) -> None:
    """Make the Ed25519 key pair that signs evidence bundles.

    The private part (evidence.pem) can be read by you alone and lies in a folder that git ignores; it has no password,
    so keep the folder safe. Give the public part (evidence.pub.pem) to whoever is to check your bundles, by another way
    than the bundles. A key that is there is never overwritten.

    Examples:
      failure-atlas key                     in .keys/
      failure-atlas key --out ~/atlas-keys  in another folder

    Exit code: 0 made, 1 not made (named in the last line), 2 wrong command line.
    """
    from flows.evidence.attestation import make_keys

    try:
        private, public, identity = make_keys(out)
    except OSError as error:
        told = f"{out}: cannot write a key there ({error.strerror}); name another folder with --out"
        raise FlowError(told) from error
    print(f"{private}  private: never leaves this machine")
    print(f"{public}  public: for whoever checks your bundles")
    print(f"key {identity}")


def evidence(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: evidence/COMMIT-LOCK.")] = None,
    key_file: Annotated[Path, typer.Option("--key", "-k", help="Private key in PEM.")] = Path(".keys/evidence.pem"),
    previous: Annotated[Path | None, typer.Option("--previous", help="Bundle to follow; default: the newest.")] = None,
    trust: Annotated[list[Path] | None, typer.Option("--trust", help="Public key of earlier bundles.")] = None,
    timestamp: Annotated[str | None, typer.Option("--timestamp", help="URL of an RFC 3161 authority to ask.")] = None,
    weights_key: Annotated[
        Path | None, typer.Option("--weights-key", help="Elliptic-curve key: OpenSSF signature of the weights.")
    ] = None,
) -> None:
    """Make a signed bundle of the results as they stand: evidence for who need not trust its maker.

    It holds the report, metrics, tables, params, dvc.yaml, dvc.lock, gates and claims, the environment, the stages, and
    the SHA-256 of every file that a stage read or wrote, computed from the bytes. Signed is an in-toto statement with
    SLSA provenance, in a DSSE envelope; the folder is an RO-Crate (Provenance Run Crate). Each bundle names the one
    before by its digest. Results that are not those of dvc.lock get no bundle. Check it with `failure-atlas verify`.

    Examples:
      failure-atlas evidence                                   evidence/COMMIT-LOCK/, after the newest bundle there
      failure-atlas evidence --out evidence/release-1          under a name of your own
      failure-atlas evidence --key ~/atlas-keys/evidence.pem   signed with another key
      failure-atlas evidence --previous evidence/1a2b3c4d-...  after this bundle
      failure-atlas evidence --timestamp URL                   with an authority's stamp: it existed then
      failure-atlas evidence --weights-key weights.pem         with model.sig over all weights (docs/case.md)

    Exit code: 0 made, 1 not made (named in the last line; nothing is left behind), 2 wrong command line.
    """
    require_project()
    from flows.evidence.attestation import ENVELOPE, read_private_key, read_public_key
    from flows.evidence.bundle import make_bundle  # late: not for --help
    from flows.evidence.inventory import hash_file
    from flows.evidence.weights import read_weights_key
    from flows.project import hold_lock

    with hold_lock():
        trusted = [read_public_key(path) for path in trust or []]
        try:
            signer = read_weights_key(weights_key, private=True) if weights_key else None
            made = make_bundle(read_private_key(key_file), out, previous, trusted, timestamp, signer)
        except OSError as error:
            raise FlowError(f"{error.filename}: cannot be read ({error.strerror}); run `dvc repro` first") from error
    print(made)
    say(f"sha256 of {ENVELOPE}: {hash_file(made, ENVELOPE).sha256}")


SHOWN_PROBLEMS = 40


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[Path | None, typer.Option("--data", help="Project with the data; default: this one.")] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Check the bundle without the data.")] = False,
    keys: Annotated[list[Path] | None, typer.Option("--key", "-k", help="Public key to trust; or several.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Leave the bundles before this one out.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run the recorded commit afresh, and compare.")] = False,
    authority: Annotated[list[Path] | None, typer.Option("--authority", help="Root of a stamping authority.")] = None,
    key_list: Annotated[
        Path | None, typer.Option("--keys", help="List of keys with dates: see docs/evidence.md.")
    ] = None,
    weights_key: Annotated[
        Path | None, typer.Option("--weights-key", help="Public key that has to have signed the weights.")
    ] = None,
) -> None:
    """Check an evidence bundle: is all of it as it was signed, and does it agree with itself and the data?

    Checked are the signature, the name, every file of the bundle (none changed, missing or extra), that all is there
    which dvc.yaml and params.yaml ask for, dvc.lock against the bytes (MD5 of files and folders, params, commands), the
    verdicts on acceptance criteria and claims, decided again from the metrics, the metrics and verdicts in the report,
    the data against the recorded SHA-256, and the bundles before this one, back to the first. What does not hold is
    named, with the file. The last line says what was not computed again. A public key that lies in the bundle is never
    taken.

    --rerun executes the code of that commit, so look at whose it is; it takes as long as the run took, and takes over
    the threads, kernels and variables that the bundle records. On a machine of the same kind (processor, GPUs, system,
    Python, packages, threads) all outputs must have the same bytes; on another kind the metrics must agree within the
    spread that was measured over five seeds (flows/evidence/spread.csv).

    With --authority a bundle needs an RFC 3161 stamp of that authority: the time from which on it surely existed, held
    against the time that it states. With --keys a key counts only from its date to its end; once replaced or revoked,
    only for what a stamp shows to be older; where the list names the newest bundle, this has to be it or follow it.
    With --weights-key the bundle's signature of the weights (model.sig) has to be of that key.

    The chain cannot show that a bundle newer than this one is missing: note the digest that `failure-atlas evidence`
    tells, or have it named in the list of keys.

    Examples:
      failure-atlas verify evidence/1a2b3c4d-5e6f7a8b                    in the project that made it
      failure-atlas verify bundle --key maker.pub.pem --no-data --alone  a bundle that was handed over by itself
      failure-atlas verify bundle --key maker.pub.pem --data ~/clone     against another copy of the data
      failure-atlas verify evidence/1a2b3c4d-5e6f7a8b --rerun            and run its commit afresh

    Exit code: 0 accepted, 1 not accepted (what does not hold is named), 2 wrong command line.
    """
    from flows.evidence.attestation import key_id, read_public_key
    from flows.evidence.reading import show
    from flows.evidence.stamp import read_authorities, read_key_list
    from flows.evidence.verification import RERUN
    from flows.evidence.verification import verify as check
    from flows.evidence.weights import read_weights_key

    project, repository = _choose_project(bundle, data, no_data)
    if rerun and repository is None:
        raise FlowError("--rerun: no project here; stand in a clone that has the commit, or name it with --data")
    listed, newest = read_key_list(key_list) if key_list else ({}, None)
    spans = dict(listed.values()) if key_list else None
    paths = _choose_keys(bundle, [*(keys or ()), *listed] or None)
    trusted = [read_public_key(path) for path in paths]
    roots, chain = read_authorities(authority or []), None if alone else bundle.resolve().parent
    signer = read_weights_key(_choose_keys(bundle, [weights_key])[0], private=False) if weights_key else None
    verdict = check(bundle, trusted, project, chain, authorities=roots, spans=spans, newest=newest, weights_key=signer)
    if rerun and repository is not None and verdict.accepted:
        from flows.evidence.rerun import rerun as run_again

        say(f"running the commit of {show(bundle)} afresh; this takes as long as the run took")
        run_again(bundle, repository.resolve(), say, verdict)
        verdict.unchecked.remove(RERUN)
    files = {key_id(key): path for key, path in zip(trusted, paths, strict=True)}
    for name, text, good in verdict.lines:
        source = f", from {files[verdict.key]}" if name == "signature" and good else ""
        print(f"{'ok ' if good else 'BAD'}  {name:<10} {show(f'{text}{source}')}")
    for problem in verdict.problems[:SHOWN_PROBLEMS]:
        print(f"     {problem}")
    if len(verdict.problems) > SHOWN_PROBLEMS:
        print(f"     and {len(verdict.problems) - SHOWN_PROBLEMS} more")
    print(f"{'accepted' if verdict.accepted else 'NOT ACCEPTED'}: {show(bundle)}")
    if not verdict.accepted:
        raise typer.Exit(1)
    print(f"not computed again: {'; '.join(verdict.unchecked)}")


def _choose_project(bundle: Path, data: Path | None, no_data: bool) -> tuple[Path | None, Path | None]:
    """The project whose files are checked, and the one whose git may have the commit; FlowError for what is none."""
    if not bundle.is_dir():
        raise FlowError(f"{bundle}: no such folder; `ls evidence` shows the bundles of a project")
    if no_data and data is not None:
        raise FlowError("--data and --no-data: allowed is one of them")
    if data is not None and not (data / "dvc.yaml").is_file():
        raise FlowError(f"--data {data}: no dvc.yaml there; name the root of a project")
    own = (data or Path()).resolve().is_relative_to(bundle.resolve())
    if own and data is not None:
        raise FlowError(f"--data {data}: lies in the bundle; name the project")
    repository = data or (Path() if Path("dvc.yaml").is_file() and not own else None)
    return None if no_data else repository, repository


def _choose_keys(bundle: Path, keys: list[Path] | None) -> list[Path]:
    """The files of the public keys that are trusted; FlowError for one that lies in a bundle."""
    from flows.evidence.attestation import ENVELOPE, KEY_FOLDER, PUBLIC

    paths = keys or [KEY_FOLDER / PUBLIC]
    for path in paths:
        places = {*path.absolute().parents, *path.resolve().parents}
        if bundle.resolve() in places or any(os.path.lexists(place / ENVELOPE) for place in places):
            raise FlowError(f"{path}: a key that lies in a bundle is its maker's word; get it by another way (--key)")
    if not keys and not paths[0].exists():
        raise FlowError(f"no public key at {paths[0]}; name the maker's with --key")
    return paths
