"""Since when a bundle has existed, and whether it is the newest: RFC 3161 time stamps, and keys that hold for a time.

A stamp is an authority's signature over the digest of the envelope and a time; it lies beside the envelope, which
cannot hold it. Whoever checks names the authority's root certificate. Times that a maker states are held against the
stamp; what a stamp cannot show is that a bundle did not exist before it. https://www.rfc-editor.org/rfc/rfc3161
"""

import re
import tomllib
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.errors import VerificationError

from flows.errors import FlowError
from flows.evidence.attestation import ENVELOPE, STAMP, STAMP_BYTES, key_id, read_public_key
from flows.evidence.reading import Problem, UnreadableError, read_plain

LIST_BYTES, MOST_KEYS = 1 << 20, 1000
SECONDS = 30  # for an authority to answer
NEAR = timedelta(hours=1)  # between the time that a bundle states and its stamp


@dataclass(frozen=True)
class Newest:
    """The bundle that a signer says is the newest.

    sha256: of its envelope.  at: when that was said.  until: when it will be said anew, at the latest.
    """

    sha256: str
    at: datetime
    until: datetime


@dataclass(frozen=True)
class Span:
    """When a key holds; end: when it was replaced or revoked, None while it holds."""

    start: datetime
    end: datetime | None
    revoked: bool


def ask_stamp(url: str, envelope: bytes) -> bytes:
    """An authority's stamp over an envelope; FlowError that names the authority where it gives none.

    url: http or https, for the answer is signed.  It learns the digest of the envelope and nothing else.
    """
    if not url.startswith(("http://", "https://")):
        raise FlowError(f"--timestamp {url}: allowed: http://... or https://..., an RFC 3161 time stamping authority")
    asked = TimestampRequestBuilder().data(envelope).hash_algorithm(HashAlgorithm.SHA256).build().as_bytes()
    request = urllib.request.Request(url, asked, {"Content-Type": "application/timestamp-query"})  # noqa: S310 - above
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - http or https, as checked above
            content: bytes = answer.read(STAMP_BYTES + 1)
        if len(content) > STAMP_BYTES:
            raise ValueError(f"more than {STAMP_BYTES} bytes")
        decode_timestamp_response(content).tst_info.gen_time  # noqa: B018 - refused here and not by who checks
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise FlowError(f"--timestamp {url}: gave no stamp ({error}); try again, or make the bundle without") from error
    return content


def read_authorities(paths: Sequence[Path]) -> list[Certificate]:
    """Root certificates of time stamping authorities in PEM; FlowError that names the file."""
    found: list[Certificate] = []
    for path in paths:
        try:
            found += load_pem_x509_certificates(path.read_bytes()[:LIST_BYTES])
        except (OSError, ValueError) as error:
            raise FlowError(f"--authority {path}: no certificate in PEM ({error}); get the authority's root") from error
    return found


def read_stamp(bundle: Path, authorities: Sequence[Certificate]) -> datetime | None:
    """The time at which a bundle existed, by its stamp; None where it has none. UnreadableError if it does not hold."""
    try:
        content = read_plain(bundle, STAMP, STAMP_BYTES)
    except UnreadableError as error:
        if error.what == "missing":
            return None
        raise
    builder = VerifierBuilder()
    for each in authorities:
        builder = builder.add_root_certificate(each)
    try:
        stamp = decode_timestamp_response(content)
        builder.build().verify_message(stamp, read_plain(bundle, ENVELOPE))
        return stamp.tst_info.gen_time.astimezone(UTC)
    except (VerificationError, ValueError, TypeError, OverflowError) as error:
        raise UnreadableError(STAMP, f"no stamp of these authorities over this envelope ({error})") from error


def compare_times(stamped: datetime, stated: str, path: str) -> Iterator[Problem]:
    """Where a bundle states another time than its stamp.  stated: ISO 8601, of the file `path`."""
    try:
        made = datetime.fromisoformat(stated).astimezone(UTC)
    except ValueError:
        yield Problem(path, "states no time at which it was made")
        return
    if abs(made - stamped) > NEAR:
        what = "back-dated, or stamped late" if made < stamped else "made after its stamp, which cannot be"
        yield Problem(path, f"says it was made at {_tell(made)}, stamped at {_tell(stamped)}: {what}")


def read_key_list(path: Path) -> tuple[dict[Path, tuple[str, Span]], Newest | None]:
    """A list of keys with dates: file of each -> its id and when it holds; FlowError that names the entry.

    TOML: `[[keys]]` with `file` (a public key, beside the list), `from`, and `until` or `revoked`: dates with a zone.
    Also returns what its table `newest` says, None where it has none.
    """
    try:
        read = tomllib.loads(path.read_bytes()[:LIST_BYTES].decode())
        entries, newest = read["keys"], read.get("newest")
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_KEYS:
            raise ValueError(f"keys: allowed: 1 to {MOST_KEYS} entries")
        keys = {path.parent / str(each["file"]): _read_entry(path, place, each) for place, each in enumerate(entries)}
        return keys, None if newest is None else _read_newest(newest)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FlowError(f"--keys {path}: no list of keys ({error}); docs/evidence.md shows one") from error


def _read_entry(path: Path, place: int, entry: Mapping[str, Any]) -> tuple[str, Span]:
    if unknown := sorted(entry.keys() - {"file", "from", "until", "revoked"}):
        raise ValueError(f"keys.{place}.{unknown[0]}: unknown; allowed: file, from, until, revoked")
    times = {name: entry[name] for name in ("from", "until", "revoked") if name in entry}
    if "from" not in times or not _are_times(*times.values()):
        raise ValueError(f"keys.{place}: from, until, revoked: dates with a time zone, such as 2026-01-31T00:00:00Z")
    ends = [times[name] for name in ("until", "revoked") if name in times]
    key = read_public_key(path.parent / str(entry["file"]))
    return key_id(key), Span(times["from"], min(ends) if ends else None, "revoked" in times)


def _read_newest(entry: Mapping[str, Any]) -> Newest:
    newest = Newest(**entry)
    if not isinstance(newest.sha256, str) or not re.fullmatch("[0-9a-f]{64}", newest.sha256):
        raise ValueError("newest.sha256: 64 hexadecimal digits, as `failure-atlas evidence` tells them")
    if not _are_times(newest.at, newest.until):
        raise ValueError("newest: at, until: dates with a time zone, such as 2026-01-31T00:00:00Z")
    return newest


def _are_times(*values: object) -> bool:
    return all(isinstance(each, datetime) and each.tzinfo is not None for each in values)


def check_newest(sha256: str, before: Collection[str], newest: Newest, now: datetime) -> Iterator[Problem]:
    """Whether a bundle may be withheld that is newer than this one.

    sha256: of this one's envelope.  before: of the envelopes that it follows.
    """
    if newest.sha256 not in {sha256, *before}:
        what = f"the list of keys named {newest.sha256[:16]} at {_tell(newest.at)}, and this neither is nor follows it"
        yield Problem(ENVELOPE, f"not the newest: {what}; ask for that bundle, with its chain")
    if now >= newest.until:
        what = f"the list of keys told until {_tell(newest.until)} which bundle is the newest"
        yield Problem(ENVELOPE, f"perhaps not the newest: {what}; ask for a list that still holds")


def check_key(key: str, spans: Mapping[str, Span], stamped: datetime | None) -> Iterator[Problem]:
    """Whether a key held when a bundle was signed; without a stamp nobody knows when that was."""
    span = spans.get(key)
    if span is None:
        yield Problem(ENVELOPE, f"signed by the key {key[:16]}, which the list of keys does not name")
    elif stamped is None:
        if span.end is not None:
            word = "revoked" if span.revoked else "replaced"
            told = f"signed by a key {word} at {_tell(span.end)}, and no stamp shows that it was before"
            yield Problem(ENVELOPE, told)
    elif stamped < span.start - NEAR or (span.end is not None and stamped >= span.end):
        end = "now" if span.end is None else _tell(span.end)
        yield Problem(ENVELOPE, f"stamped at {_tell(stamped)}; its key held from {_tell(span.start)} to {end}")


def _tell(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
