"""A classifier behind a URL.

Protocol: a POST with `Content-Type: application/x-npy` whose body is a .npy file of float32 images [N, C, H, W],
C-ordered; status 200 with a .npy file of real numbers [N, classes] as body, rows in the order of the images. At most
`batch_size` images a request. Nothing but that URL is ever called: a redirect is an error, proxies are not used.
"""

import time
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import BytesIO
from socket import SHUT_RDWR
from threading import Thread
from urllib.parse import SplitResult, urlsplit

import numpy as np

from failure_atlas.brought.code import tell
from failure_atlas.core.errors import StageError
from failure_atlas.core.text import escape

MEDIA_TYPE = "application/x-npy"
TRIES = 3
PAUSE_SECONDS = 0.5  # before the second try, twice as long before the third
MOST_BYTES_PER_IMAGE = 1_000_000  # of an answer: 125,000 classes in float64
HEADER_BYTES = 100_000  # of a .npy file, at most
BLOCK_BYTES = 1 << 16
OK = 200


class HttpPredictor:
    """Predict function of `BlackBox` that asks a server; it keeps one connection open between calls.

    timeout_seconds: for the whole of one request, from looking up the host to the last byte of the answer, and all
    tries of it.  A connection that fails is tried again twice; a status other than 200 is not.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 60.0, batch_size: int = 250) -> None:
        self.url, self.timeout_seconds, self.batch_size = url, timeout_seconds, batch_size
        self._parts = check_url(url)
        self._connection: HTTPConnection | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Outputs [N, classes] of images [N, C, H, W] float32.

        Raises StageError if the server cannot be reached, says anything but 200, or answers with no such array.
        """
        answers = [
            self._ask(images[first : first + self.batch_size])
            for first in range(0, max(len(images), 1), self.batch_size)
        ]
        widths = {answer.shape[1] for answer in answers}
        if len(widths) > 1:
            raise StageError(
                f"{self.url}: answered with {' and '.join(map(str, sorted(widths)))} classes; the same number is needed"
            )
        return np.concatenate(answers)

    def close(self) -> None:
        """Close the connection, if one is open; the next call opens another."""
        if self._connection is not None:
            self._drop(self._connection)

    def _ask(self, images: np.ndarray) -> np.ndarray:
        body = write_npy(images)
        status, content = self._post(body, HEADER_BYTES + MOST_BYTES_PER_IMAGE * len(images))
        if status != OK:
            hint = "; redirects are not followed: write the final URL" if 300 <= status < 400 else ""
            said = content[:200].decode("utf-8", "replace").strip().splitlines()
            raise StageError(
                f"{self.url}: answered with status {status}{f' ({escape(said[0])})' if said else ''}; needed: "
                f"{OK}{hint}"
            )
        try:
            answer = read_npy(content)
        except ValueError as error:
            raise StageError(
                f"{self.url}: answered with no .npy array ({escape(str(error))}); needed: numbers [{len(images)}, "
                "classes], as numpy.save writes them"
            ) from error
        if answer.ndim != 2 or len(answer) != len(images):
            raise StageError(
                f"{self.url}: answered with an array of shape {list(answer.shape)} for {len(images)} images; needed: "
                f"[{len(images)}, classes]"
            )
        return answer

    def _post(self, body: bytes, most_bytes: int) -> tuple[int, bytes]:
        """Status and body of the answer; StageError if it is not there after `timeout_seconds`.

        A socket's own timeout starts anew with each byte, so that the request runs in a thread that is left behind.
        """
        answer: Future[tuple[int, bytes]] = Future()

        def request() -> None:
            try:
                answer.set_result(self._try(body, most_bytes, time.monotonic() + self.timeout_seconds))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                answer.set_exception(error)

        Thread(target=request, daemon=True).start()
        try:
            return answer.result(self.timeout_seconds)
        except TimeoutError as error:
            connection, self._connection = self._connection, None
            if connection is not None and connection.sock is not None:
                with suppress(OSError):  # the thread may have closed it
                    connection.sock.shutdown(SHUT_RDWR)  # ends what the thread waits for
            raise StageError(
                f"{self.url}: no whole answer within {self.timeout_seconds:g} s; raise timeout_seconds, lower "
                "images_per_request, or start a faster server"
            ) from error

    def _try(self, body: bytes, most_bytes: int, end: float) -> tuple[int, bytes]:
        """The same; connection faults are tried again, with a new connection, until `end`: then nobody waits for it."""
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_SECONDS * attempt)
                if time.monotonic() > end:
                    break
            connection = self._connection = self._connection or self._connect()
            try:
                connection.request("POST", target, body, {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE})
                response, content = connection.getresponse(), bytearray()
                while part := response.read1(BLOCK_BYTES):  # never by the length that a server claims for a chunk
                    content += part
                    if len(content) > most_bytes:
                        self._drop(connection)
                        raise StageError(
                            f"{self.url}: answered with more than {most_bytes:,} bytes; needed: one .npy array"
                        )
                response.close()  # the connection stays open
            except (OSError, HTTPException, ValueError) as error:  # ValueError: of a length that is no number
                self._drop(connection)
                fault = error
            else:
                return response.status, bytes(content)
        raise StageError(
            f"{self.url}: not reached in {TRIES} tries ({tell(fault)}); start the server or correct the URL"
        ) from fault

    def _drop(self, connection: HTTPConnection) -> None:
        connection.close()
        if self._connection is connection:  # and not that of a later request
            self._connection = None

    def _connect(self) -> HTTPConnection:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=self.timeout_seconds + 1)


def check_url(url: str) -> SplitResult:
    """The parts of a URL; StageError unless it is http(s), names a host and holds no password."""
    allowed = "allowed: http://HOST[:PORT]/PATH or https://..., without user name, password or fragment"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up: no part of it empty or longer than 63 characters
    except ValueError as error:
        raise StageError(f"{url}: no URL ({error}); {allowed}") from error
    plain = url.isascii() and url.isprintable() and " " not in url and parts.username is None and not parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        shown = url if parts.username is None else url.replace(parts.netloc, f"...@{parts.hostname}")
        raise StageError(f"{shown}: no URL that can be called; {allowed}")
    return parts


def write_npy(array: np.ndarray) -> bytes:
    """A .npy file of an array."""
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def read_npy(content: bytes) -> np.ndarray:
    """The array of a .npy file; ValueError if it is none, is cut, or holds objects."""
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    held, needed = len(content) - file.tell(), int(np.prod(shape, dtype=object)) * dtype.itemsize
    if held != needed:  # told before memory is taken for what a header claims
        raise ValueError(f"{held} bytes of data, {needed} by its header")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
