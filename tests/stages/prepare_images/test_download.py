"""Downloads from a local server that cuts connections, forgets ranges, or serves something else."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.images.download import download

CONTENT = np.random.default_rng(3).bytes(300_000)


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; each entry of the server's `plan` treats one request, the last one all that follow."""

    def do_GET(self):
        plan, asked = self.server.plan, self.headers.get("Range")
        action = plan.pop(0) if len(plan) > 1 else plan[0]
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and action != "no ranges" else 0
        if isinstance(action, int) or start >= len(CONTENT):
            self.send_error(action if isinstance(action, int) else 416)
            return
        body = CONTENT[start:] if action != "other" else b"?" * (len(CONTENT) - start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 100_000 if action == "cut" else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.plan, running.ranges, running.url = ["whole"], [], f"http://127.0.0.1:{running.server_port}/file"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def check(path):
    if path.read_bytes() != CONTENT:
        raise StageError("wrong content")


def fetch(server, target, urls=None, attempts=5):
    download(urls or [server.url], target, check, attempts=attempts, timeout_seconds=5, pause_seconds=0)


@pytest.mark.parametrize(
    ("plan", "ranges"),
    [
        (["whole"], [None]),
        (["cut", "cut", 503, "whole"], [None, "bytes=100000-", "bytes=200000-", "bytes=200000-"]),
        (["cut", "no ranges"], [None, "bytes=100000-"]),
        (["cut", "other", "whole"], [None, "bytes=100000-", None]),  # pieces that do not fit: from the start
    ],
)
def test_the_file_is_whole_whatever_the_connection_does(server, tmp_path, plan, ranges):
    server.plan = plan
    fetch(server, tmp_path / "new" / "file")
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert server.ranges == ranges
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize(("more", "ranges"), [(b"", [None, "bytes=100000-"]), (CONTENT, [None, "bytes=400000-", None])])
def test_next_run_goes_on_with_what_the_last_one_left_unless_it_is_too_long(server, tmp_path, more, ranges):
    server.plan = ["cut"]
    with pytest.raises(StageError, match=r"file: could not be downloaded .*100,000 of 300,000 bytes.*MNIST_DIR"):
        fetch(server, tmp_path / "file", attempts=1)
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes() + more)
    server.plan = ["whole"]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == ranges


def test_second_mirror_serves_what_the_first_lacks(server, tmp_path):
    server.plan = [404, "whole"]
    fetch(server, tmp_path / "file", [server.url, server.url + "2"])
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_error_lists_each_mirror(server, tmp_path):
    server.plan = [404, "other"]
    with pytest.raises(StageError, match=r"file: HTTP 404 .*; .*file2: wrong content"):
        fetch(server, tmp_path / "file", [server.url, server.url + "2"])
    assert list(tmp_path.iterdir()) == []
    server.socket.close()
    with pytest.raises(StageError, match="refused"):
        fetch(server, tmp_path / "file", attempts=2)
