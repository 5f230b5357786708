"""A private Airflow on one machine: SQLite, LocalExecutor, everything in one folder.

What `make up`, `make demo` and the tests run. It is `airflow standalone` with two
differences: it listens on 127.0.0.1 only (the stock command serves task logs on every
interface), and it runs in a session of its own, so that stopping it leaves no process
behind. Not for production: see docs/deployment.md for that.

    python -m nightscribe.airflow.standalone up|down [--home DIR] [--port 8080]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from nightscribe.errors import NightscribeError

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).resolve().parents[3]
POOLS = {"gpu": (1, "Tasks that hold a GPU: one slot for each GPU")}
"""Pools that the DAGs name → (slots, description)."""

_COMPONENTS = (
    ("api-server",),
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
)


@dataclass
class Standalone:
    """An Airflow below `home`, with its web server on `port` of this machine alone."""

    home: Path
    port: int = 8080
    dags: Path = REPOSITORY / "dags"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid_file(self) -> Path:
        """Holds the id of the session while Airflow runs."""
        return self.home / "standalone.pid"

    def env(self) -> dict[str, str]:
        """Environment of every process of this Airflow."""
        home = str(self.home.resolve())
        return {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secrets()["api"],
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secrets()["jwt"],
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # OpenMP's threads spin while they wait; on a machine that Airflow's own processes
            # keep busy, that takes the time from those they wait for.
            "GOMP_SPINCOUNT": "20000",
            **self.environment,
        }

    @property
    def _passwords(self) -> Path:
        return self.home.resolve() / "passwords.json"

    def _secrets(self) -> dict[str, str]:
        path = self.home / "secrets.json"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            made = {name: secrets.token_urlsafe(32) for name in ("api", "jwt")}
            _write_private(path, json.dumps(made))
            _write_private(self._passwords, json.dumps({"admin": secrets.token_urlsafe(9)}))
        content: dict[str, str] = json.loads(path.read_text())
        return content

    @property
    def login(self) -> tuple[str, str]:
        """User name and password for the UI."""
        self._secrets()
        return "admin", json.loads(self._passwords.read_text())["admin"]

    def prepare(self) -> None:
        """Make the database and the pools that the DAGs name."""
        self._secrets()
        self._airflow("db", "migrate")
        for name, (slots, description) in POOLS.items():
            self._airflow("pools", "set", name, str(slots), description)
        if (named := self.env().get("NIGHTSCRIBE_POOL")) and named not in POOLS:
            self._airflow("pools", "set", named, "1", "NIGHTSCRIBE_POOL")

    def start(self, timeout_s: float = 120.0) -> None:
        """Start every component in the background and wait until all of them are healthy.

        Raises `NightscribeError` if the port is taken or a component does not come up.
        """
        if self.running():
            raise NightscribeError(f"Airflow runs already at {self.url}: `make down` stops it")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) == 0:
                raise NightscribeError(
                    f"port {self.port} of {HOST} is taken: stop what listens there, or choose "
                    "another with PORT=8081"
                )
        self.prepare()
        log = (self.home / "standalone.log").open("ab")
        command = [sys.executable, "-m", "nightscribe.airflow.standalone", "_serve"]
        process = subprocess.Popen(
            command,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # `stop` ends every process of the session
        )
        log.close()
        self.pid_file.write_text(str(process.pid))
        deadline = time.monotonic() + timeout_s
        while not self.healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NightscribeError(
                    f"Airflow did not come up in {timeout_s:.0f} s: see {self.home}/standalone.log"
                )
            time.sleep(0.5)

    def stop(self, timeout_s: float = 20.0) -> bool:
        """End every process of this Airflow, running tasks included; True if there were any.

        They get SIGTERM, and after `timeout_s` SIGKILL. Nothing is lost: what a task had not
        committed is pending for the next run.
        """
        processes = self._processes()
        self.pid_file.unlink(missing_ok=True)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout_s)
        # A task's process may have been started in the meantime.
        alive = list({*alive, *(one for p in alive for one in _descendants(p))})
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout_s)
        return bool(processes)

    def running(self) -> bool:
        """Whether processes of this Airflow are there."""
        return bool(self._processes())

    def healthy(self) -> bool:
        """Whether the API answers and says that scheduler and DAG processor are alive."""
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(answer[part]["status"] == "healthy" for part in parts)

    def _processes(self) -> list[psutil.Process]:
        """The processes of the session in the pid file, if it is ours, and their descendants.

        Tasks have process groups of their own, so the group alone would leave them running.
        """
        try:
            session = int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return []
        members = [one for one in psutil.process_iter() if _session(one) == session]
        # Any member will do: the first may have been killed, and some overwrite their environment.
        if not any(_airflow_home(one) == str(self.home.resolve()) for one in members):
            return []
        return list({*members, *(one for member in members for one in _descendants(member))})

    def _airflow(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NightscribeError(
                f"airflow {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
            )
        return done.stdout


@contextmanager
def running(airflow: Standalone) -> Iterator[Standalone]:
    """Airflow for the length of a `with` block."""
    airflow.start()
    try:
        yield airflow
    finally:
        airflow.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def serve() -> int:
    """Run the components until one ends or a signal comes, then end the others."""
    children = [
        subprocess.Popen([sys.executable, "-m", "airflow", *component]) for component in _COMPONENTS
    ]
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, lambda *_: stopping.append(True))
    while not stopping and all(child.poll() is None for child in children):
        time.sleep(0.2)
    for child in children:
        child.terminate()
    deadline = time.monotonic() + 10
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
    return 0 if stopping else 1


def _write_private(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _airflow_home(process: psutil.Process) -> str | None:
    try:
        home: str | None = process.environ().get("AIRFLOW_HOME")
    except (psutil.Error, OSError):
        return None
    return home


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def main(arguments: list[str] | None = None) -> int:
    """`up`, `down`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nightscribe.airflow.standalone", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "_serve"])
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".nightscribe" / "airflow")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args(arguments)
    if given.command == "_serve":
        return serve()
    airflow = Standalone(given.home, given.port)
    if given.command == "down":
        print("Airflow stopped" if airflow.stop() else "Airflow was not running")
        return 0
    try:
        print(f"starting Airflow in {airflow.home} …", flush=True)
        airflow.start()
    except NightscribeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    user, password = airflow.login
    print(f"Airflow is up at {airflow.url}\n  user      {user}\n  password  {password}")
    print(f"  logs      {airflow.home}/standalone.log\n`make down` stops it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
