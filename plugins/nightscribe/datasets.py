"""Data sets into the lake: their audio like any archive's, and what is said in it as references."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightscribe.annotate import ANNOTATIONS, annotate
from nightscribe.archive import Kind, source_uri
from nightscribe.errors import Reason
from nightscribe.ingest import ingest
from nightscribe.lake.catalog import connect
from nightscribe.lake.rows import KEYS, rejected_row, rows_of
from nightscribe.lake.store import Lake
from nightscribe.layouts import Utterance
from nightscribe.new_files import LISTED, Found, find_new
from nightscribe.pipeline import work_folder
from nightscribe.settings import Settings
from nightscribe.storage import canonical_uri

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Added:
    """What adding a data set came to.

    Attributes:
        utterances: lines of its lists
        recordings: of them, those whose audio is in the lake now
        missing: where the audio of the others was expected; `rejected` says why it is not there
        datasets: names, for `nightscribe run --dataset`
    """

    utterances: int
    recordings: int
    missing: list[str]
    datasets: list[str]


def add_dataset(
    lake: Lake, utterances: Sequence[Utterance], run_id: str, settings: Settings | None = None
) -> Added:
    """Ingest the audio that a data set's lists name, and register what is said in it.

    Of a folder only the files that are named are read; a tar is read whole. Adding the same
    again reads nothing twice, and corrects references that have changed.
    """
    settings = settings or Settings()
    rows = _annotations(utterances)
    archives = rows["archive"].unique().to_pylist()
    named, asked = set(_uris(rows)), set(archives)
    with find_new(lake, archives) as found:
        fresh = _of_the_data_set(found, named, asked)
        _reject(lake, _rejected_of(found, named | asked), run_id)
    if fresh.num_rows:
        spec = lake.write_spec(f"{work_folder(run_id)}/ingest-00000.parquet", fresh)
        log.info(ingest(lake, spec, run_id, settings=settings).summary())
    annotate(lake, _with_what_is_known(lake, rows), run_id)
    missing, known = _missing(lake, rows)
    told = [
        rejected_row(
            uri,
            Reason.MANIFEST_MISSING_FILE,
            f"named in {utterance.named_in}, but not in the archive",
        )
        for utterance, uri in zip(utterances, _uris(rows), strict=True)
        if uri in missing - known
    ]
    _reject(lake, told, run_id)
    return Added(
        utterances=len(utterances),
        recordings=len(set(_uris(rows)) - missing),
        missing=sorted(missing),
        datasets=pc.unique(rows["dataset"]).to_pylist(),
    )


def _of_the_data_set(found: Found, named: set[str], asked: set[str]) -> pa.Table:
    """The new files of a listing that are named, and the new containers that are asked for."""
    tables = [LISTED.empty_table()]
    for batch in found.fresh():
        wanted = [
            # A tar that merely lies in the folder of the lists is none of the data set's.
            archive in asked if kind == Kind.CONTAINER else uri in named
            for archive, uri, kind in zip(
                *(batch[column].to_pylist() for column in ("archive", "uri", "kind")), strict=True
            )
        ]
        tables.append(pa.Table.from_batches([batch]).filter(pa.array(wanted, pa.bool_())))
    return pa.concat_tables(tables)


def _rejected_of(found: Found, uris: set[str]) -> list[dict[str, Any]]:
    """What the listing rejects, of these places."""
    batches = found.rows("FROM unusable ORDER BY rowid")
    return [row for batch in batches for row in batch.to_pylist() if row["uri"] in uris]


def _annotations(utterances: Sequence[Utterance]) -> pa.Table:
    uris = {archive: canonical_uri(str(archive)) for archive in {u.archive for u in utterances}}
    return pa.Table.from_pylist(
        [
            {
                "archive": uris[utterance.archive],
                "member": utterance.member,
                "language": utterance.language,
                "text": utterance.text,
                "translation": utterance.translation,
                "dataset": utterance.dataset,
                "split": utterance.split,
                "metadata": utterance.metadata,
                "line": line,
                "depth": 0,
            }
            for line, utterance in enumerate(utterances)
        ],
        schema=ANNOTATIONS,
    )


def _uris(rows: pa.Table) -> list[str]:
    return [
        source_uri(archive, member)
        for archive, member in zip(
            rows["archive"].to_pylist(), rows["member"].to_pylist(), strict=True
        )
    ]


def _reject(lake: Lake, rows: list[dict[str, Any]], run_id: str) -> None:
    lake.insert_new("rejected", rows_of("rejected", rows, run_id), KEYS["rejected"])


def _with_what_is_known(lake: Lake, rows: pa.Table) -> pa.Table:
    """A list that says nothing of a recording's language, say, takes nothing away that is known."""
    with connect(lake) as connection:
        connection.register("named", rows)
        return (
            connection.sql(
                """SELECT named.* REPLACE (
                     coalesce(named.language, s.language_hint) AS language,
                     coalesce(named.metadata, s.metadata) AS metadata)
                   FROM named LEFT JOIN sources AS s USING (archive, member)
                   ORDER BY line"""
            )
            .to_arrow_table()
            .cast(ANNOTATIONS)
        )


def _missing(lake: Lake, rows: pa.Table) -> tuple[set[str], set[str]]:
    """What is named and not in the lake, and that of it for which there is a reason already."""
    with connect(lake) as connection:
        connection.register("named", rows)
        connection.execute(
            """CREATE TEMP TABLE missing AS
               SELECT archive || '!/' || member AS uri
               FROM named ANTI JOIN sources USING (archive, member)"""
        )
        missing = connection.execute("FROM missing").fetchall()
        known = connection.execute(
            "FROM missing SEMI JOIN rejected USING (uri) SELECT uri"
        ).fetchall()
    return {uri for (uri,) in missing}, {uri for (uri,) in known}
