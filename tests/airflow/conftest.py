"""Small archives, settings of a private Airflow, and what tests ask of a lake."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect

MakeArchive = Callable[..., Path]


@pytest.fixture(scope="session")
def samples(repository: Path) -> Path:
    """The sample archive."""
    return repository / "samples" / "archive"


@pytest.fixture(scope="session")
def make_archive(samples: Path) -> MakeArchive:
    """Call with a new folder and members of the sample archive: copies them and their references.

    File times are those of the samples, so that the same members look alike in every copy.
    """

    def make(folder: Path, *members: str) -> Path:
        for member in members:
            (folder / member).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(samples / member, folder / member)
        with (samples / "manifest.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        with (folder / "manifest.csv").open("w", newline="") as file:
            csv.writer(file).writerows([rows[0], *(row for row in rows if row[0] in members)])
        return folder

    return make


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[tuple[Any, ...]]]:
    """Call with a lake, a query and its parameters: returns rows."""

    def query(lake: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(open_lake(str(lake))) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    return query


@pytest.fixture(scope="session")
def content(ask: Callable[..., list[tuple[Any, ...]]]) -> Callable[[Path, Path], dict[str, Any]]:
    """Call with a lake and an archive: what the lake says of it, without ids, times and attempts.

    Two lakes with the same content cannot be told apart by a query about the archive; but for
    probabilities, whose last digits depend on what was in the batch at the same time.
    """
    of_archive = "recording_id IN (SELECT recording_id FROM sources WHERE collection = $1)"
    queries = {
        "sources": "SELECT * EXCLUDE (run_id, created_at) FROM sources WHERE collection = $1",
        "recordings": f"SELECT * EXCLUDE (run_id, created_at) FROM recordings WHERE {of_archive}",
        "reference_texts": f"""SELECT * EXCLUDE (run_id, created_at) FROM reference_texts
            WHERE {of_archive}""",
        "rejected": """SELECT * EXCLUDE (run_id, created_at) FROM rejected
            WHERE starts_with(uri, $1)""",
        "transcripts": f"""SELECT * EXCLUDE (transcript_id, attempt_id, batch_id, run_id,
            created_at, sequence, language_probability, avg_logprob) FROM transcripts
            WHERE {of_archive}""",
        "segments": f"""SELECT t.task, t.model_id, t.options_key, s.* EXCLUDE (transcript_id,
            avg_logprob, no_speech_prob)
            FROM segments AS s JOIN transcripts AS t USING (transcript_id)
            WHERE t.{of_archive}""",
    }

    def of(lake: Path, archive: Path) -> dict[str, Any]:
        return {
            name: ask(lake, f"{query} ORDER BY ALL", archive.as_uri())
            for name, query in queries.items()
        }

    return of


@contextmanager
def _without_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("NIGHTSCRIBE_", "AIRFLOW_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def without_settings() -> Callable[[], AbstractContextManager[None]]:
    """Call for a block in which the caller's Airflow and settings reach no process."""
    return _without_settings


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., dict[str, str]]:
    """Call with a lake and more settings: the environment of a private Airflow."""
    repository = Path(__file__).parents[2]

    def environment(lake: Path, **more: str) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{repository / 'plugins'}{os.pathsep}{repository}",
            "NIGHTSCRIBE_LAKE": str(lake),
            "NIGHTSCRIBE_MODEL": "demo",
            "NIGHTSCRIBE_DEVICE": "cpu",
            "NIGHTSCRIBE_THREADS": "1",
            "NIGHTSCRIBE_SCHEDULE": "none",
            "NIGHTSCRIBE_RETRY_DELAY_S": "1",
            **more,
        }

    return environment
