"""A whole cluster on this machine, and what a test asks of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from tests.cluster.container import Container
from tests.cluster.host import Host
from tests.cluster.services import HOST, OURS, Services
from tests.faulty_requests import FaultyRequests
from tools.airflow_api import RestApi

WORKERS = {"cpu-worker-1": "cpu-worker", "cpu-worker-2": "cpu-worker", "gpu-worker": "gpu-worker"}
NIGHTLY = "transcribe_archives"
HEARTBEAT_S = 30
"""Shorter than the compose file's, so that a frozen worker's batch is given to another."""


class Cluster(RestApi):
    """Servers, two CPU workers and a GPU worker (which computes on the CPU here).

    Use it as a context: at its end, every process has ended.
    """

    def __init__(
        self,
        folder: Path,
        lake: str,
        archives: str,
        more: Mapping[str, str],
        *,
        store: FaultyRequests | None = None,
        queued_s: float = 60.0,
        one: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        workers: Mapping[str, str] = WORKERS,
        away: Collection[str] = (),
        **variables: str,
    ) -> None:
        """Nothing is started yet.

        Args:
            more: variables of all Airflow processes, such as settings of Nightscribe
            store: the server of a lake on S3, which a test may let fail
            queued_s: seconds after which a task is queued again, instead of the compose file's ten
                minutes
            one: variables of a single worker, by its name
            workers: their services, by their names
            away: workers on a second machine, which shares the servers with the first and no folder
            variables: of `.env`
        """
        self.store, self.queued_s = store, queued_s
        self.services = Services(
            folder,
            lake,
            archives,
            ARCHIVES_DIR=archives,
            **{
                "WHISPER_MODEL": "demo",
                "GPU_SLOTS": str(len(workers)),
                "CPU_WORKER_CONCURRENCY": "1",
                **variables,
            },
        )
        # Computing with one thread, since the workers share this machine's cores.
        more = {
            "NIGHTSCRIBE_THREADS": "1",
            "NIGHTSCRIBE_SCHEDULE": "none",
            "NIGHTSCRIBE_RETRY_DELAY_S": "1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_S),
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(queued_s),
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "2",
            **more,
        }
        make = self.services.container
        self.servers = {name: make(name) for name in ("postgres", "redis")}
        ports = [*self.services.ports.values()]
        if store is not None:
            ports.append(int(store.url.rpartition(":")[2]))
        self._second = Host("second", folder, ports) if away else None
        self.workers = {
            name: make(
                service,
                name,
                {**more, **one.get(name, {})},
                host=self._second if name in away else None,
            )
            for name, service in workers.items()
        }
        self.containers: dict[str, Container] = {
            **self.servers,
            **{name: make(name, more=more) for name in OURS},
            **self.workers,
        }
        self._machines = ExitStack()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._not_kept: Exception | None = None

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join(60)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(Container.stop, reversed(self.containers.values())))
        self._machines.close()
        if self._not_kept is not None:
            raise RuntimeError("services were not restarted any more") from self._not_kept

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.services.ports['api-server']}"

    @property
    def login(self) -> tuple[str, str]:
        passwords = self.services.folder / "auth" / "passwords.json"
        return "admin", json.loads(passwords.read_text())["admin"]

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """As of any REST API; what only reads is asked again while the server is down."""
        deadline = time.monotonic() + (120 if method == "GET" else 0)
        while True:
            try:
                return super().api(method, path, **arguments)
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                status = getattr(getattr(error, "response", None), "status_code", 503)
                if status < 500 or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def worker_at_work(self) -> str | None:
        """The host name of a worker that transcribes now; None if none does."""
        [run] = self.runs(NIGHTLY)[:1]
        tasks = self.tasks(NIGHTLY, run["dag_run_id"])
        hosts = [
            task["hostname"]
            for task in tasks
            if task["task_id"] == "transcribe" and task["state"] == "running"
        ]
        return next((host for host in hosts if host in self.workers), None)

    def _start(self) -> None:
        if self._second is not None:
            self._machines.enter_context(self._second)
        for server in self.servers.values():
            server.start()
        for server in self.servers.values():
            server.wait_until_healthy()
        self.services.initialise()
        for container in self.containers.values():
            if container.name not in self.servers:
                container.start()
        # The order in which Compose would start them does not matter: they wait for each other.
        self.containers["api-server"].wait_until_healthy()
        self._keeper.start()

    def _keep(self) -> None:
        try:
            while not self._over.wait(0.5):
                for container in self.containers.values():
                    container.keep()
        except Exception as error:  # raised at the end: this is a thread of its own
            self._not_kept = error
