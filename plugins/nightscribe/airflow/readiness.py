"""Whether the Airflow of this machine is ready for the nightly DAG, as JSON.

    python -m nightscribe.airflow.readiness

`nightscribe doctor` runs this in a process of its own: importing Airflow creates files in its home
folder, takes seconds, and reads the environment once. Nothing is imported, and `[]` is printed, if
Airflow is not set up here.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from nightscribe.airflow.alerts import on_failure
from nightscribe.airflow.standalone import POOLS, REPOSITORY, Standalone
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.stages.findings import Finding, fail, ok, warn

__all__ = ["DAGS", "airflow_findings", "set_up"]

DAGS = (
    "transcribe_archives",
    "evaluate_transcripts",
    "transcribe_upload",
    "commit_reviews",
    "maintain_lake",
)

_ANSWER_S = 4.0
_LOOPBACK = ("//127.", "//localhost", "//[::1]")


def set_up(home: Path = REPOSITORY / ".nightscribe" / "airflow") -> str | None:
    """Which Airflow is set up here: that of the environment, a private one below `home`, or None.

    For a private one, its variables are put into this process's environment.
    """
    own = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    named = any(name.startswith("AIRFLOW__DATABASE__") for name in os.environ)
    if named or any((own / name).is_file() for name in ("airflow.cfg", "airflow.db")):
        return str(own)
    if "AIRFLOW_HOME" not in os.environ and (home / "airflow.db").is_file():
        os.environ.update(Standalone(home).env())
        return str(home)
    return None


def airflow_findings(home: str, settings: Settings) -> Iterator[Finding]:
    """What an Airflow that is set up here lacks: its API, its database, the pool, our DAGs."""
    from airflow.configuration import conf

    url = conf.get("api", "base_url", fallback="") or f"http://localhost:{conf.get('api', 'port')}"
    yield from _api(url, home)
    folder = Path(conf.get("core", "dags_folder"))
    missing = [name for name in DAGS if not any(folder.rglob(f"{name}.py"))]
    if len(missing) == len(DAGS):
        yield warn(
            "airflow dags",
            f"{folder} has none of Nightscribe: this Airflow runs no nights, and `nightscribe run` "
            "needs none",
            f"nightscribe airflow install --dags-folder {folder}",
        )
        return
    if missing:
        yield fail(
            "airflow dags",
            f"{folder} lacks {', '.join(missing)}",
            f"nightscribe airflow install --dags-folder {folder}",
        )
    else:
        yield ok("airflow dags", f"{folder} has {', '.join(DAGS)}")
    if settings.notifiers:
        yield _notifiers(settings)
    if "CeleryExecutor" in conf.get("core", "executor"):
        yield from _queue(
            conf.getfloat("scheduler", "task_queued_timeout"),
            # Airflow's own default; the option is in none of its lists.
            conf.getint("scheduler", "num_stuck_in_queued_retries", fallback=2),
            settings.batch_hours_max * 3600,
        )
    yield from _database(conf.get("database", "sql_alchemy_conn"), settings.pool)


def _notifiers(settings: Settings) -> Finding:
    """Whether those who are to be told of failures can be imported here."""
    try:
        count = len(on_failure(settings))
    except ConfigurationError as error:
        return fail("airflow alerts", str(error), "without it, the DAGs do not load")
    return ok("airflow alerts", f"failures are told to {count} notifier(s)")


def _queue(timeout_s: float, retries: int, longest_s: float) -> Iterator[Finding]:
    """Whether the scheduler fails a task only because all workers are busy for long."""
    patience_s = timeout_s * (retries + 1)
    if patience_s < longest_s:
        yield warn(
            "airflow queue",
            f"a task that waits {patience_s / 60:.0f} minutes for a free worker is failed",
            "set AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES=1000 for the scheduler",
        )
    else:
        yield ok("airflow queue", f"tasks may wait {patience_s / 3600:.0f} hours for a worker")


def _api(url: str, home: str) -> Iterator[Finding]:
    # A private Airflow that was stopped is no fault; a server that is named elsewhere is.
    report = warn if any(place in url for place in _LOOPBACK) else fail
    try:
        answer = httpx.get(f"{url.rstrip('/')}/api/v2/monitor/health", timeout=_ANSWER_S).json()
        sick = [
            name
            for name in ("metadatabase", "scheduler", "dag_processor")
            if answer[name]["status"] != "healthy"
        ]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield report(
            "airflow",
            f"set up in {home}, but {url} does not answer ({type(error).__name__})",
            "start it (`make up`) if Airflow is to run the night; `nightscribe run` does not need "
            "it",
        )
        return
    if sick:
        yield fail("airflow", f"{url}: {', '.join(sick)} not healthy", "see Airflow's logs")
    else:
        yield ok("airflow", f"{url}: healthy")


def _database(connection: str, pool: str) -> Iterator[Finding]:
    if connection.startswith("sqlite:///") and not Path(connection[len("sqlite:///") :]).is_file():
        yield warn("airflow db", "no database here; a worker needs none", "airflow db migrate")
        return
    from airflow.models.dag import DagModel
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            if session.get_bind().dialect.name == "postgresql":
                encoding = session.scalar(text("SHOW server_encoding"))
                if encoding != "UTF8":
                    yield fail(
                        "airflow db",
                        f"the database has the encoding {encoding}: DAGs cannot be stored in it",
                        "create it anew with `createdb --encoding UTF8 --template template0`",
                    )
                    return
            slots = session.scalar(select(Pool.slots).where(Pool.pool == pool))
            paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == DAGS[0]))
    except SQLAlchemyError as error:
        first = str(error.__cause__ or error).strip().partition("\n")[0]
        yield fail(
            "airflow db",
            f"the database cannot be read: {first}",
            "check database/sql_alchemy_conn; then run `airflow db migrate`",
        )
        return
    if slots is None:
        description = POOLS.get(pool, (1, "NIGHTSCRIBE_POOL"))[1]
        yield fail(
            "airflow pool",
            f"there is no pool {pool!r}: transcription would never start",
            f"airflow pools set {pool} 1 '{description}'",
        )
    elif slots == 0:
        yield fail("airflow pool", f"pool {pool!r} has no slot", f"airflow pools set {pool} 1 ''")
    else:
        yield ok("airflow pool", f"pool {pool!r} has {slots} slot(s); the database is readable")
    if paused:
        yield warn("airflow dags", f"{DAGS[0]} is paused", f"airflow dags unpause {DAGS[0]}")


def main() -> int:
    """Print the findings as the last line of standard output; returns the exit code."""
    home = set_up()
    findings = [] if home is None else list(airflow_findings(home, Settings()))
    print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
