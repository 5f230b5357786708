"""From a lake to an index: adds the transcripts that are new, removes those that are replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import tantivy
from filelock import FileLock, Timeout

from nightscribe.errors import LakeError, SearchError
from nightscribe.faults import reason_of
from nightscribe.lake.damage import fault_in
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.search.fields import FILTERS, SCHEMA, order_of
from nightscribe.search.generations import (
    KNOWN,
    State,
    new_generation,
    read_state,
    sweep,
    write_state,
)
from nightscribe.search.words import index_text

__all__ = ["Built", "build"]

_WAIT_S = 3600.0
"""Another build of ten million segments takes minutes."""
_MEMORY = "512MB"
"""Of DuckDB, which sorts the segments on disk beyond it."""
_HEAP = 128 * 1024 * 1024
"""Bytes of Tantivy's writer, which writes to disk beyond them."""
_BATCH = 20_000
"""Segments that are in memory as Python objects."""


@dataclass(frozen=True)
class Built:
    """What a build has changed.

    Attributes:
        is_new: whether the index was made anew, as there was none that could be used
        added: segments
        removed: segments
    """

    folder: Path
    state: State
    is_new: bool
    added: int
    removed: int


def build(lake: Lake, folder: Path) -> Built:
    """Bring the index up to date with the lake; make it if there is none that can be used.

    Readers see the old state until the new one is complete. Memory does not grow with the lake,
    but for the ids of its transcripts.

    Raises:
        LakeError: the lake cannot be read.
        SearchError: the folder cannot be written, or another process builds there and does not end.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "build.lock", timeout=_WAIT_S):
            return _build(lake, folder)
    except Timeout as error:
        raise SearchError(
            f"another process has been building the search index {folder} for an hour: end it, "
            "then run `nightscribe index`"
        ) from error
    except (OSError, ValueError, pa.ArrowException, duckdb.Error) as error:
        if isinstance(fault := fault_in(error, lake), LakeError):
            raise fault from error
        raise SearchError(
            f"the search index {folder} could not be built, and readers see the one from before: "
            f"{reason_of(error, [str(folder)])}"
        ) from error


def _build(lake: Lake, folder: Path) -> Built:
    before = read_state(folder)
    if before is not None and before.lake != lake.uri:
        before = None
    known = _known(folder, before)
    if known is None:
        before = None
    with connect(lake, memory_limit=_MEMORY) as connection:
        table = lake.table_if_made("forgotten")
        forgotten = 0 if table is None else table.version()
        if before is not None and before.forgotten != forgotten:
            before = known = None
        sweep(folder, keep=before.generation if before else None)
        added, removed = _difference(connection, known or _ids([]))
        facts = _facts(connection)
        if before is not None and not added and not removed:
            state = before.model_copy(update=facts)
            if state != before:
                write_state(folder, state)
            return Built(folder, state, False, 0, 0)
        made = new_generation(folder, folder / before.generation if before else None)
        try:
            segments, count = _write(made, removed, _segments(connection))
            latest = connection.sql("SELECT transcript_id FROM latest").to_arrow_table()
            pq.write_table(latest, made / KNOWN)
            state = State(
                lake=lake.uri,
                generation=made.name,
                segments=count,
                forgotten=forgotten,
                **facts,
            )
            write_state(folder, state)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    sweep(folder, keep=made.name)
    gone = (before.segments if before else 0) + segments - count
    return Built(folder, state, before is None, segments, gone)


def _known(folder: Path, state: State | None) -> pa.Table | None:
    """The ids of the transcripts in the index; None if there is no index that can be used."""
    if state is None:
        return None
    try:
        generation = folder / state.generation
        tantivy.Index.open(str(generation))
        return pq.read_table(generation / KNOWN)
    except (OSError, ValueError, pa.ArrowException):
        return None


def _ids(values: Iterable[str]) -> pa.Table:
    return pa.table({"transcript_id": pa.array(values, pa.string())})


def _difference(connection: duckdb.DuckDBPyConnection, known: pa.Table) -> tuple[int, list[str]]:
    """How many transcripts are new, and the ids of those that are not the latest any more.

    Makes the tables `latest` and `added`, since the view of the latest transcripts sorts them all.
    """
    connection.register("known", known)
    connection.execute(
        """CREATE TEMP TABLE latest AS
           SELECT transcript_id, recording_id, language, task, model, created_at
           FROM latest_transcripts"""
    )
    connection.execute(
        "CREATE TEMP TABLE added AS FROM latest ANTI JOIN known USING (transcript_id)"
    )
    [(added,)] = connection.execute("SELECT count(*) FROM added").fetchall()
    removed = connection.sql("FROM known ANTI JOIN latest USING (transcript_id)").fetchall()
    return added, [transcript_id for (transcript_id,) in removed]


def _facts(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What `State` says of the transcripts."""
    [(until,)] = connection.execute("SELECT max(created_at) FROM transcripts").fetchall()
    [(count,)] = connection.execute("SELECT count(*) FROM latest").fetchall()
    values = {
        name: tuple(
            value
            for (value,) in connection.execute(
                f"SELECT {name} FROM latest GROUP BY ALL ORDER BY count(*) DESC, {name} LIMIT 100"
            ).fetchall()
        )
        for name in ("language", "model")
    }
    return {
        "known_until": until,
        "transcripts": count,
        "languages": values["language"],
        "models": values["model"],
    }


def _segments(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """The segments of the new transcripts, in order."""
    rows = connection.sql(
        """SELECT transcript_id, added.recording_id, "index", start_s, text,
             language, task, model, created_at
           FROM segments JOIN added USING (transcript_id) ORDER BY transcript_id, "index" """
    ).to_arrow_reader(_BATCH)
    for batch in rows:
        yield from batch.to_pylist()


def _write(
    folder: Path, removed: Iterable[str], segments: Iterable[dict[str, Any]]
) -> tuple[int, int]:
    """Remove transcripts and add segments, in one commit. Returns the segments added, and all."""
    index = tantivy.Index(SCHEMA, path=str(folder))
    # With one thread, a transcript's segments are together, and hits come in their order.
    writer = index.writer(_HEAP, 1)
    for transcript_id in removed:
        writer.delete_documents_by_term("transcript_id", transcript_id)
    count = 0
    for before, segment, after in _with_neighbours(segments):
        writer.add_document(_document(before, segment, after))
        count += 1
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return count, index.searcher().num_docs


def _document(before: str, segment: Mapping[str, Any], after: str) -> tantivy.Document:
    return tantivy.Document(
        words=index_text(segment["text"]),
        transcript_id=segment["transcript_id"],
        **{name: segment[name] for name in FILTERS},
        recording_id=segment["recording_id"].encode(),
        text=segment["text"].encode(),
        before=before.encode(),
        after=after.encode(),
        index=segment["index"],
        start_s=segment["start_s"],
        order=order_of(segment["created_at"], segment["recording_id"]),
    )


def _with_neighbours(
    segments: Iterable[dict[str, Any]],
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each segment with the texts of its transcript's segments before and after it."""
    before = ""
    this: dict[str, Any] | None = None
    for following in segments:
        if this is not None:
            same = following["transcript_id"] == this["transcript_id"]
            yield before, this, following["text"] if same else ""
            before = this["text"] if same else ""
        this = following
    if this is not None:
        yield before, this, ""
