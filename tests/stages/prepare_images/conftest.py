"""A server on this machine that breaks off as it is told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

CONTENT = np.random.default_rng(3).bytes(300_000)


class Handler(BaseHTTPRequestHandler):
    """Serves the server's `contents`; each entry of its `plan` treats one request, the last one all that follow."""

    def do_GET(self):
        plan, asked = self.server.plan, self.headers.get("Range")
        content = self.server.contents.get(self.path.removeprefix("/"), CONTENT)
        action = plan.pop(0) if len(plan) > 1 else plan[0]
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and action != "no ranges" else 0
        if isinstance(action, int) or start >= len(content):
            self.send_error(action if isinstance(action, int) else 416)
            return
        body = content[start:] if action != "other" else b"?" * (len(content) - start)
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
        running.contents = {}
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
