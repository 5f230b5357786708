"""The transcripts that are wanted and missing, in the order of the archives, as a stream.

A lake may have millions of recordings. DuckDB finds the missing transcripts within a fixed
amount of memory and keeps what does not fit in a temporary folder. Each statement joins once or
sorts once: DuckDB shares the memory among the joins and sorts of a statement, and one of several
can fail for lack of memory where a single one spills.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from nightscribe.errors import ConfigurationError
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.stages.done import DONE
from nightscribe.whisper.options import Options

__all__ = ["PENDING", "Pending", "Wanted", "pending"]

_SOURCE = pa.struct([("archive", pa.string()), ("member", pa.string())])

PENDING = pa.schema(
    [
        ("recording_id", pa.string()),
        ("task", pa.string()),
        ("options_key", pa.string()),
        ("options", pa.string()),
        ("duration_s", pa.float64()),
        ("sources", pa.list_(_SOURCE)),
    ]
)
"""Columns of a transcript that is missing."""

_MEMORY = "256MB"
"""DuckDB's share of the memory. With 160 MB, 4,000,000 pending recordings are planned too."""
_ROWS = 10_000
"""Rows (a source of a pending transcript each) that are fetched at a time."""


@dataclass(frozen=True)
class Wanted:
    """What to transcribe: these recordings, by this model, as these tasks, with these options."""

    model: str
    model_id: str
    tasks: tuple[str, ...]
    options: Options
    archives: tuple[str, ...] = ()  # of recordings seen in these; empty: of all
    datasets: tuple[str, ...] = ()  # of recordings with a reference in these; empty: of all
    hints: bool = False  # take the language from the manifest where it has one
    limit: int | None = None  # recordings, at most
    force: bool = False  # also those that have a transcript, replacing it


@dataclass(frozen=True)
class Pending:
    """The missing transcripts: how many there are, and the rows themselves."""

    recordings: int
    transcripts: int
    audio_s: float  # counted once per task
    already_done: int  # wanted transcripts that exist
    _connection: duckdb.DuckDBPyConnection
    _tasks: pa.Array  # sorted
    _variants: pa.RecordBatch

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Rows like `PENDING`, by the first place of their recording, then by task.

        The first place is the least (archive, position, member); `sources` are sorted. Read the
        rows to their end before you call it again.
        """
        found = self._connection.sql("FROM placed ORDER BY transcript, archive, member")
        for rows in _whole_groups(found.to_arrow_reader(_ROWS)):
            yield self._grouped(rows)

    def _grouped(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """A row per transcript, from a row per transcript and source."""
        starts = _starts(rows)
        first = rows.take(pa.array(starts))
        variants = self._variants.take(first["variant"])
        places = pa.StructArray.from_arrays([rows["archive"], rows["member"]], fields=list(_SOURCE))
        return pa.RecordBatch.from_arrays(
            [
                first["recording_id"],
                self._tasks.take(first["task"]),
                variants["options_key"],
                variants["options"],
                first["duration_s"],
                pa.ListArray.from_arrays(
                    pa.array(np.append(starts, rows.num_rows), pa.int32()), places
                ),
            ],
            schema=PENDING,
        )


@contextmanager
def pending(lake: Lake, wanted: Wanted) -> Iterator[Pending]:
    """Find the transcripts that are wanted and not there.

    One that failed is left out until a source of its recording changes, or with `force`; one
    whose files could not be reached is not.

    Raises `ConfigurationError` for a data set that is not in the lake.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nightscribe-plan-") as folder,
        connect(lake, memory_limit=_MEMORY, spill_to=folder) as connection,
    ):
        _check_datasets(connection, wanted.datasets)
        tasks = sorted(set(wanted.tasks))
        variants = _variants(connection, wanted)
        _register(connection, "variants", variants)
        _register(connection, "asked", pa.record_batch({"task": pa.array(tasks, pa.string())}))
        _find_recordings(connection, wanted)
        _find_missing(connection, wanted)
        _place(connection, wanted)
        yield Pending(
            recordings=_count(connection, "places"),
            transcripts=_count(connection, "described"),
            audio_s=_total_seconds(connection),
            already_done=_count(connection, "asked_recordings") * len(tasks)
            - _count(connection, "undone"),
            _connection=connection,
            _tasks=pa.array(tasks, pa.string()),
            _variants=variants,
        )


def _check_datasets(connection: duckdb.DuckDBPyConnection, asked: Sequence[str]) -> None:
    if not asked:
        return
    found = connection.execute("SELECT DISTINCT dataset FROM reference_texts").fetchall()
    known = sorted(name for (name,) in found)
    for name in asked:
        if name not in known:
            there = f"there is: {', '.join(known)}" if known else "there is none"
            raise ConfigurationError(
                f"there is no data set {name!r} in the lake ({there}): "
                "`nightscribe datasets add`, or an archive's manifest, brings one"
            )


def _variants(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> pa.RecordBatch:
    """The options that recordings get, one row per language hint (null: no hint)."""
    hints: Sequence[str | None] = [None]
    if wanted.hints:
        found = connection.sql(
            "SELECT DISTINCT language_hint FROM sources WHERE language_hint IS NOT NULL"
        ).fetchall()
        hints = [None, *sorted(row[0] for row in found)]
    options = [wanted.options.with_language(hint) if hint else wanted.options for hint in hints]
    return pa.record_batch(
        {
            "hint": pa.array(hints, pa.string()),
            "options_key": [option.key for option in options],
            "options": [option.to_json() for option in options],
        }
    )


def _register(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.RecordBatch) -> None:
    """A table of these rows, with their `number` beside them: 0, 1, 2 …"""
    numbers = pa.array(range(rows.num_rows), pa.int32())
    connection.register(name, pa.Table.from_batches([rows]).append_column("number", numbers))


_ASKED_SOURCES = """(SELECT * FROM sources WHERE len($archives) = 0
    OR list_contains($archives, collection) OR list_contains($archives, archive)
    OR len(list_filter($archives, lambda uri:
             starts_with(archive || '/' || member || '/', uri || '/'))) > 0)"""


def _find_recordings(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """`asked_recordings`: one row per recording; its `rowid` stands for it from here on."""
    _create(
        connection,
        "seen",
        f"""SELECT recording_id, CASE WHEN $hints THEN min(language_hint) END AS hint
            FROM {_ASKED_SOURCES} GROUP BY recording_id""",
        archives=wanted.archives,
        hints=wanted.hints,
    )
    if wanted.datasets:
        _create(
            connection,
            "seen",
            """FROM seen SEMI JOIN (SELECT recording_id FROM reference_texts
                 WHERE list_contains($datasets, dataset)) USING (recording_id)""",
            datasets=wanted.datasets,
        )
    _create(
        connection,
        "asked_recordings",
        """SELECT r.recording_id, r.duration_s, v.options_key, v.number AS variant
           FROM recordings AS r JOIN seen USING (recording_id)
           JOIN variants AS v ON v.hint IS NOT DISTINCT FROM seen.hint""",
    )


def _find_missing(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """`undone`: (recording, task) without a transcript; `missing`: those to transcribe."""
    _create(
        connection,
        "undone",
        f"""SELECT r.rowid AS recording, asked.number AS task
           FROM asked_recordings AS r CROSS JOIN asked
           ANTI JOIN (FROM {DONE} WHERE model_id = $model_id) AS t
             ON (t.recording_id, t.task, t.options_key)
              = (r.recording_id, asked.task, r.options_key)""",
        model_id=wanted.model_id,
    )
    if wanted.force:
        _create(
            connection,
            "missing",
            """SELECT r.rowid AS recording, asked.number AS task
               FROM asked_recordings AS r CROSS JOIN asked""",
        )
        return
    _find_failed(connection, wanted)
    _create(connection, "missing", "FROM undone ANTI JOIN failed USING (recording, task)")


def _find_failed(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """`failed`: (recording, task) that failed since the newest source of the recording came."""
    _create(
        connection,
        "failures",
        """SELECT recording_id, task, options_key, max(created_at) AS failed_at FROM rejected
           WHERE model_id = $model_id AND reason NOT IN ('changed', 'unreadable', 'postponed')
           GROUP BY ALL""",
        model_id=wanted.model_id,
    )
    _create(
        connection,
        "newest",
        f"""SELECT recording_id, max(created_at) AS seen_at FROM {_ASKED_SOURCES}
            SEMI JOIN failures USING (recording_id) GROUP BY recording_id""",
        archives=wanted.archives,
    )
    _create(
        connection,
        "failures",
        "FROM failures JOIN newest USING (recording_id) WHERE failed_at > seen_at",
    )
    _create(
        connection,
        "failed",
        """SELECT r.rowid AS recording, asked.number AS task FROM failures
           JOIN asked_recordings AS r USING (recording_id, options_key)
           JOIN asked USING (task)""",
    )


def _place(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """`placed`: a row per missing transcript and source, to be sorted by `transcript`."""
    _create(
        connection,
        "spots",
        f"""SELECT s.archive, s.position, s.member, r.recording FROM {_ASKED_SOURCES} AS s
            JOIN (SELECT recording_id, rowid AS recording FROM asked_recordings
                  WHERE rowid IN (SELECT recording FROM missing)) AS r USING (recording_id)""",
        archives=wanted.archives,
    )
    # Rows lie in a table in the order in which they were put there.
    _create(
        connection,
        "spots",
        """SELECT archive, member, recording FROM spots
           ORDER BY archive, position, member, recording""",
    )
    _create(
        connection,
        "places",
        "SELECT recording, min(rowid) AS place FROM spots GROUP BY recording",
    )
    if wanted.limit is not None:
        _create(connection, "places", "FROM places ORDER BY place LIMIT $limit", limit=wanted.limit)
    _create(
        connection,
        "numbered",
        """SELECT recording, task, place * (SELECT count(*) FROM asked) + task AS transcript
           FROM missing JOIN places USING (recording)""",
    )
    _create(
        connection,
        "described",
        """SELECT n.*, r.recording_id, r.duration_s, r.variant
           FROM numbered AS n JOIN asked_recordings AS r ON r.rowid = n.recording""",
    )
    _create(
        connection,
        "placed",
        """SELECT d.* EXCLUDE (recording), spots.archive, spots.member
           FROM spots JOIN described AS d USING (recording)""",
    )


def _create(connection: duckdb.DuckDBPyConnection, name: str, query: str, **given: object) -> None:
    """Keep what a query finds as a temporary table; one of the same name is replaced."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}", given)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


def _total_seconds(connection: duckdb.DuckDBPyConnection) -> float:
    """Rounded once, so that it does not depend on the order of the rows."""
    rows = connection.sql("SELECT duration_s FROM described").to_arrow_reader(_ROWS)
    return math.fsum(seconds for batch in rows for seconds in batch["duration_s"].to_pylist())


def _whole_groups(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The same rows, cut so that all rows of a transcript are in one batch."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        last = _starts(batch)[-1]
        continues = waiting and waiting[-1]["transcript"][-1] == batch["transcript"][0]
        if waiting and not continues:
            yield _joined(waiting)
        if last:
            waiting.append(batch.slice(0, last))
            yield _joined(waiting)
        waiting.append(batch.slice(last))
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """All rows as one batch; the list is emptied, so that they are not in memory twice."""
    rows = pa.concat_batches(batches)
    batches.clear()
    return rows


def _starts(rows: pa.RecordBatch) -> np.ndarray:
    """Indices of the first rows of each transcript."""
    numbers = rows["transcript"].to_numpy()
    return np.flatnonzero(np.diff(numbers, prepend=-1))
