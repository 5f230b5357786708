"""Forget: delete recordings from a lake, so that no byte of what was said stays in it.

The recordings stay in their archives, which are read-only to Nightscribe. Runs that find them there
again pass them by, because the table `forgotten` has their hashes.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nightscribe.lake.aged import SPECS
from nightscribe.lake.damage import explains
from nightscribe.lake.forgetting import (
    OF_RECORDINGS,
    delete_forgotten,
    mark_purged,
    note_forgotten,
    purge,
)
from nightscribe.lake.reading import connect, read
from nightscribe.lake.tables import Lake
from nightscribe.search.building import build
from nightscribe.search.generations import index_folder, read_state
from nightscribe.settings import Settings
from nightscribe.stages.publish import publish
from nightscribe.storage import locate
from nightscribe.uris import canonical_uri, join_uri, split_uri

__all__ = ["Choice", "Forgotten", "choose", "expired", "forget", "purge_all"]

log = logging.getLogger(__name__)

_SHORTEST = 8
"""Characters of a text by which a report is found; shorter ones are in every report."""


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
        files: other files and folders that were removed
    """

    recordings: int
    rows: dict[str, int] = field(default_factory=dict)
    table_files: int = 0
    files: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        return (
            f"forgotten: {self.recordings:,} recordings; removed {self.table_files:,} files of "
            f"tables and {len(self.files):,} others"
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
    with connect(lake, views=["sources", "segments", *OF_RECORDINGS]) as connection:
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
    """Delete all rows and files of recordings, and note their hashes. May be killed and repeated.

    Raises:
        LakeError: the lake cannot be read or written.
        SearchError: the search index cannot be made anew.
    """
    wanted = sorted(set(ids))
    words = _words(lake, wanted)
    note_forgotten(lake, wanted, reason, run_id)
    done = Forgotten(len(wanted))
    # While the rows still say what to look for.
    done.files += _remove_uploads(lake, wanted, settings)
    done.files += _remove_reports(lake, words)
    done.files += _remove_specs(lake, words)
    done.rows = delete_forgotten(lake)
    publish(lake)
    done.table_files = purge_all(lake, settings)
    return done


@explains
def purge_all(lake: Lake, settings: Settings) -> int:
    """Remove all files that have rows of forgotten recordings; returns how many of tables.

    Raises:
        LakeError: the lake cannot be read or written.
        SearchError: the search index cannot be made anew.
    """
    removed = purge(lake, timedelta(days=settings.keep_days))
    mark_purged(lake)
    publish(lake)  # of the commits that purging makes
    folder = index_folder(lake, settings.index)
    if read_state(folder) is not None:
        build(lake, folder)
    return removed


@explains
def expired(lake: Lake, settings: Settings) -> list[str]:
    """Recordings that `NIGHTSCRIBE_RETENTION` does not let the lake keep any longer.

    A recording in several collections is kept for as long as any of them says, and for ever if one
    has no rule. It counts from the day on which the lake came to know it.
    """
    if not settings.retention:
        return []
    rules = [(canonical_uri(uri), days) for uri, days in settings.retention.items()]
    with connect(lake, views=["recordings", "sources"]) as connection:
        connection.execute("CREATE TEMP TABLE rules (collection VARCHAR, days DOUBLE)")
        connection.executemany("INSERT INTO rules VALUES (?, ?)", rules)
        rows = connection.execute(
            """SELECT recording_id FROM sources LEFT JOIN rules USING (collection)
               JOIN (SELECT recording_id, created_at AS since FROM recordings) USING (recording_id)
               GROUP BY recording_id
               HAVING count(*) = count(days)
                 AND now() > max(since) + to_seconds(86400 * max(days))
               ORDER BY recording_id"""
        ).fetchall()
    return [recording_id for (recording_id,) in rows]


def _words(lake: Lake, ids: Sequence[str]) -> set[str]:
    """By what files are recognized that speak of recordings: ids, names, and texts."""
    words = set(ids)
    with connect(lake) as connection:
        for columns, name in (
            ("member", "sources"),
            ("text", "transcripts"),
            ("text", "segments"),
            ("text", "reference_texts"),
            ("text", "baselines"),
            ("text", "corrections"),
            ("replaced", "corrections"),
        ):
            rows = connection.execute(
                f"""SELECT DISTINCT trim({columns}) FROM files.{name}
                    WHERE recording_id IN (SELECT unnest($ids))""",
                {"ids": [*ids]},
            ).fetchall()
            words |= {text for (text,) in rows if text and len(text) >= _SHORTEST}
    return words


def _remove_uploads(lake: Lake, ids: Sequence[str], settings: Settings) -> list[str]:
    """Remove the texts of uploads from the lake, and the files of uploads, if they are ours."""
    filesystem, removed = lake.filesystem, []
    for one in ids:
        folder = lake.native_path(f"uploads/{one}")
        if filesystem.exists(folder):
            filesystem.rm(folder, recursive=True)
            removed.append(lake.path("uploads", one))
    uploads = Path(settings.uploads).absolute()
    with connect(lake, views=["sources"]) as connection:
        rows = connection.execute(
            """SELECT archive, member FROM sources
               WHERE recording_id IN (SELECT unnest($ids)) AND starts_with(archive, $folder)""",
            {"ids": [*ids], "folder": uploads.as_uri()},
        ).fetchall()
    for archive, member in rows:
        path = Path(locate(archive).child(member).path if member else locate(archive).path)
        if path.is_relative_to(uploads) and path.is_file():
            path.unlink()
            removed.append(str(path))
    return removed


def _remove_reports(lake: Lake, words: set[str]) -> list[str]:
    """Remove the evaluation reports that quote a recording. The next evaluation writes another."""
    needles = [form.encode() for word in words for form in {word, html.escape(word)}]
    filesystem, removed = lake.filesystem, []
    root = lake.native_path("reports")
    folders = filesystem.ls(root, detail=False) if filesystem.exists(root) else []
    for folder in folders:
        contents = (filesystem.cat_file(file) for file in filesystem.find(folder))
        if any(needle in content for content in contents for needle in needles):
            filesystem.rm(folder, recursive=True)
            removed.append(lake.path("reports", folder.rstrip("/").rpartition("/")[2]))
    return removed


def _remove_specs(lake: Lake, words: set[str]) -> list[str]:
    """Remove the specs of runs that speak of a recording. A task at work on one fails."""
    filesystem, removed = lake.filesystem, []
    root = lake.native_path(SPECS)
    for path in filesystem.find(root) if filesystem.exists(root) else []:
        with filesystem.open(path, "rb") as file:
            rows = pq.read_table(file).to_pylist()
        if any(word in text for row in rows for text in _texts(row) for word in words):
            filesystem.rm_file(path)
            removed.append(lake.path(SPECS, path.removeprefix(root).strip("/")))
    return removed


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
