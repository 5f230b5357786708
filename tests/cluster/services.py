"""The services of `docker-compose.yaml` on 127.0.0.1, from their own commands and environments.

What Docker would give to a container is given here by replacing texts: the host names of the
services, the ports, the folders on which volumes are mounted. What the images of Postgres and Redis
do at their start is done here, too.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nightscribe.airflow.standalone import free_port
from tests.cluster.container import Container
from tests.cluster.host import Host
from tests.compose_file import REPOSITORY, SECRETS, example_variables, interpolated, raw_compose
from tests.image import variables

HOST = "127.0.0.1"
POSTGRES = Path("/usr/lib/postgresql/15/bin")
WITH_CHANGES = {
    "PYTHONPATH": os.pathsep.join(
        str(folder)
        for folder in (Path(__file__).with_name("at_start"), REPOSITORY / "plugins", REPOSITORY)
    )
}
"""Variables of processes that import `at_start/sitecustomize.py` first."""
OURS = ("api-server", "scheduler", "dag-processor", "triggerer")


class Services:
    """What the compose file says, on free ports and in a folder.

    `variables` override `.env.example`; `lake` and `archives` are folders or URIs that stand for
    the volumes.
    """

    def __init__(self, folder: Path, lake: str, archives: str, **variables: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Postgres does not run as root, and must reach its own folder.
        folder.chmod(0o755)
        self._secrets = {name: secrets.token_hex(16) for name in SECRETS}
        self._secrets["FERNET_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        given = example_variables() | self._secrets | variables
        self._services: dict[str, dict[str, Any]] = interpolated(raw_compose(), given)["services"]
        self.ports = {name: free_port() for name in ("postgres", "redis", "api-server")}
        self._here = {
            "@postgres/": f"@{HOST}:{self.ports['postgres']}/",
            "@redis:6379/": f"@{HOST}:{self.ports['redis']}/",
            "http://api-server:8080/": f"http://{HOST}:{self.ports['api-server']}/",
            "http://127.0.0.1:8080/": f"http://{HOST}:{self.ports['api-server']}/",
            "dir /data\n": f"dir {folder}/redis\nport {self.ports['redis']}\nbind {HOST}\n",
            "redis-cli ": f"redis-cli -p {self.ports['redis']} ",
            "/data/lake": lake,
            "/data/models": f"{folder}/models",
            "/data/uploads": f"{folder}/uploads",
            "/archives": archives,
            "/opt/airflow/logs": f"{folder}/logs",
            "/opt/airflow/auth": f"{folder}/auth",
            "/opt/nightscribe": str(REPOSITORY),
        }
        for name in ("redis", "models", "uploads", "logs", "auth"):
            (folder / name).mkdir(exist_ok=True)
        self._hosts = folder / "hosts"

    def container(
        self,
        service: str,
        name: str = "",
        more: Mapping[str, str] = MappingProxyType({}),
        host: Host | None = None,
    ) -> Container:
        """A container of a service, not started. `name` is its host name; default: the service's.

        `more` are variables that override the service's; `host` is another machine to run on.
        """
        name = name or service
        described = self._services[service]
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = self._environment(described, home) | more
        command = [self._placed(word, home) for word in described.get("command", [])]
        if service == "postgres":
            command = self._postgres(environment)
        check = [self._placed(word, home) for word in described["healthcheck"]["test"]]
        check = ["sh", "-c", *check[1:]] if check[0] == "CMD-SHELL" else check[1:]
        with self._hosts.open("a") as hosts:
            hosts.write(
                f"{HOST} {name}\n" if hosts.tell() else f"{HOST} localhost\n{HOST} {name}\n"
            )
        return Container(name, command, environment, home, check, hosts=self._hosts, host=host)

    def initialise(self) -> None:
        """Run `airflow-init`, which ends. RuntimeError with its output if it fails."""
        described = self._services["airflow-init"]
        home = self.folder / "airflow-init"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *described["command"]],
            env=self._environment(described, home),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow-init ended with {done.returncode}: {done.stderr[-2000:]}")

    def _placed(self, text: str, home: Path) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text.replace("/opt/airflow", str(home))

    def _environment(self, service: Mapping[str, Any], home: Path) -> dict[str, str]:
        """The image's variables, those of the service, and what one machine for all needs."""
        own = {key: str(value) for key, value in service.get("environment", {}).items()}
        image = variables() if service["image"] == "nightscribe:local" else {}
        ports = {
            "PGPORT": str(self.ports["postgres"]),
            "PGHOST": HOST,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        placed = {key: self._placed(value, home) for key, value in (image | own).items()}
        path = os.pathsep.join(
            [str(Path(sys.executable).parent), str(POSTGRES), os.environ["PATH"]]
        )
        return {
            **placed,
            **ports,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{self.folder}/logs",
            "PYTHONPATH": os.pathsep.join([f"{REPOSITORY}/plugins", str(REPOSITORY)]),
            # As the images of Python and Postgres set it; the database takes its encoding from it.
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "PATH": path,
        }

    def _postgres(self, environment: Mapping[str, str]) -> list[str]:
        """What the image's entry point does with a new volume; the command of the server."""
        data = self.folder / "postgres" / "data"
        data.mkdir(parents=True)
        shutil.chown(data, "postgres")
        unprivileged = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

        def run(*command: str) -> None:
            subprocess.run(
                [*unprivileged, *command],
                env={**environment, "PGPASSWORD": environment["POSTGRES_PASSWORD"]},
                cwd="/",
                text=True,
                check=True,
                capture_output=True,
            )

        user, port = environment["POSTGRES_USER"], environment["PGPORT"]
        password = data.parent / "password"
        password.touch(0o600)
        password.write_text(environment["POSTGRES_PASSWORD"])
        shutil.chown(password, "postgres")
        initdb = ["initdb", "--pgdata", str(data), "--username", user, "--auth", "scram-sha-256"]
        run(*initdb, "--pwfile", str(password))
        password.unlink()
        listen = f"-h {HOST} -p {port} -k {data}"
        control = ["pg_ctl", "--pgdata", str(data), "--log", str(data / "log"), "--wait"]
        run(*control, "--options", listen, "start")
        try:
            run("createdb", "--username", user, environment["POSTGRES_DB"])
            # The image mounts this script, and calls it once the database is there.
            run("bash", str(REPOSITORY / "docker" / "postgres" / "celery.sh"))
        finally:
            run(*control, "--mode", "fast", "stop")
        return [*unprivileged, "postgres", "-D", str(data), *listen.split()]
