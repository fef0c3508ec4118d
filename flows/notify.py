"""Who is told how a re-evaluation ended: the log by default, a webhook or e-mail if one is configured.

Two environment variables, each optional; nothing is sent anywhere unless one is set:
FAILURE_ATLAS_WEBHOOK  an http(s) address that takes JSON `{text, subject, state}`, or a Prefect block `TYPE/NAME`
FAILURE_ATLAS_EMAIL    a Prefect block `TYPE/NAME` that sends e-mail, e.g. `sendgrid-email/assessors`
"""

import json
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WEBHOOK = "FAILURE_ATLAS_WEBHOOK"
EMAIL = "FAILURE_ATLAS_EMAIL"
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Notice:
    """What is told. state: one word, e.g. `Accepted`.  subject: one line.  text: all lines."""

    state: str
    subject: str
    text: str


def notify(notice: Notice) -> tuple[list[str], list[str]]:
    """Send a notice to all that are configured; returns who got it, and what went wrong, one line each.

    Never raises: a notice that cannot be delivered does not undo what it tells of.
    """
    told: list[str] = []
    faults: list[str] = []
    for variable in (WEBHOOK, EMAIL):
        target = os.environ.get(variable, "").strip()
        if not target:
            continue
        try:
            told.append(_send(target, notice))
        except Exception as error:  # noqa: BLE001 - blocks are other people's code, and raise what they like
            faults.append(f"{variable}: {_describe(target)} was not told ({_tell(error)})")
    return told, faults


def _send(target: str, notice: Notice) -> str:
    """Send to one address or block; returns what to call it in a log."""
    payload = {"text": notice.text, "subject": notice.subject, "state": notice.state}
    if target.startswith(("http://", "https://")):
        _post(target, payload)
    else:
        _call_block(target, notice, payload)
    return _describe(target)


def _describe(target: str) -> str:
    """A target without the secrets that the path of a webhook's address holds."""
    if "://" not in target:
        return f"block {target}"
    return f"webhook at {urlsplit(target).hostname}"


def _post(url: str, payload: Mapping[str, str]) -> None:
    request = urllib.request.Request(  # noqa: S310 - the caller checked the scheme
        url, json.dumps(payload).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - as above
        pass


def _call_block(slug: str, notice: Notice, payload: Mapping[str, str]) -> None:
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block
    from prefect.blocks.webhook import Webhook

    if slug.count("/") != 1:
        raise ValueError("allowed: an http(s) address, or a Prefect block as TYPE/NAME (`prefect block ls`)")
    block: Any = Block.load(slug)
    if isinstance(block, Webhook):
        response = _run(block.call(dict(payload)))
        response.raise_for_status()
    elif isinstance(block, NotificationBlock):
        _run(block.notify(notice.text, notice.subject))
    else:
        raise TypeError(f"a block of type {type(block).__name__} cannot send a notice")


def _run(pending: Any) -> Any:
    """The result of a block's method, which is a coroutine for some blocks and a plain value for others."""
    import asyncio
    import inspect

    async def wait() -> Any:
        return await asyncio.wait_for(pending, 3 * TIMEOUT_SECONDS)

    return asyncio.run(wait()) if inspect.isawaitable(pending) else pending


def _tell(error: Exception) -> str:
    # No address in it: the one of a webhook is a secret.
    reason = getattr(error, "reason", None) or (f"HTTP {error.code}" if hasattr(error, "code") else error)
    lines = str(reason).splitlines()
    return lines[0] if lines else type(error).__name__
