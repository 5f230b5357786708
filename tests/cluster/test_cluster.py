"""A night on the services of the compose file, while they are killed.

`make cluster-test` runs ten longer nights with more that goes wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightscribe.lake.invariants import check
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.cluster import container, disturbances
from tests.cluster.archive import write_archive
from tests.cluster.cluster import NIGHTLY, Cluster
from tests.cluster.services import POSTGRES
from tests.nights import assert_same_tables, contents
from tests.waiting import until

RECORDINGS = 16
BATCHES = {"NIGHTSCRIBE_EXPECTED_RTFX": "1", "NIGHTSCRIBE_BATCH_MINUTES": "1"}
"""Longer than the whole night: only since three workers share it are there several batches."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the user of Postgres may reach, as pytest's own may not be."""
    folder = Path(tempfile.mkdtemp(prefix="nightscribe-cluster-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def archive(folder: Path) -> Path:
    return write_archive(folder / "archive", RECORDINGS)


@pytest.fixture(scope="module")
def cluster(folder: Path, archive: Path) -> Iterator[Cluster]:
    why = container.missing()
    if not POSTGRES.is_dir() or shutil.which("redis-server") is None:
        why = f"needs the servers of Postgres 15 (in {POSTGRES}) and Redis"
    if why and not os.environ.get("CLUSTER_REQUIRED"):
        pytest.skip(why)
    assert why is None
    with Cluster(
        folder / "cluster", str(folder / "lake"), str(archive), BATCHES, queued_s=2
    ) as made:
        made.wait_for_dag(NIGHTLY)
        made.unpause(NIGHTLY)
        yield made


def test_every_service_passes_its_own_check(cluster: Cluster) -> None:
    for one in cluster.containers.values():
        one.wait_until_healthy()
    assert {name: one.restarts for name, one in cluster.containers.items() if one.restarts} == {}


@pytest.mark.timeout(600)
def test_a_night_of_which_everything_is_killed_makes_the_tables_of_a_quiet_one(
    cluster: Cluster, folder: Path, archive: Path
) -> None:
    rng = random.Random(0)
    night = cluster.trigger(NIGHTLY)
    until("a batch at work", cluster.worker_at_work)
    for disturb in (
        disturbances.worker_killed,
        disturbances.redis_without_memory,
        disturbances.scheduler_killed,
    ):
        disturb(cluster, rng)
    assert cluster.wait_for_run(NIGHTLY, night, 400) == "success"
    quiet = open_lake(str(folder / "quiet"))
    run(quiet, Order(archives=(str(archive),), model="demo"), Settings(device="cpu"))
    found = contents(str(folder / "lake"))
    assert found["transcripts"].num_rows == RECORDINGS
    assert_same_tables(found, contents(quiet.uri))
    assert check(open_lake(str(folder / "lake"))) == []
    killed = {name for name, one in cluster.containers.items() if one.restarts}
    assert "scheduler" in killed
    assert killed & set(cluster.workers)


def test_a_task_may_wait_for_a_free_worker_for_longer_than_airflow_lets_it(
    cluster: Cluster,
) -> None:
    """By default, the scheduler fails a task that it has queued again twice."""
    for worker in cluster.workers.values():
        worker.freeze()
    night = cluster.trigger(NIGHTLY, {"force": True, "limit": 1})
    until("a task that was queued again for the fourth time", lambda: _queued_again(cluster) > 3)
    for worker in cluster.workers.values():
        worker.thaw()
    assert cluster.wait_for_run(NIGHTLY, night, 120) == "success"


def _queued_again(cluster: Cluster) -> int:
    """How often one task of the newest run was queued again."""
    [run] = cluster.runs(NIGHTLY)[:1]
    events = cluster.api(
        "GET",
        "/eventLogs",
        params={"event": "stuck in queued reschedule", "run_id": run["dag_run_id"]},
    )["event_logs"]
    tasks = Counter((one["task_id"], one["map_index"]) for one in events)
    return max(tasks.values(), default=0)


def test_logs_of_workers_are_read_through_the_api(cluster: Cluster) -> None:
    """Of the tries that ended: a worker serves the log of a try at work, others read the volume."""
    night = cluster.runs(NIGHTLY)[-1]
    batches = [
        task
        for task in cluster.tasks(NIGHTLY, night["dag_run_id"])
        if task["task_id"] == "transcribe"
    ]
    assert len(batches) > 3
    path = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs/{try_number}"
    for task in batches:
        log = cluster.api("GET", path.format(**task), params={"map_index": task["map_index"]})
        assert "transcripts," in str(log["content"])


def test_a_database_that_cannot_store_the_dags_is_named(cluster: Cluster) -> None:
    api = cluster.containers["api-server"]
    postgres = cluster.containers["postgres"]
    ascii = ["--encoding", "SQL_ASCII", "--template", "template0", "--locale", "C"]
    made = postgres.inside(
        ["sh", "-c", 'PGPASSWORD="$POSTGRES_PASSWORD" createdb -U airflow "$@" x', "sh", *ascii], 60
    )
    assert made.returncode == 0, made.stderr
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    examine = f'{name}="${{{name}%/*}}/x" exec python -P -m nightscribe.airflow.readiness'
    found = api.inside(["sh", "-c", examine], 60)
    assert "has the encoding SQL_ASCII" in found.stdout, found.stderr
    sound = api.inside(["python", "-P", "-m", "nightscribe.airflow.readiness"], 60)
    assert "the database is readable" in sound.stdout, sound.stderr
