"""A private Airflow for one machine: SQLite, LocalExecutor, all files in one folder.

`make up`, `make demo` and the tests start it. It differs from `airflow standalone` in two ways: it
listens on 127.0.0.1 only (`airflow standalone` serves task logs on every interface), and its
processes form one session, so that `down` can end all of them. It is not meant for production; see
docs/deployment.md.

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
"""Name of a pool that the DAGs use → (slots, description)."""

_COMPONENTS = (
    ("api-server",),
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
)


@dataclass
class Standalone:
    """An Airflow with its files below `home` and its web server on `port` of 127.0.0.1.

    Attributes:
        environment: variables that override this process's, such as `NIGHTSCRIBE_LAKE`
    """

    home: Path
    port: int = 8080
    dags: Path = REPOSITORY / "dags"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """URL of the UI."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid_file(self) -> Path:
        """File with the session id, while Airflow runs."""
        return self.home / "standalone.pid"

    def env(self) -> dict[str, str]:
        """Environment variables of every process of this Airflow."""
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
            # OpenMP's threads spin while they wait. Airflow's processes keep the cores busy, so
            # that spinning slows down the threads that are waited for.
            "GOMP_SPINCOUNT": "20000",
            "NIGHTSCRIBE_UPLOADS": f"{home}/uploads",
            **self.environment,
        }

    @property
    def _passwords(self) -> Path:
        return self.home.resolve() / "passwords.json"

    def _secrets(self) -> dict[str, str]:
        """Signing keys of the API, generated at the first call, together with the password."""
        path = self.home / "secrets.json"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            generated = {name: secrets.token_urlsafe(32) for name in ("api", "jwt")}
            _write_private(path, json.dumps(generated))
            _write_private(self._passwords, json.dumps({"admin": secrets.token_urlsafe(9)}))
        content: dict[str, str] = json.loads(path.read_text())
        return content

    @property
    def login(self) -> tuple[str, str]:
        """User name and password of the UI."""
        self._secrets()
        return "admin", json.loads(self._passwords.read_text())["admin"]

    def prepare(self) -> None:
        """Create the database and the pools that the DAGs use."""
        self._secrets()
        self._airflow("db", "migrate")
        for name, (slots, description) in POOLS.items():
            self._airflow("pools", "set", name, str(slots), description)
        if (pool := self.env().get("NIGHTSCRIBE_POOL")) and pool not in POOLS:
            self._airflow("pools", "set", pool, "1", "NIGHTSCRIBE_POOL")

    def start(self, timeout_s: float = 120.0) -> None:
        """Start all components in the background and wait until they are healthy.

        Raises:
            NightscribeError: Airflow runs already, the port is in use, or a component does not
                start in time.
        """
        if self.running():
            raise NightscribeError(f"Airflow already runs at {self.url}: stop it with `make down`")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) == 0:
                raise NightscribeError(
                    f"port {self.port} of {HOST} is in use: stop the process that uses it, or "
                    "choose another port with PORT=8081"
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
            start_new_session=True,  # `stop` ends all processes of the session
        )
        log.close()
        self.pid_file.write_text(str(process.pid))
        deadline = time.monotonic() + timeout_s
        while not self.healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NightscribeError(
                    f"Airflow did not start in {timeout_s:.0f} s: see {self.home}/standalone.log"
                )
            time.sleep(0.5)

    def stop(self, timeout_s: float = 20.0) -> bool:
        """End all processes of this Airflow, running tasks included. True if there were any.

        Sends SIGTERM, and SIGKILL after `timeout_s`. Nothing is lost: the next run does the work
        that a task has not committed.
        """
        processes = self._processes()
        self.pid_file.unlink(missing_ok=True)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout_s)
        # The scheduler may have started a task's process in the meantime.
        alive = list({*alive, *(child for process in alive for child in _descendants(process))})
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout_s)
        return bool(processes)

    def running(self) -> bool:
        """Whether this Airflow has processes."""
        return bool(self._processes())

    def healthy(self) -> bool:
        """Whether the API answers and reports a live scheduler and DAG processor."""
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        components = ("metadatabase", "scheduler", "dag_processor")
        return all(answer[component]["status"] == "healthy" for component in components)

    def _processes(self) -> list[psutil.Process]:
        """The processes of the session in the pid file, and their descendants; empty if none.

        Every task has its own process group, so the group of the pid file would not include them.
        """
        try:
            session = int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return []
        members = [process for process in psutil.process_iter() if _session(process) == session]
        # The session id may have been reused. One member with our home is enough: the first may
        # have been killed, and some processes overwrite their environment.
        if not any(_airflow_home(member) == str(self.home.resolve()) for member in members):
            return []
        return list({*members, *(child for member in members for child in _descendants(member))})

    def _airflow(self, *arguments: str) -> str:
        """Run an `airflow` command; returns its output."""
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
    """Start Airflow for a `with` block and stop it at the end."""
    airflow.start()
    try:
        yield airflow
    finally:
        airflow.stop()


def free_port() -> int:
    """A port of 127.0.0.1 on which no process listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def serve() -> int:
    """Run all components until one ends or a signal arrives, then end the others."""
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
    """Write a file that only this user may read."""
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
    """Run the command `up` or `down`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nightscribe.airflow.standalone",
        description="Start or stop a private Airflow on this machine.",
    )
    parser.add_argument(
        "command",
        choices=["up", "down", "_serve"],
        metavar="up|down",
        help="start Airflow in the background, or stop it",
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=REPOSITORY / ".nightscribe" / "airflow",
        metavar="DIR",
        help="folder of its files (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="port of the UI (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    if given.command == "_serve":
        return serve()
    airflow = Standalone(given.home, given.port)
    if given.command == "down":
        print("Airflow stopped" if airflow.stop() else "Airflow was not running")
        return 0
    try:
        print(f"Starting Airflow in {airflow.home} …", flush=True)
        airflow.start()
    except NightscribeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    user, password = airflow.login
    print(f"Airflow runs at {airflow.url}\n  user      {user}\n  password  {password}")
    print(f"  logs      {airflow.home}/standalone.log\nStop it with `make down`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
