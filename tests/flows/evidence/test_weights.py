"""The weights carry a signature that the public verifier takes; other weights, signatures and keys are refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from flows.errors import FlowError
from flows.evidence.inventory import hash_bytes
from flows.evidence.weights import SIGNATURE, read_weights_key, sign_weights
from tests.flows.evidence.conftest import Made, sign_again
from tests.flows.evidence.test_bundle import call

WEIGHTS = "data/draw/numbers/below/c.safetensors"


def make_key(folder: Path, name: str, curve: ec.EllipticCurve) -> tuple[str, str]:
    """The files of a private and a public key."""
    key, private, public = ec.generate_private_key(curve), folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


def ask_model_signing(project: Path, signature: Path, public: str) -> str:
    """What OpenSSF's own program says."""
    arguments = ["--signature", str(signature), "--public_key", public, "--ignore_unsigned_files"]
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(project), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{done.returncode}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1()], ids=["P-256", "P-521"])
def test_weights_are_signed_for_others_to_check(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve: ec.EllipticCurve
) -> None:
    monkeypatch.chdir(made.project)
    private, public = make_key(tmp_path, "weights", curve)
    _, other = make_key(tmp_path, "other", curve)
    assert call("evidence", "--out", "evidence/third", "--weights-key", private)[0] == 0
    third = Path("evidence/third")
    code, output = call("verify", str(third), "--weights-key", public)
    assert (code, "ok   weights    signed by the key given" in output) == (0, True)
    assert "with --weights-key" in call("verify", str(third))[1]
    code, output = call("verify", str(third), "--weights-key", other)
    assert code == 1
    assert f"     {SIGNATURE}: signed by the key " in output
    assert ask_model_signing(made.project, third / SIGNATURE, public).startswith("0: Verification succeeded")
    assert ask_model_signing(made.project, third / SIGNATURE, other).startswith("1: ")
    code, output = call("verify", f"evidence/{made.newest.name}", "--weights-key", public)
    assert f"     {SIGNATURE}: missing; --weights-key asks for a signature of the weights" in output
    Path(WEIGHTS).write_text("other weights")
    assert f"     {WEIGHTS}: the bundle says" in call("verify", str(third), "--weights-key", public)[1]
    assert WEIGHTS in ask_model_signing(made.project, third / SIGNATURE, public)


def test_a_signature_of_weights_is_held_against_the_run(made: Made, tmp_path: Path) -> None:
    """By who has the key of the bundle, too."""
    private, public = make_key(tmp_path, "weights", ec.SECP256R1())
    bundle, key = made.newest, read_weights_key(Path(private), private=True)
    files: dict[str, Any] = {WEIGHTS: hash_bytes((made.project / WEIGHTS).read_bytes())}

    def told(content: bytes) -> str:
        (bundle / SIGNATURE).write_bytes(content)
        sign_again(bundle, made.key)
        return call("verify", str(bundle), "--alone", "--no-data", "--key", trusted, "--weights-key", public)[1]

    trusted = str(shutil.copy(made.project / ".keys/evidence.pub.pem", tmp_path / "trusted.pem"))
    whole = json.loads(sign_weights(files, key))
    assert "accepted: " in (output := told(json.dumps(whole).encode())), output
    assert f"     {WEIGHTS}: {SIGNATURE} says sha256 " in told(sign_weights({WEIGHTS: hash_bytes(b"other")}, key))
    assert f"     a{WEIGHTS}: {SIGNATURE} says" in told(sign_weights(files | {f"a{WEIGHTS}": files[WEIGHTS]}, key))
    assert "no signature of weights (KeyError)" in told(b"{}")
    assert "another statement than the weights give" in told(json.dumps(whole | {"mediaType": "a"}).encode())
    (signature,) = whole["dsseEnvelope"]["signatures"]
    signature["sig"] = json.loads(sign_weights(files, key))["dsseEnvelope"]["signatures"][0]["sig"][:-8] + "AAAAAAA="
    assert "does not fit the weights that it states" in told(json.dumps(whole).encode())


def test_keys_for_weights_that_are_none(made: Made, tmp_path: Path) -> None:
    private, _ = make_key(tmp_path, "koblitz", ec.SECP256K1())
    with pytest.raises(FlowError, match=r"koblitz.pem: a key on the curve secp256k1; allowed: P-256, P-384, P-521"):
        read_weights_key(Path(private), private=True)
    with pytest.raises(FlowError, match=r"evidence.pem: a private key of another kind; allowed: P-256, .*docs/case.md"):
        read_weights_key(made.project / ".keys/evidence.pem", private=True)
    with pytest.raises(FlowError, match=r"--weights-key: the stages read and wrote no weights"):
        sign_weights({}, ec.generate_private_key(ec.SECP256R1()))
