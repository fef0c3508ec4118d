"""The DSSE envelope (Dead Simple Signing Envelope 1.0) with one Ed25519 signature, as securesystemslib has it.

https://github.com/secure-systems-lab/dsse. Stricter than the standard: of all the ways to write the same envelope down
one is taken, byte by byte, so that not even a space can be changed unseen.
"""

import json
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from flows.evidence.keys import key_id
from flows.evidence.parsing import expect, parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class EnvelopeError(Exception):
    """Why an envelope is not accepted."""


def seal(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a payload; returns the bytes of the envelope's file."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key, _name(key.public_key())))
    return _write(envelope)


def open_envelope(data: bytes, keys: Sequence[Ed25519PublicKey]) -> tuple[bytes, str]:
    """Check an envelope against keys that are trusted; returns the payload and the id of the key that signed it.

    Raises EnvelopeError if none of the keys signed exactly these bytes.
    """
    try:
        envelope = Envelope.from_dict(expect(parse_json(data), dict, "envelope"))
        ((name, signature),) = envelope.signatures.items()
        written = _write(Envelope(envelope.payload, PAYLOAD_TYPE, {name: Signature(name, signature.signature)}))
    except (ValueError, TypeError, KeyError, AttributeError, FormatError) as error:
        raise EnvelopeError(f"no DSSE envelope with one signature ({type(error).__name__})") from error
    key = next((key for key in keys if key_id(key) == name), None)
    if key is None:
        known = ", ".join(key_id(key)[:16] for key in keys)
        raise EnvelopeError(f"signed by the key {str(name)[:16]}, not by {known}")
    try:
        envelope.verify([_name(key)], threshold=1)
    except VerificationError as error:
        raise EnvelopeError(f"the signature of key {name[:16]} does not fit the payload") from error
    if written != data:
        raise EnvelopeError("changed outside of the signed payload: not the bytes that signing wrote")
    return envelope.payload, name


def _name(key: Ed25519PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(key, keyid=key_id(key))


def _write(envelope: Envelope) -> bytes:
    return (json.dumps(envelope.to_dict(), indent=1) + "\n").encode()
