"""The DSSE envelope (Dead Simple Signing Envelope 1.0) with one Ed25519 signature.

https://github.com/secure-systems-lab/dsse: what is signed is the pre-authentication encoding of type and payload. This
reader is stricter than the standard: of all the ways to write the same envelope down it takes one, byte by byte, so
that not even a space can be changed unseen.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flows.evidence.keys import key_id

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class EnvelopeError(Exception):
    """Why an envelope is not accepted."""


def seal(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a payload; returns the bytes of the envelope's file."""
    return _write(payload, key_id(key.public_key()), key.sign(_encode(payload)))


def open_envelope(data: bytes, keys: Sequence[Ed25519PublicKey]) -> tuple[bytes, str]:
    """Check an envelope against keys that are trusted; returns the payload and the id of the key that signed it.

    Raises EnvelopeError if none of the keys signed exactly these bytes.
    """
    try:
        read: Any = json.loads(data)
        payload = base64.b64decode(read["payload"], validate=True)
        (entry,) = read["signatures"]
        signature = base64.b64decode(entry["sig"], validate=True)
        name = entry["keyid"]
        written = _write(payload, name, signature)
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise EnvelopeError(f"no DSSE envelope with one signature ({type(error).__name__})") from error
    key = next((key for key in keys if key_id(key) == name), None)
    if key is None:
        known = ", ".join(key_id(key)[:16] for key in keys)
        raise EnvelopeError(f"signed by the key {str(name)[:16]}, not by {known}")
    try:
        key.verify(signature, _encode(payload))
    except InvalidSignature as error:
        raise EnvelopeError(f"the signature of key {name[:16]} does not fit the payload") from error
    if written != data:
        raise EnvelopeError("changed outside of the signed payload: not the bytes that signing wrote")
    return payload, str(name)


def _write(payload: bytes, name: str, signature: bytes) -> bytes:
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": name, "sig": base64.b64encode(signature).decode()}],
    }
    return (json.dumps(envelope, indent=1) + "\n").encode()


def _encode(payload: bytes) -> bytes:
    """PAE: both parts with their lengths, so that no byte can move from one to the other."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
