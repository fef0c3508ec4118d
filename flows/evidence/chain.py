"""The chain of bundles: each names the one before by the SHA-256 of its envelope.

What the chain shows: a past bundle that was removed, edited or put in another's place. What it cannot show: that the
newest bundle of all is missing; keep its digest elsewhere, too.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.errors import FlowError
from flows.evidence.folder import ENVELOPE, Signed, compare_bundle, open_signed
from flows.evidence.problem import Problem, Verdict
from flows.evidence.reading import Budget, UnreadableError, read_plain
from flows.evidence.statement import Claims, Previous

SIBLINGS = 100_000  # entries of a folder with bundles
CHAIN_BYTES = 2 << 30  # of all bundles before one


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
    verdict = Verdict()
    if not verdict.note("files", compare_bundle(bundle, signed.claims), ""):
        problem = verdict.problems[0]
        raise FlowError(f"{bundle}: no bundle can follow this one: {problem}; see `failure-atlas verify {bundle}`")
    return Previous(signed.claims.name, signed.sha256), signed.claims


def list_bundles(folder: Path) -> list[Path]:
    """The bundles in a folder, by name; half written ones, which start with a dot, and links are none."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= SIBLINGS:
                    raise FlowError(f"{folder}: more than {SIBLINGS} entries; put bundles into a folder of their own")
                hidden = entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False)
                if not hidden and os.path.lexists(folder / entry.name / ENVELOPE):
                    found.append(folder / entry.name)
    except OSError:
        return []
    return sorted(found)


def follow_chain(folder: Path, newest: Claims, keys: Sequence[Ed25519PublicKey]) -> Iterator[Problem | Claims]:
    """Go back from a bundle to the first one, checking signature and files of each: problems, and each bundle passed.

    folder: where the earlier ones lie.
    """
    budget = Budget(CHAIN_BYTES)
    find = _Finder(folder, budget)
    claims = newest
    while claims.previous is not None:
        before = claims.previous
        path = find(before)
        if path is None:
            lies = os.path.lexists(folder / before.name / ENVELOPE)
            what = "its envelope is another" if lies else "missing"
            told = f"{what}; the bundle {claims.name} follows the envelope with sha256 {before.sha256[:16]}"
            yield Problem(before.name, told)
            return
        signed = open_signed(path, keys)
        if isinstance(signed, Problem):
            yield Problem(f"{path.name}/{signed.path}", signed.what)
            return
        try:
            for problem in compare_bundle(path, signed.claims, budget):
                yield Problem(f"{path.name}/{problem.path}", problem.what)
        except UnreadableError as error:
            what = f"{error.what}; check the bundles before {newest.name} one by one, each with --alone"
            yield Problem(f"{path.name}/{error.path}", what)
            return
        if signed.claims.name != before.name:
            yield Problem(
                path.name, f"signed under the name {signed.claims.name}, {claims.name} calls it {before.name}"
            )
        if signed.claims.place != claims.place - 1:
            told = f"says place {signed.claims.place} in the chain, {claims.name} after it says {claims.place}"
            yield Problem(path.name, told)
        claims = signed.claims
        yield claims
    if claims.place != 0:
        yield Problem(claims.name, f"says place {claims.place} in the chain but follows no bundle")


class _Finder:
    """Looks for bundles by the digest of their envelopes, under the name that they should have first."""

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.folder, self.budget = folder, budget
        self.digests: dict[str, Path] | None = None  # of all, read only once one lies under another name

    def __call__(self, before: Previous) -> Path | None:
        """The folder of a bundle; None if there is none."""
        named = self.folder / before.name
        if self._hash(named) == before.sha256 and not named.is_symlink():
            return named
        if self.digests is None:
            self.digests = {digest: path for path in list_bundles(self.folder) if (digest := self._hash(path))}
        return self.digests.get(before.sha256)

    def _hash(self, bundle: Path) -> str | None:
        try:
            return hashlib.sha256(read_plain(bundle, ENVELOPE, budget=self.budget)).hexdigest()
        except UnreadableError:
            return None  # whatever it is, it is no bundle that anything follows


def _require_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed:
    signed = open_signed(bundle, keys)
    if isinstance(signed, Problem):
        raise FlowError(f"{bundle}: {signed}; a chain goes on only from a bundle that its key signed")
    return signed
