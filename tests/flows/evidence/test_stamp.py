"""Since when a bundle exists: a local authority stamps it; what is back-dated, swapped or of an old key is seen."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flows.errors import FlowError
from flows.evidence.attestation import ENVELOPE, STAMP, make_keys, read_private_key
from flows.evidence.bundle import make_bundle
from flows.evidence.stamp import ask_stamp, read_authorities
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import Made, sign_again
from tests.flows.evidence.forging import edit_json
from tests.flows.evidence.test_bundle import call

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl, which is the authority here, is not installed")
LISTED = '[[keys]]\nfile = "KEY"\nfrom = 2020-01-01T00:00:00Z\n'
CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
default_policy = 1.2.3.4
digests = sha256, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
[ext]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


def openssl(*arguments: str) -> None:
    subprocess.run([str(OPENSSL), *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a time stamping authority on this machine, and its root certificate."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "tsa.conf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    root, signer = (str(folder / "root.pem"), "-keyout", str(folder / "root.key")), str(folder / "tsa.key")
    openssl("req", "-x509", *new, "-subj", "/CN=root", "-days", "3650", "-out", *root)
    openssl("req", *new, "-subj", "/CN=tsa", "-out", f"{folder}/tsa.csr", "-keyout", signer)
    openssl(
        *("x509", "-req", "-in", f"{folder}/tsa.csr", "-CA", root[0], "-CAkey", root[2], "-CAcreateserial"),
        *("-days", "3650", "-extfile", f"{folder}/tsa.conf", "-extensions", "ext", "-out", f"{folder}/tsa.pem"),
    )

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            query = ("-queryfile", f"{folder}/query", "-out", f"{folder}/answer")
            openssl("ts", "-reply", "-config", f"{folder}/tsa.conf", "-section", "one", *query)
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / "answer").read_bytes() if self.path == "/" else b"x" * 70_000)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder / "root.pem"
        server.shutdown()


@pytest.fixture
def stamped(made: Made, authority: tuple[str, Path]) -> Made:
    """The project with a third bundle, stamped."""
    with chdir(made.project):
        third = made.project / make_bundle(made.key, Path("evidence/third"), authority=authority[0])
    return Made(made.project, made.key, [*made.bundles, third])


def told(made: Made, root: Path, **others: object) -> list[str]:
    roots = read_authorities([root])
    return [str(each) for each in verify(made.newest, made.keys, authorities=roots, **others).problems]


def test_verify_says_since_when_a_bundle_exists(
    stamped: Made, authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stamped.project)
    code, output = call("verify", "evidence/third", "--authority", str(authority[1]))
    assert code == 0
    (line,) = [line for line in output.splitlines() if line.startswith("ok   time")]
    at = datetime.fromisoformat(line.split("existed at ")[1].split(",")[0])
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5)
    assert "times before the stamp" in output.splitlines()[-1]
    assert "its stamp is not checked" in call("verify", "evidence/third")[1]
    assert "ok   time" not in call("verify", f"evidence/{stamped.bundles[0].name}")[1]


def test_seeded_cases_of_time(stamped: Made, authority: tuple[str, Path], tmp_path: Path) -> None:
    url, root = authority
    bundle = stamped.newest
    assert told(stamped, root) == []
    whole = {path: path.read_bytes() for path in (bundle / STAMP, bundle / ENVELOPE, bundle / "ro-crate-metadata.json")}

    def restore() -> None:
        for path, content in whole.items():
            path.write_bytes(content)

    def state(date: str) -> None:
        edit_json(
            bundle, "ro-crate-metadata.json",
            lambda read: next(each for each in read["@graph"] if each["@id"] == "./").update(datePublished=date),
        )  # fmt: skip
        (bundle / STAMP).unlink()  # the statement lists no stamp
        sign_again(bundle, stamped.key)
        (bundle / STAMP).write_bytes(whole[bundle / STAMP])

    (bundle / STAMP).unlink()
    assert told(stamped, root) == [f"{STAMP}: missing; --authority asks for a stamp"]
    restore()
    for place in range(0, len(whole[bundle / STAMP]), 97):
        spoilt = bytearray(whole[bundle / STAMP])
        spoilt[place] ^= 1
        (bundle / STAMP).write_bytes(spoilt)
        assert told(stamped, root)[0].startswith(f"{STAMP}: no stamp of these authorities"), place
    (bundle / STAMP).write_bytes(b"x" * 70_000)
    assert f"{STAMP}: extra; the statement does not list it" in told(stamped, root)
    restore()
    state("2020-01-01T00:00:00+00:00")  # back-dated; the old stamp is over other bytes, a new one tells of today
    assert told(stamped, root)[0].startswith(f"{STAMP}: no stamp of these authorities over this envelope")
    (bundle / STAMP).write_bytes(ask_stamp(url, (bundle / ENVELOPE).read_bytes()))
    assert told(stamped, root)[0].endswith("back-dated, or stamped late")
    state((datetime.now(UTC) + timedelta(days=9)).isoformat())
    (bundle / STAMP).write_bytes(ask_stamp(url, (bundle / ENVELOPE).read_bytes()))
    assert told(stamped, root)[0].endswith("made after its stamp, which cannot be")
    restore()
    other = tmp_path / "other.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other",
            "-keyout", str(tmp_path / "other.key"), "-out", str(other))  # fmt: skip
    assert told(stamped, other)[0].startswith(f"{STAMP}: no stamp of these authorities")


def test_a_chain_that_was_stamped_in_another_order_is_seen(stamped: Made, authority: tuple[str, Path]) -> None:
    before = stamped.bundles[1]
    assert told(stamped, authority[1], chain=before.parent) == []
    time.sleep(1.1)  # stamps tell seconds
    (before / STAMP).write_bytes(ask_stamp(authority[0], (before / ENVELOPE).read_bytes()))
    assert told(stamped, authority[1], chain=before.parent) == [
        f"{before.name}/{STAMP}: stamped later than the bundle that follows it"
    ]


def test_the_keys_of_all_bundles_of_a_chain_have_to_hold(stamped: Made, authority: tuple[str, Path]) -> None:
    earlier = [each for each in stamped.bundles if each != stamped.newest]
    problems = told(stamped, authority[1], chain=stamped.newest.parent, spans={})
    where = {ENVELOPE, *(f"{each.name}/{ENVELOPE}" for each in earlier)}
    assert {each.partition(": ")[0] for each in problems} == where
    assert all("which the list of keys does not name" in each for each in problems)
    assert len(problems) == len(where) > 1


def test_keys_are_rotated_and_revoked(
    stamped: Made, authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stamped.project)
    today = datetime.now(UTC)
    past, future = ((today + timedelta(days=days)).isoformat(timespec="seconds") for days in (-9, 9))
    _, public, _ = make_keys(Path("others"))

    def check(*words: str, file: str = ".keys/evidence.pub.pem") -> str:
        Path("keys.toml").write_text(f'[[keys]]\nfile = "{file}"\n' + "".join(f"{word}\n" for word in words))
        name, root = "evidence/third", ("--authority", str(authority[1]))
        code, output = call("verify", name, "--keys", "keys.toml", "--key", ".keys/evidence.pub.pem", *root)
        assert (code == 0) == ("NOT ACCEPTED" not in output)
        return output

    assert "ok   key dates" in check(f"from = {past}")
    assert "ok   key dates" in check(f"from = {past}", f"until = {future}")
    assert "its key held from" in check(f"from = {future}")
    assert "its key held from" in check("from = 2020-01-01T00:00:00Z", f"revoked = {past}")
    assert "which the list of keys does not name" in check(f"from = {past}", file=str(public))
    code, output = call("verify", "evidence/third", "--keys", "keys.toml", "--key", ".keys/evidence.pub.pem")
    assert code == 1, "no stamp was asked"
    Path("keys.toml").write_text(f'[[keys]]\nfile = ".keys/evidence.pub.pem"\nfrom = {past}\nrevoked = {future}\n')
    output = call("verify", "evidence/third", "--keys", "keys.toml")[1]
    assert "signed by a key revoked at" in output
    assert "no stamp shows that it was before" in output


def test_a_newest_bundle_that_is_withheld_is_seen(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.project)
    first, second = (f"evidence/{each.name}" for each in made.bundles)
    fork = str(make_bundle(made.key, Path("evidence/fork"), previous=made.bundles[0]))

    def check(bundle: str, listed: str, *more: str, days: int = 9) -> str:
        now, digest = datetime.now(UTC), sha256((made.project / listed / ENVELOPE).read_bytes()).hexdigest()
        newest = f'[newest]\nsha256 = "{digest}"\nat = {now.isoformat()}\nuntil = {(now + timedelta(days)).isoformat()}'
        Path("keys.toml").write_text(LISTED.replace("KEY", ".keys/evidence.pub.pem") + newest)
        code, output = call("verify", bundle, "--keys", "keys.toml", "--no-data", *more)
        assert (code == 1) == ("BAD  newest" in output)
        return output

    assert f"that no newer bundle exists since {datetime.now(UTC):%Y-%m-%d}" in check(second, second)
    assert "ok   newest" in check(second, first, "--alone"), "made after the list"
    told = "the list of keys named"
    assert f"not the newest: {told}" in check(first, second)
    assert f"not the newest: {told}" in check(fork, second)
    assert "not the newest" not in check(fork, first)
    assert "perhaps not the newest: the list of keys told until" in check(second, second, days=-1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", r"no list of keys \('keys'\)"),
        ("keys = []", "allowed: 1 to 1000 entries"),
        ('[[keys]]\nfile = "a"\nfrom = 2020-01-01', "dates with a time zone"),
        ('[[keys]]\nfile = "a"\nto = 1', "keys.0.to: unknown; allowed: file, from, until, revoked"),
        ('[[keys]]\nfile = "a"\nfrom = 2020-01-01T00:00:00Z', "a: cannot read the key"),
        (LISTED + '[newest]\nsha256 = "ab"\nat = 1\nuntil = 1', "newest.sha256: 64 hexadecimal digits"),
        (LISTED + f'[newest]\nsha256 = "{"ab" * 32}"\nat = 1\nuntil = 1', "newest: at, until: dates with a time zone"),
        (LISTED + "[newest]\nto = 1", "unexpected keyword argument 'to'"),
    ],
)
def test_lists_of_keys_that_are_none(lasting: Made, tmp_path: Path, text: str, what: str) -> None:
    key = lasting.project / ".keys/evidence.pub.pem"
    (tmp_path / "keys.toml").write_text(text.replace("KEY", str(key)))
    with pytest.raises(FlowError, match=what):
        call("verify", str(lasting.newest), "--keys", str(tmp_path / "keys.toml"))


def test_an_authority_that_gives_no_stamp(
    made: Made, authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.project)
    private = read_private_key(Path(".keys/evidence.pem"))
    for url, what in (
        ("file:///etc/hosts", "allowed: http://... or https://..."),
        ("http://127.0.0.1:9/", "gave no stamp"),
        (f"{authority[0]}large", "more than 65536 bytes"),
    ):
        with pytest.raises(FlowError, match=what):
            make_bundle(private, Path("evidence/third"), authority=url)
        assert not Path("evidence/third").exists()
    (made.project / "no.pem").write_text(json.dumps({}))
    with pytest.raises(FlowError, match=r"--authority .*no.pem: no certificate in PEM"):
        read_authorities([made.project / "no.pem"])
