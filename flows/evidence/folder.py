"""A bundle as a folder: its files, its envelope, and whether they are what the signed statement lists."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flows.evidence.envelope import EnvelopeError, open_envelope
from flows.evidence.problem import Problem
from flows.evidence.statement import Claims, read_statement

ENVELOPE = "attestation.dsse.json"


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature holds.  sha256: of its file, by which the next bundle names it."""

    claims: Claims
    key: str
    sha256: str


def open_signed(bundle: Path, keys: Sequence[Ed25519PublicKey]) -> Signed | Problem:
    """Read the envelope of a bundle and check it against trusted keys."""
    path = bundle / ENVELOPE
    if path.is_symlink() or not path.is_file():
        return Problem(ENVELOPE, "missing")
    data = path.read_bytes()
    try:
        payload, key = open_envelope(data, keys)
        claims = read_statement(payload)
    except EnvelopeError as error:
        return Problem(ENVELOPE, str(error))
    except ValueError as error:
        return Problem(ENVELOPE, f"signed, but no statement about a bundle ({error})")
    return Signed(claims, key, hashlib.sha256(data).hexdigest())


def compare_bundle(bundle: Path, claims: Claims) -> Iterator[Problem]:
    """Where the files of a bundle differ from its statement: changed, missing, extra, or no plain file."""
    found: set[str] = set()
    wanted = claims.files
    folders = {parent.as_posix() for name in wanted for parent in Path(name).parents}
    for place, below, names in os.walk(bundle):
        inside = Path(place).relative_to(bundle)
        for name in below:
            folder = (inside / name).as_posix()
            if folder not in folders or (bundle / folder).is_symlink():
                yield Problem(folder, "extra folder; the statement lists nothing in it")
        found.update((inside / name).as_posix() for name in names)
    found.discard(ENVELOPE)
    for name in sorted(found - set(wanted)):
        yield Problem(name, "extra; the statement does not list it")
    for name in sorted(wanted):
        path = bundle / name
        if name not in found:
            yield Problem(name, "missing; the statement lists it")
        elif path.is_symlink() or not path.is_file():
            yield Problem(name, "no plain file")
        else:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            if sha256 != wanted[name]:
                yield Problem(name, f"the statement says sha256 {wanted[name][:16]}, the bytes give {sha256[:16]}")
