"""What a bundle's maker signs: keys on disk, the statement, and the envelope around it.

Keys are Ed25519, the private part as PKCS 8, the public part as SubjectPublicKeyInfo, both PEM. The statement is an
in-toto Statement v1 with a SLSA provenance v1 predicate, as in-toto-attestation has it; its subjects are the files of
the bundle and all others that the stages wrote; resolved dependencies are the commit and all that they read and did not
write. The envelope is DSSE 1.0 with one signature, as securesystemslib has it, and stricter than the standard: of all
the ways to write the same envelope down one is taken, byte by byte, so that not even a space can be changed unseen.
https://github.com/in-toto/attestation, https://slsa.dev/spec/v1.0/provenance, https://github.com/secure-systems-lab/dsse
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from flows.errors import FlowError
from flows.evidence.inventory import FileHash, Inventory
from flows.evidence.reading import UnreadableError, check_name, expect, parse_json, read_plain, tell
from flows.git import Revision

KEY_FOLDER, PRIVATE, PUBLIC = Path(".keys"), "evidence.pem", "evidence.pub.pem"
KEY_BYTES = 1 << 16
ENVELOPE = "attestation.dsse.json"  # its file in a bundle
STAMP, STAMP_BYTES = "attestation.tsr", 1 << 16  # a time stamp over the envelope, beside it
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# By the version of a bundle's form: 2 named no schema of metrics and signed no weights. `verify` reads the last two.
BUILD_TYPES = ("urn:failure-atlas:dvc-repro:v2", "urn:failure-atlas:dvc-repro:v3")
# Of what metrics.json files hold: to be raised where a key goes, or comes to mean something else. Bundles before named
# none, which is 0. `verify` reads the last two; stages do not write it, for it would stand in every result alike.
METRICS_SCHEMA = 1
BUILDER = "urn:failure-atlas:builder:local"
IN_BUNDLE, IN_PROJECT = "bundle", "project"  # where the path of a subject starts
VERSIONS = ("failure-atlas", "dvc")  # that the statement tells; a checkout that is not installed has none of its own


def make_keys(folder: Path) -> tuple[Path, Path, str]:
    """Make a key pair in a folder that git ignores; returns the private file, the public file and the key's id.

    The private part can be read by its owner only (mode 0600). Raises FlowError if either file is there already.
    """
    private_path, public_path = folder / PRIVATE, folder / PUBLIC
    for path in (private_path, public_path):
        if path.exists():
            raise FlowError(f"{path} is there already and is never overwritten; name another folder with --out")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        _write_new(ignore, b"*\n", 0o644)
    key = Ed25519PrivateKey.generate()
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(public_path, public_pem, 0o644)
    _write_new(private_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return private_path, public_path, key_id(key.public_key())


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; FlowError if it is missing, open to others, or no Ed25519 key."""
    advice = "make one with `failure-atlas key`, or name yours with --key"
    key: Ed25519PrivateKey = read_key(path, Ed25519PrivateKey, "Ed25519", advice)
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key; FlowError if it is missing or no Ed25519 key."""
    advice = f"get it ({PUBLIC}) from whoever signed the bundle, and name it with --key"
    key: Ed25519PublicKey = read_key(path, Ed25519PublicKey, "Ed25519", advice, private=False)
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: SHA-256 of its SubjectPublicKeyInfo (DER), in hex."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def read_key(path: Path, kind: Any, allowed: str, advice: str, private: bool = True) -> Any:
    """Read a key of a kind, of which `allowed` is the name; FlowError with advice if it is none, or open to others."""
    load: Callable[[bytes], object] = partial(load_pem_private_key, password=None) if private else load_pem_public_key
    what = "private key" if private else "public key"
    real = Path(os.path.realpath(path))  # links are followed: whoever names a key chose it
    try:
        key = load(read_plain(real.parent, real.name, KEY_BYTES))
    except UnreadableError as error:
        raise FlowError(f"{path}: cannot read the key ({error.what}); {advice}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FlowError(f"{path}: no {what} in PEM without a password; {advice}") from error
    if not isinstance(key, kind):
        raise FlowError(f"{path}: a {what} of another kind; allowed: {allowed}; {advice}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if private and mode & 0o077:
        told = f"mode {mode:04o}, so others may read the private key; allowed: 0600 (chmod 600 {path})"
        raise FlowError(f"{path}: {told}")
    return key


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet, whole or not at all, never over another one."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)  # unlike a rename, fails if the name is taken
    except FileExistsError as error:
        raise FlowError(f"{path} is there already and is never overwritten") from error
    finally:
        Path(name).unlink()


def seal(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a payload; returns the bytes of the envelope's file."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key, _name(key.public_key())))
    return _write(envelope)


def open_envelope(data: bytes, keys: Sequence[Ed25519PublicKey]) -> tuple[bytes, str]:
    """Check an envelope against keys that are trusted; returns the payload and the id of the key that signed it.

    Raises UnreadableError if none of the keys signed exactly these bytes.
    """
    try:
        envelope = Envelope.from_dict(expect(parse_json(data), dict, "envelope"))
        ((name, signature),) = envelope.signatures.items()
        written = _write(Envelope(envelope.payload, PAYLOAD_TYPE, {name: Signature(name, signature.signature)}))
    except (ValueError, TypeError, KeyError, AttributeError, FormatError) as error:
        raise UnreadableError(ENVELOPE, f"no DSSE envelope with one signature ({type(error).__name__})") from error
    key = next((key for key in keys if key_id(key) == name), None)
    if key is None:
        known = ", ".join(key_id(key)[:16] for key in keys)
        raise UnreadableError(ENVELOPE, f"signed by the key {str(name)[:16]}, not by {known}")
    try:
        envelope.verify([_name(key)], threshold=1)
    except VerificationError as error:
        raise UnreadableError(ENVELOPE, f"the signature of key {name[:16]} does not fit the payload") from error
    if written != data:
        raise UnreadableError(ENVELOPE, "changed outside of the signed payload: not the bytes that signing wrote")
    return envelope.payload, name


def _name(key: Ed25519PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(key, keyid=key_id(key))


def _write(envelope: Envelope) -> bytes:
    return (json.dumps(envelope.to_dict(), indent=1) + "\n").encode()


@dataclass(frozen=True)
class Previous:
    """The bundle before, by its name and the SHA-256 of its envelope."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Claims:
    """What a statement says that `verify` checks.

    files: SHA-256 of each file of the bundle.  others: of the files of the project beside them that the run read or
    wrote.  place: 0 for the first bundle of a chain.
    """

    name: str
    files: dict[str, str]
    others: dict[str, str]
    commit: str
    changed: list[str]
    previous: Previous | None
    place: int


def write_statement(
    name: str,
    files: Mapping[str, FileHash],
    inventory: Inventory,
    revision: Revision,
    table: list[dict[str, Any]],
    previous: Previous | None,
    place: int,
) -> bytes:
    """The payload of the envelope.  files: those of the bundle.  table: as from `read_stage_table`."""
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": revision.commit}}
    if revision.url:
        source["uri"] = f"git+{revision.url}"
    finished = sorted(str(row["finished"]) for row in table if row["finished"])
    # One subject a path: a file that the run wrote and that the bundle holds is one and the same.
    large = {path: inventory.files[path] for path in inventory.outs if path not in files}
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            *(_describe(path, held, IN_BUNDLE) for path, held in sorted(files.items())),
            *(_describe(path, held, IN_PROJECT) for path, held in large.items()),
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPES[-1],
                "externalParameters": {
                    "run": name,
                    "workflow": "dvc.yaml",
                    "params": "params.yaml",
                    "previous": previous and {"name": previous.name, "digest": {"sha256": previous.sha256}},
                },
                "internalParameters": {"place": place, "changed": revision.changed, "metrics": METRICS_SCHEMA},
                "resolvedDependencies": [
                    source,
                    *(_describe(path, inventory.files[path], IN_PROJECT) for path in inventory.inputs),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER,
                    "version": {each.name: each.version for each in distributions() if each.name in VERSIONS},
                },
                "metadata": {"invocationId": name, **({"finishedOn": finished[-1]} if finished else {})},
            },
        },
    }
    _require_statement(statement)
    return json.dumps(statement, separators=(",", ":"), allow_nan=False, sort_keys=True).encode()


def read_statement(payload: bytes) -> Claims:
    """What the payload of an accepted envelope says; ValueError if it is no statement of a bundle."""
    try:
        read = expect(parse_json(payload), dict, "statement")
        _require_statement(read)
        definition = read["predicate"]["buildDefinition"]
        if definition["buildType"] not in BUILD_TYPES:
            raise ValueError(f"buildType {tell(definition['buildType'])}; read are {', '.join(BUILD_TYPES)}")
        external, internal = definition["externalParameters"], definition["internalParameters"]
        if (metrics := internal.get("metrics", 0)) not in (METRICS_SCHEMA - 1, METRICS_SCHEMA):
            raise ValueError(f"metrics of schema {tell(metrics)}; read are {METRICS_SCHEMA} and the one before")
        subjects = {check_name(entry["name"]): entry for entry in read["subject"]}
        if len(subjects) < len(read["subject"]):
            raise ValueError("two subjects of one name")
        source, *inputs = expect(definition["resolvedDependencies"], list, "resolvedDependencies")
        held: dict[str, dict[str, str]] = {IN_BUNDLE: {}, IN_PROJECT: {}}
        for name, entry in [*((check_name(entry["name"]), entry) for entry in inputs), *subjects.items()]:
            held[entry["annotations"]["in"]][name] = _read_digest(entry["digest"]["sha256"])
        before = external["previous"]
        return Claims(
            _read_folder(external["run"]),
            held[IN_BUNDLE],
            held[IN_PROJECT],
            _read_digest(source["digest"]["gitCommit"], (40, 64)),
            [expect(path, str, "changed") for path in expect(internal["changed"], list, "changed")],
            Previous(_read_folder(before["name"]), _read_digest(before["digest"]["sha256"])) if before else None,
            expect(internal["place"], int, "place"),
        )
    except (KeyError, TypeError, IndexError, AttributeError, json_format.ParseError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _require_statement(statement: dict[str, Any]) -> None:
    """ValueError or json_format.ParseError unless in-toto takes it for a statement with SLSA provenance."""
    found = json_format.ParseDict(statement, statement_pb2.Statement())
    Statement.copy_from_pb(found).validate()
    if found.predicate_type != PREDICATE_TYPE:
        raise ValueError(f"predicate {found.predicate_type}")


def _describe(path: str, held: FileHash, place: str) -> dict[str, Any]:
    """A resource descriptor; the annotation says whether the path starts at the bundle or at the project."""
    return {"name": path, "digest": {"sha256": held.sha256}, "annotations": {"in": place, "size": held.size}}


def _read_digest(text: Any, lengths: tuple[int, ...] = (64,)) -> str:
    if not isinstance(text, str) or len(text) not in lengths or not re.fullmatch("[0-9a-f]+", text):
        raise ValueError(f"{tell(text)}: no digest")
    return text


def _read_folder(name: Any) -> str:
    """The name of a bundle's folder."""
    if "/" in check_name(name):
        raise ValueError(f"{tell(name)}: no name of a folder")
    return str(name)
