"""One e-mail through a mail server that an address names, with the standard library alone."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

EXAMPLE = "smtp://USER:PASSWORD@HOST:587?from=ADDRESS&to=ADDRESS,ADDRESS"
PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Route:
    """Through which server an e-mail goes, and from whom to whom.

    scheme: `smtp`, encrypted if the server offers it, or `smtps`, encrypted from the start.  user: empty for a server
    that asks for no password.
    """

    scheme: str
    host: str
    port: int
    user: str
    password: str
    sender: str
    receivers: list[str]


def read_route(address: str) -> Route:
    """Take an address apart; ValueError that does not show it, for it holds a password."""
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
    return Route(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        sender=senders[0],
        receivers=receivers,
    )


def send_mail(address: str, subject: str, text: str, timeout_seconds: float) -> None:
    """Send one e-mail to all receivers that an address like EXAMPLE names.

    Raises ValueError if the address is of another form or a password would go unencrypted over a network, OSError
    (smtplib.SMTPException is one) if the server cannot be reached or refuses any receiver.
    """
    route = read_route(address)
    message = EmailMessage()
    message["From"], message["To"] = route.sender, ", ".join(route.receivers)
    message["Subject"] = " ".join(subject.split())
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=route.sender.rpartition("@")[2])
    message.set_content(text)
    with _connect(route, timeout_seconds) as server:
        if route.user:
            server.login(route.user, route.password)
        refused = server.send_message(message, route.sender, route.receivers)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def _connect(route: Route, timeout_seconds: float) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if route.scheme == "smtps":
        return smtplib.SMTP_SSL(route.host, route.port, timeout=timeout_seconds, context=context)
    server = smtplib.SMTP(route.host, route.port, timeout=timeout_seconds)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif route.user and route.host not in LOOPBACK:
            raise ValueError("the server offers no encryption, so that the password would be readable on the way")
    except BaseException:
        server.close()
        raise
    return server
