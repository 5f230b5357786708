"""A receiver of OpenLineage events, for tests."""

from __future__ import annotations

import json
from typing import Any

from tests.airflow.receiver import Receiver


class LineageServer(Receiver):
    """Receives OpenLineage events, in `events` as they arrive."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__()

    def received(self, body: bytes) -> None:
        self.events.append(json.loads(body))

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
