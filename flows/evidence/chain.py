"""The chain of bundles: each names the one before by the SHA-256 of its envelope.

What the chain shows: a past bundle that was removed, edited or put in another's place. What it cannot show: that the
newest bundle of all is missing; keep its digest elsewhere, too.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.errors import FlowError
from flows.evidence.folder import ENVELOPE, Signed, compare_bundle, open_signed
from flows.evidence.problem import Problem
from flows.evidence.statement import Claims, Previous


def find_last(folder: Path, keys: Sequence[Ed25519PublicKey]) -> tuple[Previous, Claims] | None:
    """The bundle at the end of the chain in a folder, None if there is no bundle.

    Raises FlowError if a bundle there is not signed by one of the keys, or if the chain has two ends.
    """
    found = {path: _require_signed(path, keys) for path in list_bundles(folder)}
    named = {signed.claims.previous.sha256 for signed in found.values() if signed.claims.previous}
    ends = [path for path, signed in found.items() if signed.sha256 not in named]
    if not ends:
        return None
    if len(ends) > 1:
        names = ", ".join(path.name for path in ends)
        raise FlowError(f"{folder}: the chain of bundles has {len(ends)} ends ({names}); name one with --previous")
    return as_previous(ends[0], keys)


def as_previous(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> tuple[Previous, Claims]:
    """A bundle as the next one names it, and what its statement says; FlowError if it is not as it was signed."""
    signed = _require_signed(bundle, keys)
    problem = next(compare_bundle(bundle, signed.claims), None)
    if problem is not None:
        raise FlowError(f"{bundle}: no bundle can follow this one: {problem}; see `failure-atlas verify {bundle}`")
    return Previous(signed.claims.name, signed.sha256), signed.claims


def list_bundles(folder: Path) -> list[Path]:
    """The bundles in a folder, by name; half written ones start with a dot and are none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and (path / ENVELOPE).exists())


def follow_chain(folder: Path, newest: Claims, keys: Sequence[Ed25519PublicKey]) -> tuple[list[Problem], int]:
    """Go back from a bundle to the first one, checking signature and files of each; problems, and bundles passed.

    folder: where the earlier ones lie.
    """
    # By digest, for a bundle may have been renamed: only what its envelope says counts.
    digests = {hashlib.sha256((path / ENVELOPE).read_bytes()).hexdigest(): path for path in list_bundles(folder)}
    problems: list[Problem] = []
    passed = 0
    claims = newest
    while claims.previous is not None:
        before = claims.previous
        path = digests.get(before.sha256)
        if path is None:
            lies = (folder / before.name / ENVELOPE).exists()
            what = "its envelope is another" if lies else "missing"
            told = f"{what}; the bundle {claims.name} follows the envelope with sha256 {before.sha256[:16]}"
            return [*problems, Problem(before.name, told)], passed
        signed = open_signed(path, keys)
        if isinstance(signed, Problem):
            return [*problems, Problem(f"{path.name}/{signed.path}", signed.what)], passed
        problems += [
            Problem(f"{path.name}/{problem.path}", problem.what) for problem in compare_bundle(path, signed.claims)
        ]
        if signed.claims.place != claims.place - 1:
            told = f"says place {signed.claims.place} in the chain, {claims.name} after it says {claims.place}"
            problems.append(Problem(path.name, told))
        passed += 1
        claims = signed.claims
    if claims.place != 0:
        problems.append(Problem(claims.name, f"says place {claims.place} in the chain but follows no bundle"))
    return problems, passed


def _require_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed:
    signed = open_signed(bundle, keys)
    if isinstance(signed, Problem):
        raise FlowError(f"{bundle}: {signed}; a chain goes on only from a bundle that its key signed")
    return signed
