"""An S3 server on which one request fails, or several do.

It is a process of its own: delta-rs keeps Python's lock while it waits for answers. It reads lines
of JSON, `[number, more, kind]`, and answers each with the number of requests since the line before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

KINDS = ("refused", "error", "hang up")
"""A 403, which no client repeats; a 500 and a closed connection, which clients repeat.

And `slow`, which is no failure: the right answer, after two seconds.
"""

_ANSWERS = {"refused": ("403 Forbidden", "AccessDenied"), "error": ("500 Error", "InternalError")}


class FaultyRequests:
    """The server. `url` is its endpoint."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def arm(self, number: int = 0, kind: str = "", more: int = 0) -> int:
        """Let the request of that number fail, from 1, and `more` after it; 0: none.

        Returns the number of requests since the call before.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([number, more, kind]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def _serve() -> None:
    from threading import Lock, Thread

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    lock = Lock()
    counted, number, more, kind = 0, 0, 0, ""
    store = DomainDispatcherApplication(create_backend_app)

    def answer(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        nonlocal counted
        with lock:
            counted += 1
            fails = number and number <= counted <= number + more
        if fails and kind == "slow":
            time.sleep(2)
        if not fails or kind == "slow":
            return store(request, start)
        request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
        if kind == "hang up":
            request["werkzeug.socket"].shutdown(2)
            return []
        status, code = _ANSWERS[kind]
        start(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>as ordered</Message></Error>".encode()]

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        with lock:
            print(counted, flush=True)
            counted, (number, more, kind) = 0, order


if __name__ == "__main__":
    _serve()
