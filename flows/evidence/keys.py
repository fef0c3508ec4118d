"""Ed25519 keys on disk: the private part as PKCS 8, the public part as SubjectPublicKeyInfo, both PEM."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flows.errors import FlowError
from flows.evidence.reading import UnreadableError, read_plain

KEY_FOLDER = Path(".keys")
PRIVATE = "evidence.pem"
PUBLIC = "evidence.pub.pem"
KEY_BYTES = 1 << 16


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
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_new(public_path, _public_pem(key.public_key()), 0o644)
    _write_new(private_path, pem, 0o600)
    return private_path, public_path, key_id(key.public_key())


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; FlowError if it is missing, open to others, or no Ed25519 key."""
    data = _read(path, "make one with `failure-atlas key`, or name yours with --key")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise FlowError(
            f"{path}: mode {mode:04o}, so others may read the private key; allowed: 0600 (chmod 600 {path})"
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FlowError(
            f"{path}: no private key in PEM without a password; make one with `failure-atlas key`"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FlowError(f"{path}: a private key of another kind; allowed: Ed25519 (`failure-atlas key` makes one)")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key; FlowError if it is missing or no Ed25519 key."""
    data = _read(path, "get it from whoever signed the bundle, and name it with --key")
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FlowError(f"{path}: no public key in PEM; `failure-atlas key` writes it as {PUBLIC}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise FlowError(f"{path}: a public key of another kind; allowed: Ed25519")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: SHA-256 of its SubjectPublicKeyInfo (DER), in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path, advice: str) -> bytes:
    # Links are followed: whoever names a key chose it.
    real = Path(os.path.realpath(path))
    try:
        return read_plain(real.parent, real.name, KEY_BYTES)
    except UnreadableError as error:
        raise FlowError(f"{path}: cannot read the key ({error.what}); {advice}") from error


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
