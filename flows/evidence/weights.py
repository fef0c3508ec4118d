"""The weights of a run, signed as OpenSSF model-signing 1.0 has it, for tools that read no bundle of this project.

A Sigstore bundle 0.3 with an in-toto statement in a DSSE envelope. Its one subject is the SHA-256 over the digests of
all files; they stand in the predicate. An elliptic-curve key signs, for the format has no Ed25519. Written here and not
by the package model-signing, which hashes whole folders, checks no signature without the weights, and imports what it
does not ask for (pyOpenSSL, in 1.1.1); the tests hold the file to its `verify`.
https://github.com/sigstore/model-transparency, https://docs.sigstore.dev/about/bundle/
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError
from securesystemslib.signer import Signature

from flows.errors import FlowError
from flows.evidence.attestation import PAYLOAD_TYPE, STATEMENT_TYPE, read_key
from flows.evidence.case import WEIGHTS
from flows.evidence.folder import Contents
from flows.evidence.inventory import FileHash, write_json
from flows.evidence.reading import Problem, UnreadableError, parse_json

SIGNATURE = "model.sig"  # its file in a bundle, as the standard names it
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
DIGESTS = {"secp256r1": SHA256(), "secp384r1": SHA384(), "secp521r1": SHA512()}  # that goes with each curve


def read_weights_key(path: Path, private: bool) -> Any:
    """Read the private or public key for weights; FlowError that names the file for one of another kind."""
    kind = ec.EllipticCurvePrivateKey if private else ec.EllipticCurvePublicKey
    key = read_key(path, kind, allowed := "P-256, P-384, P-521", "docs/case.md says how to make one", private)
    if key.curve.name not in DIGESTS:
        raise FlowError(f"{path}: a key on the curve {key.curve.name}; allowed: {allowed}")
    return key


def sign_weights(files: Mapping[str, FileHash], key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signature's file over the weights among all files that a run read and wrote; FlowError if there are none."""
    statement = _write_statement(files)
    if not statement["predicate"]["resources"]:
        raise FlowError(f"--weights-key: the stages read and wrote no weights ({WEIGHTS}); leave the option out")
    envelope = Envelope(json.dumps(statement, sort_keys=True).encode(), PAYLOAD_TYPE, {})
    signature = key.sign(envelope.pae(), ec.ECDSA(DIGESTS[key.curve.name]))
    envelope.signatures[""] = Signature("", signature.hex())
    material = {"publicKey": {"hint": _name(key.public_key())}, "tlogEntries": []}
    held = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope.to_dict()}
    return write_json(held)


def compare_weights(
    contents: Contents, files: Mapping[str, FileHash], key: ec.EllipticCurvePublicKey | None
) -> Iterator[Problem]:
    """Where a bundle's signature of the weights is over others than the run's, or not by a key, if one is given."""
    if SIGNATURE not in contents.files:
        yield Problem(SIGNATURE, "missing; --weights-key asks for a signature of the weights")
        return
    held = contents.parse(SIGNATURE, contents.json)
    try:
        envelope = Envelope.from_dict(held["dsseEnvelope"])
        (signature,) = envelope.signatures.values()
        hint, stated = held["verificationMaterial"]["publicKey"]["hint"], parse_json(envelope.payload)
        signed = {each["name"]: each["digest"] for each in stated["predicate"]["resources"]}
    except (ValueError, TypeError, KeyError, AttributeError, FormatError) as error:
        raise UnreadableError(SIGNATURE, f"no signature of weights ({type(error).__name__})") from error
    wanted = _write_statement(files)
    listed = {each["name"]: each["digest"] for each in wanted["predicate"]["resources"]}
    for name in sorted({*signed, *listed}):
        if signed.get(name) != listed.get(name):
            one, two = (str(each.get(name))[:16] for each in (signed, listed))
            yield Problem(name, f"{SIGNATURE} says sha256 {one}, the inventory {two}")
    form = [held.get("mediaType"), envelope.payload_type, stated]
    if signed == listed and form != [MEDIA_TYPE, PAYLOAD_TYPE, wanted]:
        yield Problem(SIGNATURE, "another statement than the weights give")
    if key is None:
        return
    if hint != _name(key):
        yield Problem(SIGNATURE, f"signed by the key {str(hint)[:16]}, not by {_name(key)[:16]}")
        return
    try:
        key.verify(bytes.fromhex(signature.signature), envelope.pae(), ec.ECDSA(DIGESTS[key.curve.name]))
    except InvalidSignature:
        yield Problem(SIGNATURE, f"the signature of key {_name(key)[:16]} does not fit the weights that it states")


def _write_statement(files: Mapping[str, FileHash]) -> dict[str, Any]:
    names = sorted((name for name in files if name.endswith(WEIGHTS)), key=PurePosixPath)
    resources = [{"name": name, "algorithm": "sha256", "digest": files[name].sha256} for name in names]
    whole = hashlib.sha256(bytes.fromhex("".join(each["digest"] for each in resources))).hexdigest()
    # Links are followed: DVC may link an output to its cache.
    form = {"method": "files", "hash_type": "sha256", "allow_symlinks": True}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "weights", "digest": {"sha256": whole}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"serialization": form, "resources": resources},
    }


def _name(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the public key in PEM, by which the standard names it."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
