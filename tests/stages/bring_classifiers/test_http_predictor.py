"""A classifier behind a URL: asked over loopback, batch by batch, with every fault named."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest

from failure_atlas.brought import http_predictor
from failure_atlas.brought.http_predictor import HttpPredictor, check_url, read_npy, write_npy
from failure_atlas.core.errors import StageError

IMAGES = np.random.default_rng(0).random((7, 1, 3, 4)).astype(np.float32)


def predict(images: np.ndarray) -> np.ndarray:
    return np.stack([images.sum((1, 2, 3)), images.max((1, 2, 3))], axis=1, dtype=np.float64)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = {
    "/rude": b"\x1b[2Jaccepted\r\n\r\n", "/chunk_word": CHUNKED + b"many\r\n",
    "/chunk_negative": CHUNKED + b"-5\r\nabc",
    "/chunk_endless": CHUNKED + b"-1\r\n" + bytes(3_000_000),
}  # fmt: skip
SLOW = {"/slow_headers": b"HTTP/1.1 200 OK\r\nX: ", "/slow_body": b"HTTP/1.0 200 OK\r\n\r\n"}


def pickle_array(_: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()


ANSWERS = {  # by path: the status, and the body or what makes it of the outputs
    "/moved": (302, write_npy), "/broken": (500, b"no model loaded\nTraceback"), "/text": (200, b"0.1 0.9"),
    "/coloured": (500, b"\x1b[2J\x1b[32maccepted\r\x07"), "/cut": (200, lambda outputs: write_npy(outputs)[:-3]),
    "/transposed": (200, lambda outputs: write_npy(outputs.T)), "/pickle": (200, pickle_array),
    "/long": (200, bytes(2_000_000)), "/fickle": (200, lambda outputs: write_npy(outputs[:, : 1 + len(outputs) % 2])),
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers what `server.predict` says as the path says; notes what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], len(read_npy(body))))
        if self.path == "/drop" and len(self.server.asked) <= self.server.drops:
            self.close_connection = True  # without any answer
            return
        time.sleep(self.path == "/silent")
        if self.path in RAW:
            self.wfile.write(RAW[self.path])
            self.close_connection = True
            return
        outputs = self.server.predict(read_npy(body))
        status, answer = ANSWERS.get(self.path, (200, write_npy))
        content = answer(outputs) if callable(answer) else answer
        if self.path in SLOW:
            self.trickle(SLOW[self.path] + content)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def trickle(self, content: bytes) -> None:
        """One byte every tenth of a second, until nobody listens any more."""
        self.close_connection = True
        for byte in content:
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(answer: Callable[[np.ndarray], np.ndarray]) -> Iterator[ThreadingHTTPServer]:
    """Serve outputs [N, classes] of images [N, C, H, W] on loopback, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.drops, running.daemon_threads, running.predict = [], 0, True, answer
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with serving(predict) as running:
        yield running


@pytest.fixture
def ask(server, monkeypatch):
    """A function that asks the server at a path; no wait between tries."""
    monkeypatch.setattr(http_predictor, "PAUSE_SECONDS", 0.0)
    predictors = []

    def call(path, images=IMAGES, **options):
        predictors.append(HttpPredictor(f"http://127.0.0.1:{server.server_port}{path}", **options))
        return predictors[-1](images)

    yield call
    for predictor in predictors:
        predictor.close()


def test_the_answer_is_what_the_server_computes_batch_by_batch(ask, server):
    np.testing.assert_array_equal(ask("/predict?model=2", batch_size=3), predict(IMAGES))
    assert server.asked == [("/predict?model=2", "application/x-npy", count) for count in (3, 3, 1)]
    assert ask("/predict", IMAGES[:0]).shape == (0, 2)  # asked for the number of classes, too


def test_a_dropped_connection_is_tried_again_and_one_that_keeps_failing_is_named(ask, server):
    server.drops = 2
    np.testing.assert_array_equal(ask("/drop"), predict(IMAGES))
    assert len(server.asked) == 3
    server.drops = 10
    server.asked.clear()
    with pytest.raises(StageError, match=r"/drop: not reached in 3 tries \(RemoteDisconnected: .*\); start the server"):
        ask("/drop")
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/moved", r"/moved: answered with status 302 .*; needed: 200; redirects are not followed: write the final U"),
        ("/broken", r"/broken: answered with status 500 \(no model loaded\); needed: 200$"),
        ("/coloured", r"/coloured: answered with status 500 \(\\x1b\[2J\\x1b\[32maccepted\); needed: 200$"),
        ("/text", r"/text: answered with no \.npy array \(.*\); needed: numbers \[7, classes\], as numpy\.save writes"),
        ("/cut", r"/cut: answered with no \.npy array \(109 bytes of data, 112 by its header\)"),
        ("/pickle", r"/pickle: answered with no \.npy array \(it holds Python objects\)"),
        ("/transposed", r"/transposed: answered with an array of shape \[2, 7\] for 7 images; needed: \[7, classes\]"),
    ],
)
def test_what_is_no_answer_is_named_and_asked_once(ask, server, path, message):
    with pytest.raises(StageError, match=message):
        ask(path)
    assert [entry[0] for entry in server.asked] == [path]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/long", r"/long: answered with more than 1,100,000 bytes; needed: one \.npy array"),
        ("/chunk_endless", r"answered with more than 1,100,000 bytes"),
        ("/chunk_negative", r"answered with no \.npy array|not reached in 3 tries"),
        ("/chunk_word", r"not reached in 3 tries"),
        ("/rude", r"/rude: not reached in 3 tries \(BadStatusLine: \\x1b\[2Jaccepted\); start"),
    ],
)
def test_an_answer_without_end_is_not_read_and_one_without_http_is_escaped(ask, path, message):
    with pytest.raises(StageError, match=message):
        ask(path, IMAGES[:1])


def test_answers_of_different_widths_are_named(ask):
    with pytest.raises(StageError, match=r"/fickle: answered with 1 and 2 classes; the same number is needed"):
        ask("/fickle", batch_size=4)


@pytest.mark.parametrize("path", [*SLOW, "/silent"])
def test_the_whole_of_a_request_has_one_limit(ask, server, path):
    started = time.monotonic()
    with pytest.raises(StageError, match=rf"{path}: no whole answer within 0\.5 s; raise timeout_seconds"):
        ask(path, timeout_seconds=0.5)
    assert time.monotonic() - started < 2
    asked = len(server.asked)
    time.sleep(0.3)
    assert len(server.asked) == asked == 1  # nobody asks on behind its back


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://host/x", "localhost:8000", "http:///predict", "http://host:99999/", "http://[::1",
        "http://host/a b", "http://host/\r\nX: y", "http://host/#part", "http://host:0/", "http://a..b/x",
        f"http://{'a' * 64}.org/x",
    ],
)  # fmt: skip
def test_only_urls_that_can_be_called_are_taken(url):
    with pytest.raises(StageError, match=r"no URL.*; allowed: http://HOST\[:PORT\]/PATH or https://"):
        check_url(url)


def test_arrays_survive_the_format_whatever_their_memory_order():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read_npy(write_npy(array)), array)
    file = BytesIO()
    np.save(file, array)
    np.testing.assert_array_equal(read_npy(file.getvalue()), array)


def test_a_header_that_claims_more_than_there_is_takes_no_memory():
    huge = write_npy(np.zeros((1, 2))).replace(b"(1, 2)", b"(9999999999, 2)").replace(b" " * 9 + b"\n", b"\n")
    with pytest.raises(ValueError, match="159999999984 by its header"):
        read_npy(huge)
