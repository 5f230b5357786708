"""A receiver of OpenLineage events, for tests."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LineageServer:
    """Receives OpenLineage events over HTTP while it is open, in `events` as they arrive.

    While `hangs` is set, it takes connections and answers none.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.unanswered = 0
        self.hangs = False
        self._closed = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if server.hangs:
                    server.unanswered += 1
                    server._closed.wait(120)
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                server.events.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *values: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where events are sent."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop receiving."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def ended(self, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """Job → events with which its tasks have ended in a run of Airflow."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in list(self.events):
            facets = event["run"]["facets"]
            run = facets.get("airflow", {}).get("dagRun", {}).get("run_id")
            if run == run_id and event["eventType"] in {"COMPLETE", "FAIL"}:
                found.setdefault(event["job"]["name"], []).append(event)
        return found


def datasets(events: list[dict[str, Any]], which: str) -> set[tuple[str, str]]:
    """(namespace, name) of the `inputs` or `outputs` of some events."""
    return {(one["namespace"], one["name"]) for event in events for one in event[which]}
