"""Forget recordings: every row of them, and every file of a table that has, or had, such a row.

The table `forgotten` says which. A *job*, a file in the lake, says what else there is to remove of
them, and where they were; it stays until everything is. A run that was at work meanwhile may commit
rows afterwards: each publication looks, adds a job and deletes them again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake, deleted_up_to
from nightscribe.lake.transactions import FORGOTTEN
from nightscribe.uris import join_uri

__all__ = [
    "IS_FORGOTTEN_FILE",
    "OF_FORGOTTEN",
    "OF_RECORDINGS",
    "TABLES",
    "Job",
    "add_job",
    "allow",
    "delete_again",
    "delete_forgotten",
    "describe",
    "end_jobs",
    "file_id",
    "jobs",
    "note_forgotten",
    "note_sources",
    "place_id",
]

_MEMORY = "512MB"
_JOBS = "_forgetting"
_TEXT = 20
"""Characters of a text by which a row of `rejected` is known that quotes it."""

OF_RECORDINGS = (
    "transcripts",  # first, so that no view shows a part of one
    "segments",
    "corrections",
    "reviews",
    "baselines",
    "utterance_errors",
    "reference_texts",
    "warnings",
    "waveforms",
    "rejected",
)
"""Tables whose rows have a `recording_id`, but for the two that say where it is."""

_AT_PLACES = ("annotations", "source_states")
TABLES = (*OF_RECORDINGS, *_AT_PLACES, "account_parts", "sources", "recordings")
"""Tables that may say something of a recording, in the order in which rows are deleted."""

_PLACE = "archive || chr(10) || member"
OF_FORGOTTEN = f"""
  sha256({_PLACE}) IN (SELECT unnest(places) FROM files.forgotten)
  AND {_PLACE} NOT IN (
    SELECT {_PLACE} FROM files.sources ANTI JOIN files.forgotten USING (recording_id))"""
"""Condition on rows with `archive` and `member`: a forgotten recording was there, and no other is
now."""

_FILE = f"{_PLACE} || chr(10) || size_bytes || chr(10) || version"
IS_FORGOTTEN_FILE = f"sha256({_FILE}) IN (SELECT unnest(files) FROM files.forgotten)"
"""Condition on rows of files: a forgotten recording was read from it, and it is unchanged."""


@dataclass(frozen=True)
class Job:
    """What is to be removed of some recordings besides rows with their ids.

    Attributes:
        places: archive, member and collection of each place where they were
        transcripts: ids of their transcripts, by which reports are known
        texts: the beginnings of what manifests say of them
    """

    recordings: list[str] = field(default_factory=list)
    places: list[tuple[str, str, str]] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def uris(self) -> set[str]:
        """The places, as `archive!/member`."""
        return {join_uri(archive, member) for archive, member, _ in self.places}


def place_id(source: Mapping[str, Any]) -> str:
    """What the table `forgotten` keeps of the place of a row of `sources`."""
    return _digest(source["archive"], source["member"])


def file_id(source: Mapping[str, Any]) -> str:
    """What it keeps of the file."""
    return _digest(*(source[name] for name in ("archive", "member", "size_bytes", "version")))


def _digest(*values: object) -> str:
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()


def describe(lake: Lake, ids: Iterable[str]) -> Job:
    """What there is of recordings. Raises `LakeError`."""
    given = {"ids": [*ids]}
    chosen = "WHERE recording_id IN (SELECT unnest($ids))"
    views = ["sources", "transcripts", "utterance_errors", "reference_texts"]
    with connect(lake, views=views) as connection:

        def rows(query: str) -> list[Any]:
            return connection.execute(query, given).fetchall()

        return Job(
            given["ids"],
            rows(f"SELECT archive, member, collection FROM files.sources {chosen} ORDER BY ALL"),
            [
                transcript
                for (transcript,) in rows(
                    f"""SELECT transcript_id FROM files.transcripts {chosen}
                        UNION SELECT transcript_id FROM files.utterance_errors {chosen}
                        ORDER BY ALL"""
                )
            ],
            [
                text
                for (text,) in rows(
                    f"""SELECT DISTINCT text[:{_TEXT}] AS text FROM files.reference_texts {chosen}
                        AND length(text) >= {_TEXT} ORDER BY ALL"""
                )
            ],
        )


def add_job(lake: Lake, job: Job) -> None:
    """Keep a job until `end_jobs`. Raises `OSError`."""
    content = json.dumps(asdict(job), ensure_ascii=False).encode()
    lake.put_file(f"{_JOBS}/{uuid.uuid4().hex}.json", content)


def jobs(lake: Lake) -> dict[str, Job]:
    """Path in the lake → job, of those that have not ended. Raises `OSError`."""
    lake.filesystem.invalidate_cache(lake.native_path(_JOBS))
    if not lake.exists(_JOBS):
        return {}
    found = {}
    for name in sorted(lake.listed(_JOBS)):
        if name.endswith(".json"):
            path = f"{_JOBS}/{name}"
            content = json.loads(lake.filesystem.cat_file(lake.native_path(path)))
            content["places"] = [tuple(place) for place in content["places"]]
            found[path] = Job(**content)
    return found


def end_jobs(lake: Lake, paths: Iterable[str]) -> None:
    """Remove jobs. Raises `OSError`."""
    for path in paths:
        lake.filesystem.rm_file(lake.native_path(path))


def note_forgotten(lake: Lake, job: Job, reason: str | None, run_id: str) -> None:
    """Note that the recordings of a job are to be forgotten. Raises `LakeError`."""
    sources = read(
        lake,
        "SELECT * FROM sources WHERE recording_id IN (SELECT unnest($ids))",
        ids=job.recordings,
    ).to_pylist()
    own: dict[str, list[dict[str, Any]]] = {one: [] for one in job.recordings}
    for source in sources:
        own[source["recording_id"]].append(source)
    noted = [
        {
            "recording_id": one,
            "places": sorted(map(place_id, found)),
            "files": sorted(map(file_id, found)),
            "reason": reason,
        }
        for one, found in own.items()
    ]
    lake.insert_new("forgotten", rows_of("forgotten", noted, run_id), KEYS["forgotten"])


def note_sources(lake: Lake, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Note further places where forgotten recordings are: their manifests are not listened to.

    Args:
        found: recording_id → rows of `sources`
    """
    known = read(
        lake,
        "SELECT * FROM forgotten WHERE recording_id IN (SELECT unnest($ids))",
        ids=[*found],
    )
    rows = [
        row
        | {
            "places": sorted({*row["places"], *map(place_id, found[row["recording_id"]])}),
            "files": sorted({*row["files"], *map(file_id, found[row["recording_id"]])}),
        }
        for row in known.to_pylist()
    ]
    changed = rows_of("forgotten", rows)
    lake.upsert("forgotten", changed, KEYS["forgotten"], restamp=True)


def allow(lake: Lake, ids: Iterable[str]) -> None:
    """Let recordings be read and transcribed again by the next run that finds them."""
    keys = pa.table({"recording_id": pa.array(sorted(set(ids)), pa.string())})
    lake.delete("forgotten", keys, KEYS["forgotten"])


def delete_again(lake: Lake) -> list[str]:
    """Delete what a run has brought back. Returns the tables. Raises `LakeError`."""
    found = _found(lake)
    if not found:
        return []
    ids = {
        one
        for keys in found.values()
        if "recording_id" in keys.column_names
        for one in keys["recording_id"].to_pylist()
    }
    # First, or nothing would say that there are files to remove.
    add_job(lake, describe(lake, sorted(ids)))
    _delete(lake, found)
    return list(found)


def delete_forgotten(lake: Lake, wanted: Sequence[Job]) -> dict[str, int]:
    """Delete all rows of forgotten recordings, and those that jobs speak of.

    Returns table → keys, of tables that had some. Raises `LakeError`.
    """
    found = _found(lake)
    _delete(lake, found)
    found |= _delete_named(lake, wanted)
    return {name: keys.num_rows for name, keys in found.items()}


def _found(lake: Lake) -> dict[str, pa.Table]:
    """Table → keys of rows of forgotten recordings, of tables that have some."""
    forgotten = lake.table_if_made("forgotten")
    if forgotten is None or not lake.files("forgotten", forgotten):
        return {}
    with connect(lake, views=[*TABLES, "forgotten"], memory_limit=_MEMORY) as connection:
        found = {
            name: _keys(
                connection,
                f"""SELECT DISTINCT recording_id FROM files.{name}
                    SEMI JOIN files.forgotten USING (recording_id)""",
            )
            for name in (*OF_RECORDINGS, "sources", "recordings")
        }
        for name in _AT_PLACES:
            query = f"SELECT DISTINCT archive, member FROM files.{name} WHERE {OF_FORGOTTEN}"
            found[name] = _keys(connection, query)
    return {name: keys for name, keys in found.items() if keys.num_rows}


def _delete(lake: Lake, found: Mapping[str, pa.Table]) -> None:
    for name in TABLES:
        if name in found:
            note = None
            if name == "segments":  # readers must not take older transcripts with what is left
                note = deleted_up_to(FORGOTTEN, lake.table("transcripts").version())
            lake.delete(name, found[name], found[name].column_names, note)


def _delete_named(lake: Lake, wanted: Sequence[Job]) -> dict[str, pa.Table]:
    """Delete rows without an id that name a place of a job, or quote what is said of it."""
    uris = sorted({uri for job in wanted for uri in job.uris})
    words = {text for job in wanted for text in job.texts}
    words |= {member for job in wanted for _, member, _ in job.places if member}
    # Of a single file or an upload, the collection is the file.
    collections = {
        collection
        for job in wanted
        for archive, member, collection in job.places
        if collection == f"{archive.rstrip('/')}/{member}"
    }
    columns = ", ".join(KEYS["rejected"])
    found = {
        "rejected": read(
            lake,
            f"""SELECT DISTINCT {columns} FROM rejected WHERE uri IN (SELECT unnest($uris))
                OR starts_with(reason, 'manifest')
                AND EXISTS (FROM (SELECT unnest($words) AS word) WHERE contains(detail, word))
                ORDER BY ALL""",
            uris=uris,
            words=sorted(words),
        ),
        "account_parts": read(
            lake,
            """SELECT DISTINCT collection FROM account_parts
               WHERE collection IN (SELECT unnest($collections)) ORDER BY ALL""",
            collections=sorted(collections),
        ),
    }
    for name, keys in found.items():
        lake.delete(name, keys, keys.column_names)
    return {name: keys for name, keys in found.items() if keys.num_rows}


def _keys(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return connection.sql(f"{query} ORDER BY ALL").to_arrow_table()
