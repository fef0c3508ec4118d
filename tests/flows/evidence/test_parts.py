"""Hashes, keys, numbers and pages by themselves."""

import json
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from flows.errors import FlowError
from flows.evidence.attestation import make_keys, read_private_key, read_public_key
from flows.evidence.inventory import FileHash, dvc_md5, hash_bytes, hash_path, select_below, tree_sha256
from flows.evidence.pipeline import read_lock
from flows.evidence.recomputed import compare_shown, read_shown
from flows.git import _without_password


def test_hashes_of_known_bytes() -> None:
    """FIPS 180-2 and RFC 1321 give these for `abc`."""
    assert hash_bytes(b"abc") == FileHash(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "900150983cd24fb0d6963f7d28e17f72", 3
    )


def test_listing_agrees_with_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "out/below").mkdir(parents=True)
    (tmp_path / "out/b").write_bytes(b"b")
    (tmp_path / "out/below/a").write_bytes(b"")
    (tmp_path / "outer").write_bytes(b"not in out")
    files = hash_path(tmp_path, "out")
    lines = subprocess.run(["sha256sum", "out/b", "out/below/a"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert tree_sha256(files) == hash_bytes(lines).sha256
    everything = files | hash_path(tmp_path, "outer")
    assert select_below(everything, "out", sorted(everything)) == files
    assert dvc_md5(select_below(everything, "outer", sorted(everything)), "outer") == hash_bytes(b"not in out").md5


def test_key_pair(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    private, public, name = make_keys(tmp_path / ".keys")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert read_private_key(private).public_key() == read_public_key(public)
    ignored = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ignored.stdout == "", "git does not see the folder"
    assert len(name) == 64
    before = private.read_bytes()
    with pytest.raises(FlowError, match=r"evidence.pem is there already and is never overwritten"):
        make_keys(tmp_path / ".keys")
    private.unlink()
    with pytest.raises(FlowError, match=r"evidence.pub.pem is there already"):
        make_keys(tmp_path / ".keys")
    assert sorted(path.name for path in (tmp_path / ".keys").iterdir()) == [".gitignore", "evidence.pub.pem"]
    private.write_bytes(before)
    private.chmod(0o640)
    with pytest.raises(FlowError, match=r"mode 0640, so others may read the private key; allowed: 0600"):
        read_private_key(private)


def test_keys_of_another_kind(tmp_path: Path) -> None:
    key = generate_private_key(SECP256R1())
    path = tmp_path / "key.pem"
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(FlowError, match=r"a private key of another kind; allowed: Ed25519"):
        read_private_key(path)
    with pytest.raises(FlowError, match=r"no public key in PEM"):
        read_public_key(path)
    path.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(FlowError, match=r"a public key of another kind; allowed: Ed25519"):
        read_public_key(path)
    with pytest.raises(FlowError, match=r"no private key in PEM"):
        read_private_key(path)
    with pytest.raises(FlowError, match=r"cannot read the key \(missing\); make one with"):
        read_private_key(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"a: [", "no YAML"),
        (b"stages: {}", "no lock file of schema 2.0"),
        (b"schema: '2.0'\nstages: {a: {deps: []}}", "stage a: 'cmd'"),
        (b"schema: '2.0'\nstages: {a: {cmd: x, outs: [{path: b, etag: 1}]}}", "b has no md5"),
    ],
)
def test_lock_that_cannot_be_read(text: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_lock(text)


def test_page_with_metrics() -> None:
    """What a browser reads: attributes in any order, `</` escaped, other scripts left alone."""
    held = {"a": {"value": 0.1, "note": "</script><b>"}}
    text = json.dumps(held).replace("</", "<\\/")
    page = (
        f'<p>&lt;</p><script>var x = 1</script><script id=\'metrics\' type="application/json">{{"m": {text}}}</script>'
    )
    assert read_shown(page.encode()) == {"m": held}
    assert read_shown(b"<p>no metrics</p><script id='metrics'>1</script>") is None
    with pytest.raises(ValueError, match="2 scripts with the id metrics"):
        read_shown(b"<script id='metrics' type='application/json'>{}</script>" * 2)
    with pytest.raises(ValueError, match="the script metrics: a list, no dict"):
        read_shown(b"<script id='metrics' type='application/json'>[1]</script>")


def test_shown_metrics_against_files() -> None:
    files = {"data/x/metrics.json": {"a": 1.0, "b": {"value": 2}}}
    for key in ("x/metrics.json", "x", "data/x/metrics.json"):
        assert list(compare_shown("page", {key: {"a": 1.0, "b": {"value": 2}}}, files)) == []
    told = [str(problem) for problem in compare_shown("page", {"x": {"a": 1.0}, "y": {}}, files)]
    assert told == [
        "page: data/x/metrics.json: b: the page shows nothing, the file holds {'value': 2}",
        "page: shows metrics of y, a file that the bundle does not hold",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@example.org/a.git", "https://example.org/a.git"),
        ("https://example.org/a.git", "https://example.org/a.git"),
        ("git@example.org:a.git", "git@example.org:a.git"),
        ("", ""),
    ],
)
def test_no_password_in_the_url(url: str, shown: str) -> None:
    assert _without_password(url) == shown
