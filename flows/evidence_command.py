"""The commands `failure-atlas key` and `failure-atlas evidence`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import require_project, say
from flows.errors import FlowError

KEY_HELP = """Make the Ed25519 key pair that signs evidence bundles.

The private part (evidence.pem) can be read by you alone and lies in a folder that git ignores; it has no password, so
keep the folder safe. Give the public part (evidence.pub.pem) to whoever is to check your bundles, by another way than
the bundles. A key that is there is never overwritten.

\b
Examples:
  failure-atlas key                     in .keys/
  failure-atlas key --out ~/atlas-keys  in another folder

Exit code: 0 made, 1 not made (named in the last line), 2 wrong command line.
"""

EVIDENCE_HELP = """Make a signed bundle of the results as they stand: evidence for who need not trust its maker.

It holds the report, metrics, tables, params, dvc.yaml, dvc.lock, gates and claims, the environment, the stages, and
the SHA-256 of every file that a stage read or wrote, computed from the bytes. Signed is an in-toto statement with SLSA
provenance, in a DSSE envelope; the folder is an RO-Crate (Provenance Run Crate). Each bundle names the one before by
its digest. Results that are not those of dvc.lock get no bundle. Check it with `failure-atlas verify`.

\b
Examples:
  failure-atlas evidence                                   evidence/COMMIT-LOCK/, after the newest bundle there
  failure-atlas evidence --out evidence/release-1          under a name of your own
  failure-atlas evidence --key ~/atlas-keys/evidence.pem   signed with another key
  failure-atlas evidence --previous evidence/1a2b3c4d-...  after this bundle

Exit code: 0 made, 1 not made (named in the last line; nothing is left behind), 2 wrong command line.
"""


def key(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the key pair.")] = Path(".keys"),
) -> None:
    """Make a key pair."""
    from flows.evidence.attestation import make_keys

    try:
        private, public, identity = make_keys(out)
    except OSError as error:
        raise FlowError(
            f"{out}: cannot write a key there ({error.strerror}); name another folder with --out"
        ) from error
    print(f"{private}  private: never leaves this machine")
    print(f"{public}  public: for whoever checks your bundles")
    print(f"key {identity}")


def evidence(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the bundle; by default evidence/COMMIT-LOCK.")
    ] = None,
    key_file: Annotated[Path, typer.Option("--key", "-k", help="Private key in PEM.")] = Path(".keys/evidence.pem"),
    previous: Annotated[
        Path | None, typer.Option("--previous", help="Bundle to follow; by default the newest beside the new one.")
    ] = None,
    trust: Annotated[
        list[Path] | None, typer.Option("--trust", help="Public key of earlier bundles, if yours has changed since.")
    ] = None,
) -> None:
    """Make the bundle of the project in the current folder."""
    require_project()
    from flows.evidence.attestation import read_private_key, read_public_key
    from flows.evidence.bundle import make_bundle  # DVC takes seconds to import: not for --help
    from flows.evidence.folder import ENVELOPE
    from flows.evidence.inventory import hash_file
    from flows.lock import hold_lock

    with hold_lock():
        trusted = [read_public_key(path) for path in trust or []]
        try:
            made = make_bundle(read_private_key(key_file), out, previous, trusted)
        except OSError as error:
            raise FlowError(f"{error.filename}: cannot be read ({error.strerror}); run `dvc repro` first") from error
    print(made)
    say(f"sha256 of {ENVELOPE}: {hash_file(made, ENVELOPE).sha256}")
