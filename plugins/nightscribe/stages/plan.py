"""Recordings that lack a transcript → balanced batches.

A batch holds recordings that lie next to each other in their archives, since a batch that
takes its recordings from one tar opens one tar. The recordings in that order are cut
where their audio seconds reach the next multiple of the batch size, so no batch differs
from the size by more than its longest recording. The same lake gives the same plan.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nightscribe.errors import ConfigurationError
from nightscribe.lake.reading import connect
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.whisper.options import Options

BATCH = pa.schema(
    [
        ("batch_id", pa.string()),
        ("recording_id", pa.string()),
        ("task", pa.string()),
        ("options_key", pa.string()),
        ("options", pa.string()),
        ("duration_s", pa.float64()),
        ("sources", pa.list_(pa.struct([("archive", pa.string()), ("member", pa.string())]))),
        ("model_id", pa.string()),
        ("model", pa.string()),
        ("force", pa.bool_()),
    ]
)
"""Columns of a batch spec: one row per transcript that is wanted."""

CPU_RTFX, GPU_RTFX = 1.0, 20.0
"""Processing speed assumed for a model that has not run in this lake yet: about what
openai-whisper's larger models reach; it only sizes the first batches."""


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
class Plan:
    """Batch specs (paths in the lake) and what they hold together."""

    specs: list[str]
    recordings: int
    transcripts: int
    audio_s: float  # counted once per task
    already_done: int  # wanted transcripts that exist

    def summary(self) -> str:
        """One line for people."""
        if not self.specs:
            return f"plan: nothing to transcribe, {self.already_done} transcripts exist already"
        return (
            f"plan: {self.recordings} recordings, {self.transcripts} transcripts, "
            f"{self.audio_s / 3600:.3f} h of audio in {len(self.specs)} batches; "
            f"{self.already_done} exist already"
        )


def plan(
    lake: Lake, wanted: Wanted, *, folder: str, run_id: str, batch_audio_s: float, max_batches: int
) -> Plan:
    """Write batch specs below `folder` for every transcript that is wanted and not there.

    A (recording, model, task, options) that failed before is left out until one of its
    sources changes, or with `force`; one whose files could not be reached is tried again.
    At most `max_batches` batches: they grow if need be.

    Raises `ConfigurationError` for a data set that is not in the lake.
    """
    pending, done = _pending(lake, wanted)
    audio_s: float = pc.sum(pending["duration_s"]).as_py() or 0.0
    specs = []
    for number, rows in enumerate(cut(pending, batch_audio_s, max_batches)):
        batch_id = _batch_id(rows, wanted, run_id)
        rows = rows.append_column("batch_id", pa.array([batch_id] * rows.num_rows, pa.string()))
        rows = rows.append_column("model_id", pa.array([wanted.model_id] * rows.num_rows))
        rows = rows.append_column("model", pa.array([wanted.model] * rows.num_rows))
        rows = rows.append_column("force", pa.array([wanted.force] * rows.num_rows))
        specs.append(
            write_spec(
                lake, f"{folder}/batch-{number:05d}.parquet", rows.select(BATCH.names).cast(BATCH)
            )
        )
    return Plan(
        specs=specs,
        recordings=len(pending["recording_id"].unique()),
        transcripts=pending.num_rows,
        audio_s=audio_s,
        already_done=done,
    )


def expected_rtfx(lake: Lake, model_id: str, on_gpu: bool) -> float:
    """Audio seconds per second that this model reached in its latest batches in this lake."""
    with connect(lake) as connection:
        [(measured,)] = connection.execute(
            """SELECT median(rtfx) FROM (SELECT rtfx FROM batches
                 WHERE model_id = ? AND transcripts > 0 ORDER BY created_at DESC LIMIT 20)""",
            [model_id],
        ).fetchall()
    return float(measured) if measured else (GPU_RTFX if on_gpu else CPU_RTFX)


def cut(pending: pa.Table, batch_audio_s: float, max_batches: int) -> list[pa.Table]:
    """Cut rows, in their order, into at most `max_batches` tables of about `batch_audio_s`.

    `pending` has columns recording_id and duration_s, rows of a recording adjoining; a
    recording is never split. Every table but the last comes to the size, give or take its
    longest recording.
    """
    if pending.num_rows == 0:
        return []
    durations = pending["duration_s"].to_pylist()
    recordings = pending["recording_id"].to_pylist()
    size = max(batch_audio_s, math.fsum(durations) / max_batches)
    tables: list[pa.Table] = []
    start, reached, goal = 0, 0.0, size
    for index, seconds in enumerate(durations):
        starts_recording = index == 0 or recordings[index] != recordings[index - 1]
        if starts_recording and index > start and reached >= goal and len(tables) < max_batches - 1:
            tables.append(pending.slice(start, index - start))
            start = index
            goal = max(goal + size, reached + size / 2)
        reached += seconds
    tables.append(pending.slice(start))
    return tables


def _pending(lake: Lake, wanted: Wanted) -> tuple[pa.Table, int]:
    variants = _variants(lake, wanted)
    with connect(lake) as connection:
        _check_datasets(connection, wanted.datasets)
        connection.register("variants", variants)
        connection.execute("CREATE TEMP TABLE asked (task VARCHAR)")
        connection.executemany("INSERT INTO asked VALUES (?)", [[task] for task in wanted.tasks])
        connection.register(
            "asked_archives", pa.table({"uri": pa.array(wanted.archives, pa.string())})
        )
        connection.execute(
            """CREATE TEMP TABLE wanted AS
               WITH seen AS (
                 SELECT recording_id, min((archive, position, member)) AS place,
                        list(DISTINCT {'archive': archive, 'member': member}
                             ORDER BY {'archive': archive, 'member': member}) AS sources,
                        min(language_hint) AS hint, max(created_at) AS seen_at
                 FROM sources AS s WHERE (len($archives) = 0
                    OR EXISTS (SELECT 1 FROM asked_archives AS a
                      WHERE a.uri IN (s.collection, s.archive)
                        OR starts_with(s.archive || '/' || s.member || '/', a.uri || '/')))
                   AND (len($datasets) = 0 OR recording_id IN (
                      SELECT recording_id FROM reference_texts
                      WHERE list_contains($datasets, dataset)))
                 GROUP BY recording_id),
               keyed AS (
                 SELECT r.recording_id, r.duration_s, asked.task, v.options_key, v.options,
                        seen.sources, seen.place, seen.seen_at
                 FROM recordings AS r JOIN seen USING (recording_id)
                 JOIN variants AS v ON v.hint IS NOT DISTINCT FROM
                   CASE WHEN $hints THEN seen.hint END
                 CROSS JOIN asked)
               SELECT *, EXISTS (SELECT 1 FROM transcripts AS t
                     WHERE (t.recording_id, t.model_id, t.task, t.options_key)
                         = (k.recording_id, $model_id, k.task, k.options_key)) AS done,
                   EXISTS (SELECT 1 FROM rejected AS x
                     WHERE (x.recording_id, x.model_id, x.task, x.options_key)
                         = (k.recording_id, $model_id, k.task, k.options_key)
                       AND x.reason NOT IN ('changed', 'unreadable')
                       AND x.created_at > k.seen_at) AS failed
               FROM keyed AS k""",
            {
                "archives": list(wanted.archives),
                "datasets": list(wanted.datasets),
                "hints": wanted.hints,
                "model_id": wanted.model_id,
            },
        )
        [(done,)] = connection.execute("SELECT count(*) FROM wanted WHERE done").fetchall()
        pending = connection.sql(
            """WITH open AS (SELECT * FROM wanted WHERE $force OR NOT (done OR failed)),
                    first AS (SELECT recording_id FROM open GROUP BY recording_id
                              ORDER BY min(place) LIMIT $limit)
               SELECT recording_id, task, options_key, options, duration_s, sources
               FROM open SEMI JOIN first USING (recording_id)
               ORDER BY place, recording_id, task""",
            params={
                "force": wanted.force,
                "limit": wanted.limit if wanted.limit is not None else 2**62,
            },
        ).to_arrow_table()
    return pending, done


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


def _variants(lake: Lake, wanted: Wanted) -> pa.Table:
    """The options that recordings get, one row per language hint (null: no hint)."""
    hints: Sequence[str | None] = [None]
    if wanted.hints:
        with connect(lake) as connection:
            found = connection.sql(
                "SELECT DISTINCT language_hint FROM sources WHERE language_hint IS NOT NULL"
            ).fetchall()
        hints = [None, *sorted(row[0] for row in found)]
    options = [wanted.options.with_language(hint) if hint else wanted.options for hint in hints]
    return pa.table(
        {
            "hint": pa.array(hints, pa.string()),
            "options_key": [option.key for option in options],
            "options": [option.to_json() for option in options],
        }
    )


def _batch_id(rows: pa.Table, wanted: Wanted, run_id: str) -> str:
    """The same transcripts wanted of the same model are the same batch, in whichever run.

    Forced ones are made anew by every run, so there the run is part of the name.
    """
    digest = hashlib.sha256(wanted.model_id.encode())
    if wanted.force:
        digest.update(run_id.encode())
    columns = [rows[name].to_pylist() for name in ("recording_id", "task", "options_key")]
    for key in sorted(zip(*columns, strict=True)):
        digest.update("\0".join(key).encode() + b"\n")
    return digest.hexdigest()[:16]


def batch_audio_s(settings: Settings, rtfx: float) -> float:
    """Audio seconds that a batch of `batch_minutes` holds at this speed."""
    return settings.batch_minutes * 60.0 * (settings.expected_rtfx or rtfx)
