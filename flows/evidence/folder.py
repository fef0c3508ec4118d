"""A bundle as a folder: its files against its signed statement, and the chain of bundles that it goes on.

Each bundle names the one before by the SHA-256 of its envelope. What that shows: a past bundle that was removed, edited
or put in another's place. What it cannot show: that the newest of all is missing; keep its digest elsewhere, too.
"""

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.errors import FlowError
from flows.evidence import reading
from flows.evidence.attestation import ENVELOPE, STAMP, STAMP_BYTES, Claims, Previous, open_envelope, read_statement
from flows.evidence.inventory import hash_chunks
from flows.evidence.reading import FILE_BYTES, Budget, Problem, UnreadableError, read_plain

ENVELOPE_BYTES = 16 << 20
SIBLINGS = 100_000  # entries of a folder with bundles
CHAIN_BYTES = 2 << 30  # of all bundles before one
VALUES = 3_000_000  # of all JSON that is parsed in one bundle

T = TypeVar("T")


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature holds.  sha256: of its file, by which the next bundle names it."""

    claims: Claims
    key: str
    sha256: str


def open_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed:
    """Read the envelope of a bundle and check it against trusted keys; UnreadableError that says why it fails."""
    data = read_plain(bundle, ENVELOPE, ENVELOPE_BYTES)
    payload, key = open_envelope(data, keys)
    try:
        claims = read_statement(payload)
    except ValueError as error:
        raise UnreadableError(ENVELOPE, f"signed, but no statement about a bundle ({error})") from error
    return Signed(claims, key, hashlib.sha256(data).hexdigest())


def compare_bundle(bundle: Path, claims: Claims, budget: Budget | None = None) -> Iterator[Problem]:
    """Where the files of a bundle differ from its statement: changed, missing, extra, or no plain file.

    budget: what may be read of it; by default BUNDLE_BYTES.  Raises UnreadableError if it holds more than anyone reads.
    """
    budget = budget or Budget(reading.BUNDLE_BYTES)
    wanted = claims.files
    found, folders = reading.list_plain(bundle)
    found.pop(ENVELOPE, None)
    if 0 <= found.get(STAMP, 0) <= STAMP_BYTES:
        found.pop(STAMP, None)  # made after the statement; `verify` checks it by the authority's certificate
    known = {parent.as_posix() for name in wanted for parent in Path(name).parents}
    for name in sorted(folders - known):
        yield Problem(name, "extra folder; the statement lists nothing in it")
    for name in sorted(found.keys() - wanted.keys()):
        yield Problem(name, "extra; the statement does not list it")
    for name in sorted(wanted):
        if name not in found:
            yield Problem(name, "missing; the statement lists it")
            continue
        if found[name] < 0:
            yield Problem(name, "no plain file")
            continue
        held = hash_chunks(reading.stream_plain(bundle, name, FILE_BYTES, budget)).sha256
        if held != wanted[name]:
            yield Problem(name, f"the statement says sha256 {wanted[name][:16]}, the bytes give {held[:16]}")


class Contents:
    """The files of a bundle that are as they were signed; each is checked again when it is read."""

    def __init__(self, bundle: Path, claims: Claims) -> None:
        self.bundle, self.files = bundle, claims.files
        self.values = Budget(VALUES, "values")

    def read(self, name: str, budget: Budget | None = None) -> bytes:
        """The bytes of a file; UnreadableError if the statement lists none, or others, or more than are parsed."""
        if name not in self.files:
            raise UnreadableError(name, "missing in the bundle")
        most = FILE_BYTES if name.endswith(".html") else reading.PARSED_BYTES  # of a page a small part is parsed
        data = read_plain(self.bundle, name, most, budget)
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise UnreadableError(name, "changed while it was checked")
        return data

    def json(self, data: bytes) -> Any:
        """Parse JSON that one of the files holds; all of it together may hold so many values and no more."""
        return reading.parse_json(data, self.values)

    def parse(self, name: str, parser: Callable[[bytes], T]) -> T:
        """A file as a parser reads it; UnreadableError with what the parser says."""
        data = self.read(name)
        try:
            return parser(data)
        except UnreadableError as error:
            raise UnreadableError(name, error.what if error.path == "JSON" else str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, csv.Error) as error:
            raise UnreadableError(name, str(error) if isinstance(error, ValueError) else repr(error)) from error


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
    verdict = reading.Verdict()
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

    def hash_envelope(bundle: Path) -> str | None:
        try:
            return hashlib.sha256(read_plain(bundle, ENVELOPE, budget=budget)).hexdigest()
        except UnreadableError:
            return None  # whatever it is, it is no bundle that anything follows

    @cache
    def list_digests() -> dict[str | None, Path]:
        """Of all, read only once one lies under another name than it should."""
        return {hash_envelope(path): path for path in list_bundles(folder)}

    claims = newest
    while claims.previous is not None:
        before = claims.previous
        path: Path | None = folder / before.name
        if hash_envelope(folder / before.name) != before.sha256 or (folder / before.name).is_symlink():
            path = list_digests().get(before.sha256)
        if path is None:
            lies = os.path.lexists(folder / before.name / ENVELOPE)
            what = "its envelope is another" if lies else "missing"
            told = f"{what}; the bundle {claims.name} follows the envelope with sha256 {before.sha256[:16]}"
            yield Problem(before.name, told)
            return
        try:
            signed = open_signed(path, keys)
            for problem in compare_bundle(path, signed.claims, budget):
                yield Problem(f"{path.name}/{problem.path}", problem.what)
        except UnreadableError as error:
            one_by_one = f"; check the bundles before {newest.name} one by one, each with --alone"
            what = f"{error.what}{one_by_one if error.path != ENVELOPE else ''}"
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


def _require_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed:
    try:
        return open_signed(bundle, keys)
    except UnreadableError as error:
        raise FlowError(f"{bundle}: {error}; a chain goes on only from a bundle that its key signed") from error
