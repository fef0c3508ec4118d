"""Who is told how a re-evaluation ended: a webhook and e-mail, each with a real receiver here."""

import socket
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flows.notify import EMAIL, WEBHOOK, Notice, notify, read_route
from tests.flows.conftest import Mailbox, serving

NOTICE = Notice("Accepted", "demo: Accepted: 2 of 2 criteria pass", "all lines\nof it")
POSTED = {"text": NOTICE.text, "subject": NOTICE.subject, "state": NOTICE.state}


class MailServer:
    """An SMTP server on this machine: what it was given, and which receivers and passwords it refuses.

    tls: with it, the server offers STARTTLS (RFC 3207), or, if `at_once`, is encrypted from the start.
    """

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, at_once: bool = False) -> None:
        self.mails: list[tuple[str, list[str], Any]] = []
        self.logins: list[str] = []
        self.encrypted: list[bool] = []
        self.unknown: set[str] = set()
        self.wrong_password = False
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # who does not trust the certificate hangs up
                    if tls is None:
                        server.talk(self.request)
                    elif at_once or server.talk(self.request, offer=True):
                        with tls.wrap_socket(self.request, server_side=True) as encrypted:
                            server.talk(encrypted, greet=at_once)

        self.server = socketserver.TCPServer((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.at = f"{host}:{self.port}"

    def talk(self, connection: socket.socket, *, greet: bool = True, offer: bool = False) -> bool:
        """One conversation, in the words of RFC 5321 and, for the password, RFC 4954; is it to go on encrypted?"""
        sender, receivers = "", list[str]()
        read = connection.makefile("rb").readline

        def say(line: str) -> None:
            connection.sendall(f"{line}\r\n".encode())

        if greet:
            say("220 here")
        while line := read().decode().rstrip("\r\n"):
            word, address = line.split(" ")[0].upper(), line.partition("<")[2].partition(">")[0]
            answer = "221 bye" if word == "QUIT" else "250 yes"
            if word == "EHLO":
                answer = "\r\n".join(["250-here", *["250-STARTTLS"] * offer, "250 AUTH PLAIN"])
            elif word == "STARTTLS":
                say("220 go on")
                return True
            elif word == "AUTH":
                self.logins.append(line.split(" ")[2])
                answer = "535 no such user" if self.wrong_password else "235 welcome"
            elif word == "MAIL":
                sender = address
            elif word == "RCPT":
                receivers.append(address)
                answer = "550 no such mailbox" if address in self.unknown else answer
            elif word == "DATA":
                say("354 go on")
                text = "".join(part.removeprefix(".") for part in iter(lambda: read().decode(), ".\r\n"))
                self.mails.append((sender, receivers, message_from_string(text, policy=default)))
                self.encrypted.append(isinstance(connection, ssl.SSLSocket))
            say(answer)
        return False


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine for `localhost`, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    mail_server = MailServer()
    with serving(mail_server.server):
        yield mail_server


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WEBHOOK, raising=False)
    monkeypatch.delenv(EMAIL, raising=False)


def test_nobody_is_told_unless_configured() -> None:
    assert notify(NOTICE) == ([], [])


def test_webhook_is_told_and_a_failing_one_is_a_line_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    monkeypatch.setenv(WEBHOOK, mailbox.url)
    assert notify(NOTICE) == (["webhook at 127.0.0.1"], [])
    assert mailbox.received == [POSTED]
    mailbox.code = 500
    assert notify(NOTICE) == ([], [f"{WEBHOOK}: webhook at 127.0.0.1 was not told (HTTP 500)"])
    monkeypatch.setenv(WEBHOOK, "no-address")
    assert notify(NOTICE) == ([], [f"{WEBHOOK}: webhook at ? was not told (allowed: an http(s) address)"])


def send(monkeypatch: pytest.MonkeyPatch, server: MailServer, receivers: str, user: str = "") -> list[str]:
    """Tell receivers by way of a server; what went wrong."""
    monkeypatch.setenv(EMAIL, f"smtp://{user}{server.at}?from=atlas@example.org&to={receivers}")
    told, faults = notify(NOTICE)
    assert told == ([] if faults else [f"mail server at {server.at.partition(':')[0]}"])
    return faults


def test_email_is_sent_to_all_and_else_is_a_fault(monkeypatch: pytest.MonkeyPatch, mail_server: MailServer) -> None:
    assert send(monkeypatch, mail_server, "a+b@example.org,c@example.org") == []
    ((sender, receivers, mail),) = mail_server.mails
    assert (sender, receivers) == ("atlas@example.org", ["a+b@example.org", "c@example.org"])
    assert (mail["From"], mail["To"], mail["Subject"]) == (sender, ", ".join(receivers), NOTICE.subject)
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content().replace("\r\n", "\n") == f"{NOTICE.text}\n"
    assert mail_server.logins == []
    mail_server.unknown = {"c@example.org"}
    (fault,) = send(monkeypatch, mail_server, "b@example.org,c@example.org")
    assert "c@example.org" in fault
    assert "no such mailbox" in fault
    assert "b@example.org" not in fault
    assert len(mail_server.mails) == 2


def test_password_is_said_here_and_nowhere_else_in_the_clear(
    monkeypatch: pytest.MonkeyPatch, mail_server: MailServer
) -> None:
    assert send(monkeypatch, mail_server, "b@example.org", "me:p%40ss@") == []
    assert mail_server.logins == ["AG1lAHBAc3M="], "base 64 of: nothing, me, p@ss"
    mail_server.wrong_password = True
    wrong = f"{EMAIL}: mail server at 127.0.0.1 was not told ((535, b'no such user'))"
    assert send(monkeypatch, mail_server, "b@example.org", "me:p%40ss@") == [wrong]
    remote = MailServer("127.0.0.2")  # an address that counts as another machine's
    with serving(remote.server):
        (fault,) = send(monkeypatch, remote, "b@example.org", "me:secret@")
    assert (remote.logins, remote.mails, len(mail_server.mails)) == ([], [], 1)
    assert fault.startswith(f"{EMAIL}: mail server at 127.0.0.2 was not told (the server offers no encryption, so ")


@pytest.mark.parametrize(("scheme", "at_once"), [("smtp", False), ("smtps", True)])
def test_email_goes_encrypted_to_whom_the_machine_trusts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str, at_once: bool
) -> None:
    """STARTTLS and TLS from the start; the password is not said before the certificate has been believed."""
    certificate, key = write_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    mail_server = MailServer(tls=tls, at_once=at_once)
    address = f"{scheme}://me:secret@localhost:{mail_server.port}?from=a@example.org&to=b@example.org"
    monkeypatch.setenv(EMAIL, address)
    with serving(mail_server.server):
        told, (fault,) = notify(NOTICE)
        assert (told, mail_server.logins, mail_server.mails) == ([], [], [])
        assert "CERTIFICATE_VERIFY_FAILED" in fault
        assert "secret" not in fault
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert notify(NOTICE) == (["mail server at localhost"], [])
        monkeypatch.setenv(EMAIL, address.replace("localhost", "127.0.0.1"))
        _, (fault,) = notify(NOTICE)
        assert "CERTIFICATE_VERIFY_FAILED" in fault, "the certificate is for another name"
    assert mail_server.encrypted == [True]
    assert len(mail_server.logins) == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sendgrid-email/assessors", "allowed: smtp://"),
        ("smtp://?from=a@b&to=c@d", "allowed: smtp://"),
        ("smtp://host?to=c@d", "it has to say one sender and one receiver or more: smtp://"),
        ("smtp://host?from=a@b", "it has to say one sender"),
        ("smtp://host?from=a@b&to=c", "it has to say one sender"),
        ("smtp://me:se/cret@host?from=a@b&to=c@d", "its port is no number; in a password, write"),
    ],
)
def test_addresses_of_another_form(monkeypatch: pytest.MonkeyPatch, address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        read_route(address)
    monkeypatch.setenv(EMAIL, address)
    told, (fault,) = notify(NOTICE)
    assert told == []
    assert "cret" not in fault


def test_ports_and_encryption() -> None:
    server, port, _, receivers = read_route("smtps://host?from=a@b&to=c@d&to=e@f")
    assert (server.scheme, port, receivers) == ("smtps", 465, ["c@d", "e@f"])
    assert read_route("smtp://host?from=a@b&to=c@d")[1] == 587
