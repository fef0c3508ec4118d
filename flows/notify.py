"""Who is told how a re-evaluation ended: the log by default, and whom these two environment variables name.

Nothing is sent anywhere unless one is set:
FAILURE_ATLAS_WEBHOOK  an http(s) address that takes JSON `{text, subject, state}`, as the webhooks of chats do
FAILURE_ATLAS_EMAIL    a mail server and who is to be told: `smtp://USER:PASSWORD@HOST:587?from=ADDRESS&to=ADDRESS`
"""

import json
import os
import re
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

EXAMPLE = "smtp://USER:PASSWORD@HOST:587?from=ADDRESS&to=ADDRESS,ADDRESS"
PORTS = {"smtp": 587, "smtps": 465}
WEBHOOK = "FAILURE_ATLAS_WEBHOOK"
EMAIL = "FAILURE_ATLAS_EMAIL"
TIMEOUT_SECONDS = 10.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Notice:
    """What is told. state: one word, e.g. `Accepted`.  subject: one line.  text: all lines."""

    state: str
    subject: str
    text: str


def read_route(address: str) -> tuple[SplitResult, int, str, list[str]]:
    """Take an address like EXAMPLE apart: server and user, port, sender, receivers.

    `smtp` is encrypted if the server offers it, `smtps` from the start. ValueError that does not show the address, for
    it holds a password.
    """
    parts = urlsplit(address)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"allowed: {EXAMPLE}, or smtps:// for a server that is encrypted from the start")
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError:  # whose message may show a part of the password
        raise ValueError(
            "its port is no number; in a password, write : / ? # @ and % as %3A %2F %3F %23 %40 %25"
        ) from None
    asked = parse_qs(parts.query.replace("+", "%2B"))  # a plus belongs to many an address
    senders = asked.get("from", [])
    receivers = [each.strip() for entry in asked.get("to", []) for each in entry.split(",") if each.strip()]
    if len(senders) != 1 or not receivers or not all("@" in each for each in (*senders, *receivers)):
        raise ValueError(f"it has to say one sender and one receiver or more: {EXAMPLE}")
    return parts, port, senders[0], receivers


def _send_mail(address: str, notice: Notice) -> None:
    """Send one e-mail to all receivers that an address like EXAMPLE names.

    Raises ValueError if the address is of another form or a password would go unencrypted over a network, OSError
    (smtplib.SMTPException is one) if the server cannot be reached or refuses any receiver.
    """
    server, port, sender, receivers = read_route(address)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(receivers), " ".join(notice.subject.split())
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    message.set_content(notice.text)
    host, context = server.hostname or "", ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    with connection:
        connection.ehlo()
        if server.scheme == "smtp" and connection.has_extn("starttls"):
            connection.starttls(context=context)
        elif server.scheme == "smtp" and server.username and host not in LOOPBACK:
            raise ValueError("the server offers no encryption, so that the password would be readable on the way")
        if server.username:
            connection.login(unquote(server.username), unquote(server.password or ""))
        refused = connection.send_message(message, sender, receivers)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def notify(notice: Notice) -> tuple[list[str], list[str]]:
    """Send a notice to all that are configured; returns who got it, and what went wrong, one line each.

    Never raises: a notice that cannot be delivered does not undo what it tells of.
    """
    told: list[str] = []
    faults: list[str] = []
    senders: Mapping[str, Callable[[str, Notice], None]] = {WEBHOOK: _call_webhook, EMAIL: _send_mail}
    for variable, send in senders.items():
        if target := os.environ.get(variable, "").strip():
            try:
                send(target, notice)
                told.append(_describe(variable, target))
            except Exception as error:  # noqa: BLE001 - whatever it is, it undoes nothing
                faults.append(f"{variable}: {_describe(variable, target)} was not told ({_tell(error)})")
    return told, faults


def _call_webhook(target: str, notice: Notice) -> None:
    if not target.startswith(("http://", "https://")):
        raise ValueError("allowed: an http(s) address")
    payload = json.dumps({"text": notice.text, "subject": notice.subject, "state": notice.state})
    header = {"Content-Type": "application/json"}
    request = urllib.request.Request(target, payload.encode(), header)  # noqa: S310 - the scheme is known
    urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()  # noqa: S310 - as above


def _describe(variable: str, target: str) -> str:
    """A target without its secrets: the path of a webhook's address, the password for a mail server."""
    return f"{'webhook' if variable == WEBHOOK else 'mail server'} at {urlsplit(target).hostname or '?'}"


def _tell(error: Exception) -> str:
    """The first line of an error, without addresses: they hold secrets."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    lines = str(getattr(error, "reason", None) or error).splitlines()
    return re.sub(r"\w+://\S+", "its address", lines[0]) if lines else type(error).__name__
