"""A whole cluster on this machine, and what a test asks of it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster.container import Container
from tests.cluster.services import HOST, OURS, Services
from tools.airflow_api import RestApi


class Cluster(RestApi):
    """Servers, two CPU workers and a GPU worker (which computes on the CPU here).

    Use it as a context: at its end, every process has ended.
    """

    def __init__(self, folder: Path, lake: str, archives: Path, more: dict[str, str]) -> None:
        """`more` are variables of all Airflow processes, such as settings of Nightscribe."""
        self.services = Services(
            folder,
            lake,
            archives,
            WHISPER_MODEL="demo",
            GPU_SLOTS="3",
            CPU_WORKER_CONCURRENCY="1",
            ARCHIVES_DIR=str(archives),
        )
        # Computing with one thread, since the workers share this machine's cores.
        more = {"NIGHTSCRIBE_THREADS": "1", "AIRFLOW__API__WORKERS": "1", **more}
        make = self.services.container
        self.servers = {name: make(name) for name in ("postgres", "redis")}
        self.workers = {
            "cpu-worker-1": make("cpu-worker", "cpu-worker-1", more),
            "cpu-worker-2": make("cpu-worker", "cpu-worker-2", more),
            "gpu-worker": make("gpu-worker", "gpu-worker", more),
        }
        self.containers: dict[str, Container] = {
            **self.servers,
            **{name: make(name, more=more) for name in OURS},
            **self.workers,
        }
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

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

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.services.ports['api-server']}"

    @property
    def login(self) -> tuple[str, str]:
        passwords = self.services.folder / "auth" / "passwords.json"
        return "admin", json.loads(passwords.read_text())["admin"]

    def _start(self) -> None:
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
        while not self._over.wait(0.5):
            for container in self.containers.values():
                container.keep()
