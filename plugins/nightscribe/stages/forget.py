"""Forget: delete recordings from a lake, so that no byte of what was said stays in it.

The recordings stay in their archives, which are read-only to Nightscribe. Runs that find them there
again pass them by, because the table `forgotten` has their hashes.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightscribe.decisions import Decisions
from nightscribe.lake.damage import explains
from nightscribe.lake.forgetting import (
    OF_RECORDINGS,
    TABLES,
    Job,
    add_job,
    delete_forgotten,
    describe,
    end_jobs,
    jobs,
    note_forgotten,
)
from nightscribe.lake.purging import purge
from nightscribe.lake.reading import connect, read
from nightscribe.lake.specs import SPECS, read_spec, write_spec
from nightscribe.lake.tables import Lake
from nightscribe.search.building import build
from nightscribe.search.generations import generations, index_folder, read_state
from nightscribe.settings import Settings
from nightscribe.stages.publish import publish
from nightscribe.uris import canonical_uri, join_uri, split_uri

__all__ = ["Choice", "Forgotten", "choose", "expired", "finish", "forget"]

log = logging.getLogger(__name__)

_MANY = 10_000
"""Ids and names for which reports are not searched any more, but removed."""

_NAME = 8
"""Characters of a file's name by which a report is found; shorter ones are parts of other words."""


@dataclass(frozen=True)
class Choice:
    """A recording to forget.

    Attributes:
        places: `archive!/member`
        rows: table → rows
    """

    recording_id: str
    places: tuple[str, ...]
    rows: dict[str, int]


@dataclass
class Forgotten:
    """What a call of `forget` has done.

    Attributes:
        rows: table → keys that were deleted
        table_files: files of tables that were removed
        waiting: files that a process may still be writing; maintenance removes them
        files: other files and folders that were removed
        left: uploads that could not be removed, with the reason
    """

    recordings: int
    rows: dict[str, int] = field(default_factory=dict)
    table_files: int = 0
    waiting: int = 0
    files: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        waiting = (
            f". {self.waiting:,} files that a run may be writing stay until `nightscribe lake "
            "maintain` is called after it"
        )
        return (
            f"forgotten: {self.recordings:,} recordings; removed {self.table_files:,} files of "
            f"tables and {len(self.files):,} others{waiting if self.waiting else ''}"
        )


def choose(
    lake: Lake, ids: Sequence[str] = (), sources: Sequence[str] = (), where: str | None = None
) -> list[Choice]:
    """The recordings that are meant: of these ids, at these places, or in rows of a condition.

    Args:
        sources: URIs of archives, collections or members (`archive!/member`)
        where: an SQL condition on columns of `recordings` and `sources`

    Raises:
        LakeError: the lake cannot be read.
        ConfigurationError: the condition is none.
    """
    found: set[str] = set()
    places = [split_uri(uri) for uri in sources]
    with connect(lake, views=["recordings", "sources"]) as connection:
        rows = connection.execute(
            """SELECT recording_id FROM recordings WHERE recording_id IN (SELECT unnest($ids))
               UNION SELECT recording_id FROM sources
               WHERE archive IN (SELECT unnest($sources))
                 OR collection IN (SELECT unnest($sources))
                 OR (archive, member) IN (SELECT (unnest($archives), unnest($members)))""",
            {
                "ids": [*ids],
                "sources": [*sources],
                "archives": [archive for archive, _ in places],
                "members": [member for _, member in places],
            },
        ).fetchall()
        found |= {one for (one,) in rows}
    if where is not None:
        table = read(
            lake,
            "SELECT DISTINCT recording_id FROM (SELECT s.*, r.* EXCLUDE (recording_id, "
            "size_bytes, run_id, created_at) FROM recordings AS r JOIN sources AS s "
            f"USING (recording_id)) WHERE ({where}\n)",
        )
        found |= set(table.column("recording_id").to_pylist())
    return _choices(lake, sorted(found))


def _choices(lake: Lake, ids: Sequence[str]) -> list[Choice]:
    with connect(lake, views=["sources", *OF_RECORDINGS]) as connection:
        connection.execute(
            "CREATE TEMP TABLE chosen AS SELECT unnest($ids) AS recording_id", {"ids": [*ids]}
        )
        places: dict[str, list[str]] = {}
        for one, archive, member in connection.execute(
            """SELECT recording_id, archive, member FROM sources SEMI JOIN chosen
               USING (recording_id) ORDER BY ALL"""
        ).fetchall():
            places.setdefault(one, []).append(join_uri(archive, member))
        rows: dict[str, dict[str, int]] = {}
        for name in OF_RECORDINGS:
            for one, count in connection.execute(
                f"""SELECT recording_id, count(*) FROM files.{name} SEMI JOIN chosen
                    USING (recording_id) GROUP BY recording_id"""
            ).fetchall():
                rows.setdefault(one, {})[name] = count
    return [Choice(one, tuple(places.get(one, ())), rows.get(one, {})) for one in ids]


@explains
def forget(
    lake: Lake, ids: Iterable[str], settings: Settings, run_id: str, reason: str | None = None
) -> Forgotten:
    """Delete all rows and files of recordings, and note their hashes.

    It may be killed: `finish` does the rest, and maintenance calls it.

    Raises:
        LakeError: the lake cannot be read or written.
        SearchError: the search index cannot be made anew.
    """
    job = describe(lake, sorted(set(ids)))
    add_job(lake, job)  # while the rows still say what to look for
    note_forgotten(lake, job, reason, run_id)
    return finish(lake, settings)


@explains
def finish(lake: Lake, settings: Settings) -> Forgotten:
    """Do what is left of all jobs. Raises as `forget` does."""
    wanted = jobs(lake)
    every = list(wanted.values())
    done = Forgotten(len({one for job in every for one in job.recordings}))
    _remove_uploads(done, lake, every, settings)
    _remove_reports(done, lake, every)
    _remove_specs(done, lake, every)
    done.rows = delete_forgotten(lake, every)
    publish(lake)
    purged = purge(lake, TABLES)
    done.table_files, done.waiting = purged.removed, purged.waiting
    publish(lake)  # of the commits that others have made meanwhile
    folder = index_folder(lake, settings.index)
    if generations(folder):  # also where no reader sees it: its files have the texts
        build(lake, folder)
        seen = read_state(folder)
        done.left += [
            f"{path}: an old search index, which could not be removed"
            for path in generations(folder)
            if seen is None or path.name != seen.generation
        ]
    if not lake.is_local and lake.exists("index"):  # of a local lake that was copied
        lake.filesystem.rm(lake.native_path("index"), recursive=True)
        done.files.append(lake.path("index"))
    if not done.waiting:
        end_jobs(lake, wanted)
    return done


@explains
def expired(lake: Lake, settings: Settings) -> list[str]:
    """Recordings that `NIGHTSCRIBE_RETENTION` does not let the lake keep any longer.

    Of a collection below several places that have rules, the longest place counts. A recording in
    several collections is kept for as long as any of them says, and for ever if one has no rule. It
    counts from the day on which the lake came to know it.
    """
    if not settings.retention:
        return []
    rules = [(canonical_uri(uri), days) for uri, days in settings.retention.items()]
    with connect(lake, views=["recordings", "sources"]) as connection:
        connection.execute("CREATE TEMP TABLE rules (place VARCHAR, days DOUBLE)")
        connection.executemany("INSERT INTO rules VALUES (?, ?)", rules)
        rows = connection.execute(
            """WITH kept AS (
                 SELECT collection, max_by(days, length(place)) AS days
                 FROM (SELECT DISTINCT collection FROM sources) LEFT JOIN rules
                   ON collection = place OR starts_with(collection, rtrim(place, '/') || '/')
                 GROUP BY collection)
               SELECT recording_id FROM sources JOIN kept USING (collection)
               JOIN (SELECT recording_id, created_at AS since FROM recordings) USING (recording_id)
               GROUP BY recording_id
               HAVING count(*) = count(days)
                 AND now() > max(since) + to_seconds(86400 * max(days))
               ORDER BY recording_id"""
        ).fetchall()
    return [recording_id for (recording_id,) in rows]


def _remove_uploads(done: Forgotten, lake: Lake, wanted: Sequence[Job], settings: Settings) -> None:
    """Remove uploads, what was written for them, and decisions that are not committed yet."""
    for one in {one for job in wanted for one in job.recordings}:
        folder = f"uploads/{one}"
        if lake.exists(folder):
            lake.filesystem.rm(lake.native_path(folder), recursive=True)
            done.files.append(lake.path("uploads", one))
    decisions = Decisions.of(settings)
    paths = [
        path
        for job in wanted
        for transcript in job.transcripts
        for path in decisions.files_about(transcript)
    ]
    # The pages put an upload into a folder with its id as the name; other files are an archive.
    for one in {one for job in wanted for one in job.recordings}:
        folder_of_upload = Path(settings.uploads).absolute() / one
        try:
            paths += folder_of_upload.iterdir()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            done.left.append(f"{folder_of_upload}: {error.strerror}")
    for path in sorted(paths):
        try:
            path.unlink()
            done.files.append(str(path))
        except OSError as error:  # workers may only read the folder
            done.left.append(f"{path}: {error.strerror}")


def _remove_reports(done: Forgotten, lake: Lake, wanted: Sequence[Job]) -> None:
    """Remove the evaluation reports that quote a recording. The next evaluation writes another."""
    words = {word for job in wanted for word in (*job.recordings, *job.transcripts)}
    names = {member for job in wanted for _, member, _ in job.places if len(member) >= _NAME}
    needles = [word.encode() for word in words | names | set(map(html.escape, names))]
    for name in lake.listed("reports") if lake.exists("reports") else []:
        folder = f"reports/{name}"
        contents = (lake.filesystem.cat_file(file) for file in lake.files_below(folder))
        # Of so many recordings, each report has some.
        if len(needles) > _MANY or any(
            needle in content for content in contents for needle in needles
        ):
            lake.filesystem.rm(lake.native_path(folder), recursive=True)
            done.files.append(lake.path(folder))


def _remove_specs(done: Forgotten, lake: Lake, wanted: Sequence[Job]) -> None:
    """Take the rows that are about a recording out of the specs of runs."""
    ids = {one for job in wanted for one in job.recordings}
    places = {place[:2] for job in wanted for place in job.places}
    root = lake.native_path(SPECS)
    for path in lake.files_below(SPECS):
        name = f"{SPECS}/{path.removeprefix(root).strip('/')}"
        rows = read_spec(lake, name)
        kept = [not _is_about(row, ids, places) for row in rows.to_pylist()]
        if not all(kept):
            write_spec(lake, name, rows.filter(pa.array(kept)))
            done.files.append(f"{lake.path(name)}: {kept.count(False)} rows")


def _is_about(row: Any, ids: set[str], places: set[tuple[str, str]]) -> bool:
    """Whether a row of a spec, or a part of it, names a recording or a place."""
    if isinstance(row, list):
        return any(_is_about(one, ids, places) for one in row)
    if not isinstance(row, dict):
        return False
    return (
        row.get("recording_id") in ids
        or (row.get("archive"), row.get("member")) in places
        or any(_is_about(one, ids, places) for one in row.values())
    )
