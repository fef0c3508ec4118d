"""A server on loopback that answers as a function of arrays, in the protocol of `http_predictor`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from failure_atlas.brought.http_predictor import read_npy, write_npy


@contextmanager
def serving(predict: Callable[[np.ndarray], np.ndarray]) -> Iterator[ThreadingHTTPServer]:
    """Serve outputs [N, classes] of images [N, C, H, W] at every path, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = write_npy(predict(read_npy(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
