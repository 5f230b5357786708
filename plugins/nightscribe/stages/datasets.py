"""Add a data set to a lake: its audio as recordings, its texts as references."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nightscribe.archives.kinds import Kind
from nightscribe.errors import ConfigurationError, Reason
from nightscribe.lake.damage import explains
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import ANNOTATIONS, annotate
from nightscribe.manifests.layouts.utterance import Utterance
from nightscribe.manifests.spelling import match_spellings
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.new_files import LISTED, Found, find_new
from nightscribe.stages.run_ids import work_folder
from nightscribe.uris import canonical_uri, join_uri

__all__ = ["Added", "add_dataset"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Added:
    """What `add_dataset` did.

    Attributes:
        utterances: number of lines in the lists
        recordings: number of listed audio files that are in the lake
        missing: URIs of the audio that is not in the lake; the table `rejected` has the reasons
        contradicted: URIs of the recordings that have no reference because texts of the same audio
            differ; the table `rejected` says where
        without_text: number of lines with neither a text nor a translation
        datasets: names of the data sets, for `nightscribe run --dataset`
    """

    utterances: int
    recordings: int
    missing: list[str]
    contradicted: list[str]
    without_text: int
    datasets: list[str]


@explains
def add_dataset(
    lake: Lake, utterances: Sequence[Utterance], run_id: str, settings: Settings
) -> Added:
    """Ingest the audio files that a data set lists, and add their texts as references.

    In a folder, only the listed files are read. A tar is read to its end. If the data set is added
    again, no file is read again, and changed references are updated.

    Raises `ConfigurationError` if two lines give a file different texts.
    """
    _refuse_contradictions(utterances)
    annotations = _annotations(utterances)
    archives = annotations["archive"].unique().to_pylist()
    with find_new(lake, archives) as found:
        annotations = _as_written(found.database, annotations, "listed")
        uris = _uris(annotations)
        expected = {*uris, *(join_uri(archive, "") for archive in archives)}
        _reject(lake, _unusable(found, expected), run_id)
        listed = _listed_files(found, set(archives), set(uris))
    if listed.num_rows:
        spec = write_spec(lake, f"{work_folder(run_id)}/ingest-00000.parquet", listed)
        log.info(ingest(lake, spec, run_id, settings=settings).summary())
    with connect(lake, views=["sources"]) as connection:  # with the members of the containers
        annotations = _as_written(connection, annotations, "sources")
    uris = _uris(annotations)
    annotate(lake, annotations, run_id)
    missing = set(_uris(_without_source(lake, annotations)))
    unexplained = missing - _rejected_uris(lake, missing)
    rejected = [
        rejected_row(
            uri,
            Reason.MANIFEST_MISSING_FILE,
            f"named in {utterance.listed_in}, but not in the archive",
        )
        for utterance, uri in zip(utterances, uris, strict=True)
        if uri in unexplained
    ]
    _reject(lake, rejected, run_id)
    return Added(
        utterances=len(utterances),
        recordings=len(set(uris) - missing),
        missing=sorted(missing),
        contradicted=_without_reference(lake, annotations),
        without_text=sum(one.text is None and one.translation is None for one in utterances),
        datasets=pc.unique(annotations["dataset"]).to_pylist(),
    )


def _unusable(found: Found, uris: set[str]) -> list[dict[str, Any]]:
    """Rows of `unusable` with one of these URIs."""
    batches = found.rows("FROM unusable ORDER BY rowid")
    return [row for batch in batches for row in batch.to_pylist() if row["uri"] in uris]


def _listed_files(found: Found, archives: set[str], uris: set[str]) -> pa.Table:
    """The data set's new files: audio files with one of these URIs, and tars that are archives.

    Another tar in the folder of the lists is not part of the data set.
    """
    tables = [LISTED.empty_table()]
    for batch in found.fresh():
        listed = [
            archive in archives if kind == Kind.CONTAINER else uri in uris
            for archive, uri, kind in zip(
                *(batch[column].to_pylist() for column in ("archive", "uri", "kind")), strict=True
            )
        ]
        tables.append(pa.Table.from_batches([batch]).filter(pa.array(listed, pa.bool_())))
    return pa.concat_tables(tables)


def _annotations(utterances: Sequence[Utterance]) -> pa.Table:
    folders = {utterance.archive for utterance in utterances}
    uris = {folder: canonical_uri(str(folder)) for folder in folders}
    return pa.Table.from_pylist(
        [
            {
                "manifest": utterance.listed_in.rpartition(", line ")[0],
                "archive": uris[utterance.archive],
                "member": utterance.member,
                "language": utterance.language,
                "variety": utterance.variety,
                "text": utterance.text,
                "translation": utterance.translation,
                "dataset": utterance.dataset,
                "split": utterance.split,
                "speaker": utterance.speaker,
                "session": utterance.session,
                "metadata": utterance.metadata,
                "line": line,
                "depth": None,
            }
            for line, utterance in enumerate(utterances)
        ],
        schema=ANNOTATIONS,
    )


def _refuse_contradictions(utterances: Sequence[Utterance]) -> None:
    """Raise `ConfigurationError` if two lines give a file different texts."""
    first: dict[tuple[Path, str], Utterance] = {}
    for utterance in utterances:
        other = first.setdefault((utterance.archive, utterance.member), utterance)
        if (other.text, other.translation) != (utterance.text, utterance.translation):
            raise ConfigurationError(
                f"{utterance.listed_in}: {utterance.member!r} has another text than in "
                f"{other.listed_in}: keep one of the lines"
            )


def _as_written(
    connection: duckdb.DuckDBPyConnection, annotations: pa.Table, files: str
) -> pa.Table:
    """The annotations with names that are canonically equal to one in a table written as there."""
    connection.register("given", annotations)
    connection.execute("CREATE OR REPLACE TEMP TABLE wanted AS FROM given")
    match_spellings(connection, "wanted", files)
    return connection.sql("FROM wanted ORDER BY line").to_arrow_table().cast(ANNOTATIONS)


def _uris(annotations: pa.Table) -> list[str]:
    members = zip(
        annotations["archive"].to_pylist(), annotations["member"].to_pylist(), strict=True
    )
    return [join_uri(archive, member) for archive, member in members]


def _reject(lake: Lake, rows: list[dict[str, Any]], run_id: str) -> None:
    lake.insert_new("rejected", rows_of("rejected", rows, run_id), KEYS["rejected"])


def _without_source(lake: Lake, annotations: pa.Table) -> pa.Table:
    """The annotations of files that are not in the lake."""
    with connect(lake, views=["sources"]) as connection:
        connection.register("listed", annotations)
        return connection.sql(
            "FROM listed ANTI JOIN sources USING (archive, member)"
        ).to_arrow_table()


def _without_reference(lake: Lake, annotations: pa.Table) -> list[str]:
    """URIs of the recordings in the lake of which a text or translation is no reference."""
    with connect(lake) as connection:
        connection.register("listed", annotations)
        connection.execute(
            """CREATE TEMP TABLE stated AS
               SELECT recording_id, archive, member, dataset, task FROM (
                 SELECT *, 'transcribe' AS task FROM listed WHERE text IS NOT NULL UNION ALL
                 SELECT *, 'translate' FROM listed WHERE translation IS NOT NULL)
               JOIN present_sources USING (archive, member)"""
        )
        found = connection.sql(
            """SELECT DISTINCT archive, member
               FROM stated ANTI JOIN reference_texts USING (recording_id, dataset, task)"""
        ).fetchall()
    return sorted(join_uri(*place) for place in found)


def _rejected_uris(lake: Lake, uris: set[str]) -> set[str]:
    """The URIs that the table `rejected` has."""
    with connect(lake, views=["rejected"]) as connection:
        connection.register("uris", pa.table({"uri": pa.array(list(uris), pa.string())}))
        found = connection.sql("SELECT uri FROM uris SEMI JOIN rejected USING (uri)").fetchall()
    return {uri for (uri,) in found}
