"""A bundle as a folder: its files, its envelope, and whether they are what the signed statement lists."""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.evidence.envelope import EnvelopeError, open_envelope
from flows.evidence.parsing import parse_json
from flows.evidence.problem import Problem
from flows.evidence.reading import (
    BUNDLE_BYTES,
    FILE_BYTES,
    PARSED_BYTES,
    Budget,
    UnreadableError,
    list_plain,
    read_plain,
    stream_plain,
)
from flows.evidence.statement import Claims, read_statement

ENVELOPE = "attestation.dsse.json"
ENVELOPE_BYTES = 16 << 20
VALUES = 3_000_000  # of all JSON that is parsed in one bundle

T = TypeVar("T")


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature holds.  sha256: of its file, by which the next bundle names it."""

    claims: Claims
    key: str
    sha256: str


def open_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed | Problem:
    """Read the envelope of a bundle and check it against trusted keys."""
    try:
        data = read_plain(bundle, ENVELOPE, ENVELOPE_BYTES)
        payload, key = open_envelope(data, keys)
        claims = read_statement(payload)
    except UnreadableError as error:
        return Problem(ENVELOPE, error.what if error.path == ENVELOPE else f"{error.path}: {error.what}")
    except EnvelopeError as error:
        return Problem(ENVELOPE, str(error))
    except ValueError as error:
        return Problem(ENVELOPE, f"signed, but no statement about a bundle ({error})")
    return Signed(claims, key, hashlib.sha256(data).hexdigest())


def compare_bundle(bundle: Path, claims: Claims, budget: Budget | None = None) -> Iterator[Problem]:
    """Where the files of a bundle differ from its statement: changed, missing, extra, or no plain file.

    budget: what may be read of it; by default BUNDLE_BYTES.  Raises UnreadableError if it holds more than anyone reads.
    """
    budget = budget or Budget(BUNDLE_BYTES)
    wanted = claims.files
    found, folders = list_plain(bundle)
    found.pop(ENVELOPE, None)
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
        sha256 = hashlib.sha256()
        for chunk in stream_plain(bundle, name, FILE_BYTES, budget):
            sha256.update(chunk)
        if sha256.hexdigest() != wanted[name]:
            what = f"the statement says sha256 {wanted[name][:16]}, the bytes give {sha256.hexdigest()[:16]}"
            yield Problem(name, what)


class Contents:
    """The files of a bundle that are as they were signed; each is checked again when it is read."""

    def __init__(self, bundle: Path, claims: Claims) -> None:
        self.bundle, self.files = bundle, claims.files
        self.values = Budget(VALUES, "values")

    def read(self, name: str, budget: Budget | None = None) -> bytes:
        """The bytes of a file; UnreadableError if the statement lists none, or others, or more than are parsed."""
        if name not in self.files:
            raise UnreadableError(name, "missing in the bundle")
        most = FILE_BYTES if name.endswith(".html") else PARSED_BYTES  # of a page a small part is parsed
        data = read_plain(self.bundle, name, most, budget)
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise UnreadableError(name, "changed while it was checked")
        return data

    def json(self, data: bytes) -> Any:
        """Parse JSON that one of the files holds; all of it together may hold so many values and no more."""
        return parse_json(data, self.values)

    def parse(self, name: str, parser: Callable[[bytes], T]) -> T:
        """A file as a parser reads it; UnreadableError with what the parser says."""
        data = self.read(name)
        try:
            return parser(data)
        except UnreadableError as error:
            raise UnreadableError(name, error.what if error.path == "JSON" else str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, csv.Error) as error:
            raise UnreadableError(name, str(error) if isinstance(error, ValueError) else repr(error)) from error
