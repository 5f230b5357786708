"""A server to which Airflow sends what it tells others, for tests."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Takes what is posted over HTTP while it is open, and hands it to `received`.

    While `hangs` is set, it takes connections and answers none.
    """

    answer_type = "application/json"

    def __init__(self) -> None:
        self.unanswered = 0
        self.hangs = False
        self._closed = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if receiver.hangs:
                    receiver.unanswered += 1
                    receiver._closed.wait(120)
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.received(body)
                self.send_response(200)
                self.send_header("Content-Type", receiver.answer_type)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *values: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop receiving."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def received(self, body: bytes) -> None:
        """Take a body. Called by several threads."""
        raise NotImplementedError
