"""Pending transcripts (wanted and missing), as a stream in the order of the archives.

A lake may have millions of recordings. DuckDB finds the missing transcripts with a fixed memory
limit, and spills to a temporary folder. The statements are short: DuckDB divides the memory among
the joins and sorts of a statement, so that a statement with several of them can run out of memory
where a single one spills.
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
"""Columns of a pending transcript."""

_VIEWS = ("recordings", "present_sources", "transcripts", "rejected", "reference_texts")
_MEMORY = "256MB"
"""DuckDB's memory limit. 160 MB are enough to plan 4,000,000 pending recordings."""
_ROWS = 10_000
"""Rows that are fetched at a time. A row is one source of one pending transcript."""


@dataclass(frozen=True)
class Wanted:
    """What to transcribe: which recordings, with which model, tasks and options."""

    model: str
    model_id: str
    tasks: tuple[str, ...]
    options: Options
    archives: tuple[str, ...] = ()  # recordings with a source in one of these; empty: all
    datasets: tuple[str, ...] = ()  # recordings with a reference in one of these; empty: all
    hints: bool = False  # use the manifest's language if it has one
    limit: int | None = None  # maximum number of recordings
    force: bool = False  # also replace existing transcripts


@dataclass(frozen=True)
class Pending:
    """The pending transcripts: their counts, and their rows."""

    recordings: int
    transcripts: int
    audio_s: float  # counted once per task
    already_done: int  # wanted transcripts that exist
    _connection: duckdb.DuckDBPyConnection
    _tasks: pa.Array  # sorted
    _variants: pa.RecordBatch

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield rows like `PENDING`, ordered by the first source of the recording, then by task.

        The first source has the smallest (archive, position, member). `sources` are sorted by
        (archive, member). Read all rows before the next call.
        """
        found = self._connection.sql("FROM pending_sources ORDER BY transcript, archive, member")
        for rows in _whole_groups(found.to_arrow_reader(_ROWS)):
            yield self._grouped(rows)

    def by_language(self, edges_days: Sequence[float]) -> list[tuple[str | None, list[float]]]:
        """Seconds of audio per language and age, counted once per task.

        The language is that of a reference, of a transcript by any model, or of the manifest; None
        if nothing says it. The age is the time since the lake first saw a source of the recording.

        Args:
            edges_days: ascending; the ages are below the first edge, …, from the last edge on

        Returns:
            for each language, the one with most audio first, the seconds of each age
        """
        ages = "1" + "".join(
            f" + (age_s >= {86_400 * float(days)})::INTEGER" for days in edges_days
        )
        sums = ", ".join(
            f"coalesce(sum(duration_s) FILTER (age = {number}), 0)"
            for number in range(1, len(edges_days) + 2)
        )
        steps = {
            "aged": """SELECT recording_id, epoch(now() - min(created_at)) AS age_s,
                         min(language_hint) AS hint
                       FROM present_sources SEMI JOIN described USING (recording_id)
                       GROUP BY recording_id""",
            "detected": """SELECT recording_id, max_by(language, created_at) AS language
                           FROM transcripts SEMI JOIN aged USING (recording_id)
                           GROUP BY recording_id""",
            "stated": """SELECT recording_id, min(language) AS language
                         FROM reference_texts SEMI JOIN aged USING (recording_id)
                         GROUP BY recording_id""",
            "known": """SELECT recording_id, age_s, hint, detected.language
                        FROM aged LEFT JOIN detected USING (recording_id)""",
            "labelled": f"""SELECT known.recording_id, {ages} AS age,
                              coalesce(stated.language, known.language, hint) AS language
                            FROM known LEFT JOIN stated USING (recording_id)""",
        }
        for name, query in steps.items():
            _create(self._connection, name, query)
        rows = self._connection.execute(
            f"""SELECT language, {sums} FROM described JOIN labelled USING (recording_id)
                GROUP BY language ORDER BY sum(duration_s) DESC, language"""
        ).fetchall()
        return [(language, list(seconds)) for language, *seconds in rows]

    def _grouped(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """One row per transcript, from rows with one source of a transcript each."""
        starts = _starts(rows)
        first = rows.take(pa.array(starts))
        variants = self._variants.take(first["variant"])
        sources = pa.StructArray.from_arrays(
            [rows["archive"], rows["member"]], fields=list(_SOURCE)
        )
        return pa.RecordBatch.from_arrays(
            [
                first["recording_id"],
                self._tasks.take(first["task"]),
                variants["options_key"],
                variants["options"],
                first["duration_s"],
                pa.ListArray.from_arrays(
                    pa.array(np.append(starts, rows.num_rows), pa.int32()), sources
                ),
            ],
            schema=PENDING,
        )


@contextmanager
def pending(lake: Lake, wanted: Wanted) -> Iterator[Pending]:
    """Find the transcripts that are wanted and missing.

    A transcript that failed is not pending, unless a source of its recording is newer than the
    failure, its files could not be read, or `force` is set.

    Raises `ConfigurationError` for a data set that is not in the lake.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nightscribe-plan-") as folder,
        connect(lake, views=_VIEWS, memory_limit=_MEMORY, spill_to=folder) as connection,
    ):
        _check_datasets(connection, wanted.datasets)
        tasks = sorted(set(wanted.tasks))
        variants = _variants(connection, wanted)
        _register(connection, "variants", variants)
        _register(
            connection, "wanted_tasks", pa.record_batch({"task": pa.array(tasks, pa.string())})
        )
        _find_recordings(connection, wanted)
        _find_missing(connection, wanted)
        _order_missing(connection, wanted)
        yield Pending(
            recordings=_count(connection, "first_sources"),
            transcripts=_count(connection, "described"),
            audio_s=_total_seconds(connection),
            already_done=_count(connection, "wanted_recordings") * len(tasks)
            - _count(connection, "untranscribed"),
            _connection=connection,
            _tasks=pa.array(tasks, pa.string()),
            _variants=variants,
        )


def _check_datasets(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    if not names:
        return
    found = connection.execute("SELECT DISTINCT dataset FROM reference_texts").fetchall()
    known = sorted(name for (name,) in found)
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"no data set {name!r} in the lake (it has: {', '.join(known) or 'none'}); add it "
                "with `nightscribe datasets add`, or with the manifest of an archive"
            )


def _variants(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> pa.RecordBatch:
    """The options of recordings: one row per language hint (null: no hint)."""
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
    """Register these rows as a table, with a column `number`: 0, 1, 2 …"""
    numbers = pa.array(range(rows.num_rows), pa.int32())
    connection.register(name, pa.Table.from_batches([rows]).append_column("number", numbers))


_WANTED_SOURCES = """(SELECT * FROM present_sources WHERE len($archives) = 0
    OR list_contains($archives, collection) OR list_contains($archives, archive)
    OR len(list_filter($archives, lambda uri:
             starts_with(archive || '/' || member || '/', uri || '/'))) > 0)"""


def _find_recordings(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Create `wanted_recordings`: one row per recording. Later tables refer to its `rowid`."""
    _create(
        connection,
        "recording_hints",
        f"""SELECT recording_id, CASE WHEN $hints THEN min(language_hint) END AS hint
            FROM {_WANTED_SOURCES} GROUP BY recording_id""",
        archives=wanted.archives,
        hints=wanted.hints,
    )
    if wanted.datasets:
        _create(
            connection,
            "recording_hints",
            """FROM recording_hints SEMI JOIN (SELECT recording_id FROM reference_texts
                 WHERE list_contains($datasets, dataset)) USING (recording_id)""",
            datasets=wanted.datasets,
        )
    _create(
        connection,
        "wanted_recordings",
        """SELECT r.recording_id, r.duration_s, v.options_key, v.number AS variant
           FROM recordings AS r JOIN recording_hints USING (recording_id)
           JOIN variants AS v ON v.hint IS NOT DISTINCT FROM recording_hints.hint""",
    )


def _find_missing(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Create `untranscribed` and `missing`: (recording, task) without a transcript, and to make."""
    _create(
        connection,
        "untranscribed",
        f"""SELECT r.rowid AS recording, wanted_tasks.number AS task
           FROM wanted_recordings AS r CROSS JOIN wanted_tasks
           ANTI JOIN (FROM {DONE} WHERE model_id = $model_id) AS t
             ON (t.recording_id, t.task, t.options_key)
              = (r.recording_id, wanted_tasks.task, r.options_key)""",
        model_id=wanted.model_id,
    )
    if wanted.force:
        _create(
            connection,
            "missing",
            """SELECT r.rowid AS recording, wanted_tasks.number AS task
               FROM wanted_recordings AS r CROSS JOIN wanted_tasks""",
        )
        return
    _find_failed(connection, wanted)
    _create(connection, "missing", "FROM untranscribed ANTI JOIN failed USING (recording, task)")


def _find_failed(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Create `failed`: (recording, task) that failed after the recording's newest source."""
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
        f"""SELECT recording_id, max(created_at) AS added_at FROM {_WANTED_SOURCES}
            SEMI JOIN failures USING (recording_id) GROUP BY recording_id""",
        archives=wanted.archives,
    )
    _create(
        connection,
        "failures",
        "FROM failures JOIN newest USING (recording_id) WHERE failed_at > added_at",
    )
    _create(
        connection,
        "failed",
        """SELECT r.rowid AS recording, wanted_tasks.number AS task FROM failures
           JOIN wanted_recordings AS r USING (recording_id, options_key)
           JOIN wanted_tasks USING (task)""",
    )


def _order_missing(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Create `pending_sources`: one row per pending transcript and source.

    Its column `transcript` is a number that sorts by first source, then by task.
    """
    _create(
        connection,
        "ordered_sources",
        f"""SELECT s.archive, s.position, s.member, r.recording FROM {_WANTED_SOURCES} AS s
            JOIN (SELECT recording_id, rowid AS recording FROM wanted_recordings
                  WHERE rowid IN (SELECT recording FROM missing)) AS r USING (recording_id)""",
        archives=wanted.archives,
    )
    # DuckDB numbers rows (`rowid`) in the order of their insertion.
    _create(
        connection,
        "ordered_sources",
        """SELECT archive, member, recording FROM ordered_sources
           ORDER BY archive, position, member, recording""",
    )
    _create(
        connection,
        "first_sources",
        "SELECT recording, min(rowid) AS place FROM ordered_sources GROUP BY recording",
    )
    if wanted.limit is not None:
        _create(
            connection,
            "first_sources",
            "FROM first_sources ORDER BY place LIMIT $limit",
            limit=wanted.limit,
        )
    _create(
        connection,
        "numbered",
        """SELECT recording, task, place * (SELECT count(*) FROM wanted_tasks) + task AS transcript
           FROM missing JOIN first_sources USING (recording)""",
    )
    _create(
        connection,
        "described",
        """SELECT n.*, r.recording_id, r.duration_s, r.variant
           FROM numbered AS n JOIN wanted_recordings AS r ON r.rowid = n.recording""",
    )
    _create(
        connection,
        "pending_sources",
        """SELECT d.* EXCLUDE (recording), ordered_sources.archive, ordered_sources.member
           FROM ordered_sources JOIN described AS d USING (recording)""",
    )


def _create(connection: duckdb.DuckDBPyConnection, name: str, query: str, **given: object) -> None:
    """Create a temporary table from a query; replaces a table with the same name."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}", given)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


def _total_seconds(connection: duckdb.DuckDBPyConnection) -> float:
    """Seconds of audio of all pending transcripts.

    `math.fsum` rounds once, so that the result does not depend on the order of the rows.
    """
    rows = connection.sql("SELECT duration_s FROM described").to_arrow_reader(_ROWS)
    return math.fsum(seconds for batch in rows for seconds in batch["duration_s"].to_pylist())


def _whole_groups(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches that do not split the rows of a transcript."""
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
    """Join the batches, and empty the list, so that the rows are not in memory twice."""
    rows = pa.concat_batches(batches)
    batches.clear()
    return rows


def _starts(rows: pa.RecordBatch) -> np.ndarray:
    """Index of the first row of each transcript."""
    numbers = rows["transcript"].to_numpy()
    return np.flatnonzero(np.diff(numbers, prepend=-1))
