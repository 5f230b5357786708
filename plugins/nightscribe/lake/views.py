"""Views over the tables, which queries read.

A view names the live files of its table, which come from the Delta log, so DuckDB needs no
extension. The views hide segments and attempts of batches that were never committed.

What is newest is decided by `sequence`, the order of the commits, since the clocks of two workers
may differ. Rows of older versions have none; they are older than those that have one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from nightscribe.lake.damage import check_files, lost_versions
from nightscribe.lake.doubtful import DOUBTFUL
from nightscribe.lake.published import published_versions
from nightscribe.lake.schema import ADDED_COLUMNS, SCHEMAS
from nightscribe.lake.transactions import FORGOTTEN, REPLACED

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake

__all__ = ["ROOT", "VIEWS", "create_views"]

_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "double": "DOUBLE",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "bool": "BOOLEAN",
    "binary": "BLOB",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "list<element: int32>": "INTEGER[]",
    "list<element: string>": "VARCHAR[]",
}
"""Arrow type → DuckDB type."""

VIEWS: dict[str, tuple[str, str]] = {
    "recordings": ("One row per distinct audio content.", "SELECT * FROM files.recordings"),
    "sources": (
        "One row per place where a recording was seen.",
        "SELECT * FROM files.sources",
    ),
    "scans": ("Zips, tars and manifests that were read to their end.", "SELECT * FROM files.scans"),
    "rejected": ("Inputs that cannot be used, with the reason.", "SELECT * FROM files.rejected"),
    "corrections": (
        "What people changed in segments, and what it replaced.",
        "SELECT * FROM files.corrections",
    ),
    "latest_corrections": (
        "The newest correction of each segment that has one.",
        """SELECT * FROM files.corrections QUALIFY row_number() OVER (
             PARTITION BY transcript_id, "index"
             ORDER BY version DESC, created_at DESC, decision_id) = 1""",
    ),
    "reviews": ("What people decided about transcripts.", "SELECT * FROM files.reviews"),
    "latest_reviews": (
        "The newest decision about each recording and task; `is_sampled` if it is of the sample, "
        "also if it was skipped there first.",
        """SELECT *, bool_or(queue = 'sample' AND verdict IN ('accepted', 'skipped')) OVER (
             PARTITION BY recording_id, task) AS is_sampled
           FROM files.reviews QUALIFY row_number() OVER (
             PARTITION BY recording_id, task
             ORDER BY version DESC, created_at DESC, decision_id) = 1""",
    ),
    "reference_texts": (
        "True texts: one row per recording, task and data set. Accepted reviews are the data sets "
        "`corrections` (the random sample) and `corrections-selected` (all others).",
        r"""SELECT * FROM files.reference_texts UNION ALL BY NAME
            SELECT recording_id, task, dataset, language, text, run_id, created_at FROM (
              SELECT *, CASE WHEN is_sampled THEN 'corrections'
                ELSE 'corrections-selected' END AS dataset
              FROM latest_reviews)
            ANTI JOIN files.reference_texts USING (recording_id, task, dataset)
            WHERE verdict = 'accepted' AND regexp_matches(text, '[\p{L}\p{N}]')""",
    ),
    "annotations": (
        "What each manifest says about each file.",
        "SELECT * FROM files.annotations",
    ),
    "transcripts": (
        "One row per recording, model, task and options.",
        "SELECT * FROM files.transcripts",
    ),
    "segments": (
        "Timed segments of the transcripts, with tokens and probabilities.",
        "SELECT * FROM files.segments SEMI JOIN files.transcripts USING (transcript_id)",
    ),
    "segments_of_record": (
        "Segments with the newest corrections of people; `model_text` is what the model wrote.",
        """SELECT s.* EXCLUDE (text, words), coalesce(c.text, s.text) AS text,
             CASE WHEN c.text <> s.text THEN NULL ELSE s.words END AS words, s.text AS model_text,
             c.person AS corrected_by, c.created_at AS corrected_at
           FROM segments AS s LEFT JOIN latest_corrections AS c USING (transcript_id, "index")
           UNION ALL BY NAME
           SELECT transcript_id, recording_id, "index", start_s, end_s, text,
             person AS corrected_by, created_at AS corrected_at
           FROM latest_corrections SEMI JOIN files.transcripts USING (transcript_id)
           WHERE is_added""",
    ),
    "transcripts_of_record": (
        "Transcripts with the newest corrections of people; `model_text` is what the model wrote.",
        """SELECT t.* EXCLUDE (text), coalesce(c.text, t.text) AS text, t.text AS model_text,
             coalesce(r.verdict, 'open') AS verdict, r.person AS reviewed_by,
             r.created_at AS reviewed_at
           FROM files.transcripts AS t
           LEFT JOIN (
             SELECT transcript_id, string_agg(text, '' ORDER BY "index") AS text
             FROM segments_of_record SEMI JOIN files.corrections USING (transcript_id)
             GROUP BY transcript_id) AS c USING (transcript_id)
           LEFT JOIN latest_reviews AS r USING (transcript_id)""",
    ),
    "batches": (
        "Attempts at batches whose transcripts are visible.",
        """SELECT * FROM files.batches WHERE transcripts = 0
             OR attempt_id IN (SELECT attempt_id FROM files.transcripts)""",
    ),
    "scores": (
        "One row per data set, language, model, task, options and metric.",
        "SELECT * FROM files.scores",
    ),
    "verdicts": (
        "What the gate said in an evaluation: one row per judged figure or group.",
        "SELECT * FROM files.verdicts SEMI JOIN files.scores USING (score_id)",
    ),
    "gates": (
        "One row per evaluation: whether its gate is open, and groups by their verdict.",
        """SELECT score_id, min(created_at) AS created_at, any_value(run_id) AS run_id,
             CASE WHEN bool_or(closes) THEN 'closed'
                  WHEN bool_and(verdict = 'no baseline') THEN 'no baseline'
                  WHEN bool_or(verdict = 'too few to tell') AND NOT bool_or(
                    verdict IN ('worse', 'better', 'held', 'beyond limit', 'within limit'))
                    THEN 'too few to tell'
                  ELSE 'open' END AS state,
             count(DISTINCT judged) FILTER (verdict <> 'no baseline')
               AS judged_groups,
             count(DISTINCT judged) FILTER (verdict = 'worse' AND closes)
               AS worse_groups,
             count(DISTINCT judged) FILTER (verdict = 'missing' AND closes)
               AS missing_groups,
             count(DISTINCT judged) FILTER (
               NOT closes AND verdict IN ('worse', 'beyond limit', 'missing', 'incomplete'))
               AS warned_groups,
             count(DISTINCT judged) FILTER (
               verdict = 'beyond limit' AND closes) AS groups_beyond_limit,
             count(DISTINCT judged) FILTER (verdict = 'too few to tell')
               AS too_few_groups,
             count(DISTINCT judged) FILTER (verdict = 'no baseline')
               AS groups_without_baseline,
             any_value(rules) AS rules, any_value(sequence) AS sequence
           FROM (SELECT *, (dataset, language, variety, task) AS judged FROM verdicts)
           JOIN (SELECT score_id, max(sequence) AS sequence FROM files.scores GROUP BY score_id)
             USING (score_id)
           GROUP BY score_id""",
    ),
    "utterance_errors": (
        "The errors of each scored transcript, with the second of each.",
        "SELECT * FROM files.utterance_errors SEMI JOIN files.scores USING (score_id)",
    ),
    "baselines": (
        "Transcripts that later ones are compared with, current and former.",
        "SELECT * FROM files.baselines",
    ),
    "account_parts": (
        "Counts that a scan or an ingest task adds to the account of a run.",
        "SELECT * FROM files.account_parts",
    ),
    "source_states": (
        "Sources that have disappeared at some time, and whether they are back.",
        "SELECT * FROM files.source_states",
    ),
    "plans": ("What runs were to transcribe.", "SELECT * FROM files.plans"),
    "runs": (
        "How far each run is that had something to transcribe, and about when it is done. At first "
        "that follows from the speed of a worker, later from what the run has done a second.",
        """SELECT run_id, planned_at, model, batches, batches_done, transcripts, transcripts_done,
             rejections, audio_s, audio_done_s, workers, expected_rtfx, rtfx, expected_s,
             CASE WHEN batches_done >= batches THEN epoch(last_commit - planned_at) END AS took_s,
             CASE WHEN batches_done >= batches THEN last_commit
               WHEN batches_done >= 3 * workers THEN last_commit + to_seconds(
                 left_s * epoch(last_commit - first_begun) / nullif(audio_done_s, 0))
               ELSE coalesce(last_commit, planned_at) + to_seconds(
                 left_s / coalesce(rtfx, expected_rtfx) / least(workers, batches - batches_done))
             END AS done_at
           FROM (
             SELECT run_id, p.created_at AS planned_at, model, batches, transcripts, p.audio_s,
               workers, p.rtfx AS expected_rtfx, expected_s,
               coalesce(batches_done, 0) AS batches_done,
               coalesce(transcripts_done, 0)::BIGINT AS transcripts_done,
               coalesce(b.rejections, 0)::BIGINT AS rejections,
               coalesce(b.audio_s, 0.0) AS audio_done_s, first_begun, last_commit,
               nullif(b.audio_s, 0) / nullif(b.wall_s, 0) AS rtfx,
               greatest(p.audio_s - audio_done_s, 0.0) AS left_s
             FROM files.plans AS p LEFT JOIN (
               SELECT run_id, count(DISTINCT batch_id) AS batches_done,
                 sum(transcripts) AS transcripts_done, sum(rejections) AS rejections,
                 sum(audio_s) AS audio_s, sum(wall_s) AS wall_s,
                 min(created_at - to_seconds(wall_s)) AS first_begun,
                 max(created_at) AS last_commit
               FROM batches GROUP BY run_id) AS b USING (run_id))""",
    ),
    "accounts": (
        "What became of every file, by collection and run.",
        """SELECT run_id, collection, min(created_at) AS created_at, sum(found)::BIGINT AS found,
             sum(known)::BIGINT AS known, sum(used)::BIGINT AS used,
             sum(rejected)::BIGINT AS rejected, sum(a.passed_over)::BIGINT AS passed_over,
             sum(found - known - used - rejected - a.passed_over)::BIGINT AS unfinished,
             any_value(by_suffix.suffixes) AS suffixes, min(sequence) AS sequence
           FROM files.account_parts AS a LEFT JOIN (
             SELECT run_id, collection,
               list({'suffix': suffix, 'files': files} ORDER BY files DESC, suffix) AS suffixes
             FROM (SELECT run_id, collection, one.suffix, sum(one.files)::BIGINT AS files
                   FROM (SELECT run_id, collection, unnest(suffixes) AS one
                         FROM files.account_parts)
                   GROUP BY ALL)
             GROUP BY ALL) AS by_suffix USING (run_id, collection)
           GROUP BY run_id, collection""",
    ),
    "warnings": (
        "Flaws of recordings that are used all the same.",
        """SELECT * FROM files.warnings UNION ALL BY NAME
           SELECT recording_id, 'unclassified' AS kind, warning AS detail, NULL AS missing_s,
             run_id, created_at
           FROM files.recordings ANTI JOIN files.warnings USING (recording_id)
           WHERE warning IS NOT NULL""",
    ),
    "waveforms": (
        "Loudness of recordings over time, as pages draw it.",
        "SELECT * FROM files.waveforms",
    ),
    "disappeared": (
        "Sources that the newest scan of their collection did not find.",
        """SELECT d.archive, d.member, recording_id, collection, d.missing, d.run_id, d.created_at
           FROM files.source_states AS d JOIN files.sources USING (archive, member)
           WHERE missing <> 'nothing'""",
    ),
    "present_sources": (
        "Sources that have not disappeared.",
        """SELECT * FROM files.sources ANTI JOIN (
             FROM files.source_states WHERE missing <> 'nothing') USING (archive, member)""",
    ),
    "forgotten": (
        "Recordings that are not transcribed any more, by their hash only.",
        "SELECT * FROM files.forgotten",
    ),
    "latest_transcripts": (
        "The newest transcript of each recording and task, of any model and options. Without "
        "recordings that no place holds any more, because all have another content now.",
        """SELECT * FROM transcripts SEMI JOIN files.sources USING (recording_id)
           QUALIFY row_number() OVER (
             PARTITION BY recording_id, task
             ORDER BY sequence DESC NULLS LAST, created_at DESC, transcript_id) = 1""",
    ),
    "latest_scores": (
        "The scores of the newest evaluation.",
        """SELECT * FROM scores WHERE score_id = (
             SELECT score_id FROM scores
             ORDER BY sequence DESC NULLS LAST, created_at DESC, score_id LIMIT 1)""",
    ),
    "latest_baselines": (
        "The current baseline of each data set, language, variety and task. One without a variety "
        "and those of varieties replace each other.",
        """SELECT b.* FROM baselines AS b JOIN (
             SELECT baseline_id, row_number() OVER (
               ORDER BY max(sequence) NULLS FIRST, max(created_at), baseline_id DESC) AS newness
             FROM baselines GROUP BY baseline_id) USING (baseline_id)
           WINDOW same AS (PARTITION BY dataset, language, task)
           QUALIFY newness = max(newness) OVER (PARTITION BY dataset, language, variety, task)
           AND newness >= CASE WHEN variety IS NULL THEN max(newness) OVER same
             ELSE coalesce(max(newness) FILTER (variety IS NULL) OVER same, newness) END""",
    ),
    "places": (
        "One place of each recording; if possible, one that has not disappeared. `name` is what "
        "pages call the recording, `place_count` the number of its places.",
        """SELECT recording_id, place.archive, place.member, place.collection,
             CASE place.member WHEN '' THEN place.archive ELSE place.member END AS name, place_count
           FROM (SELECT recording_id, count(*) AS place_count,
                   min_by((archive, member, collection)::STRUCT(
                     archive VARCHAR, member VARCHAR, collection VARCHAR),
                     (coalesce(missing, 'nothing') <> 'nothing', archive, member)) AS place
                 FROM files.sources
                 LEFT JOIN (SELECT archive, member, missing FROM files.source_states)
                   USING (archive, member)
                 GROUP BY recording_id)""",
    ),
    "doubtful": (
        "The latest transcripts that Whisper itself doubts, with the reasons.",
        DOUBTFUL,
    ),
    "search": (
        "Segments of the latest transcripts, with the place of their recording in `places`.",
        """SELECT s.text, s.start_s, s.end_s, t.language, t.task, t.model,
             p.archive, p.member, p.collection, t.recording_id, t.transcript_id,
             s.avg_logprob, s.compression_ratio, s.no_speech_prob, s.temperature,
             t.language_probability
           FROM segments AS s
           JOIN latest_transcripts AS t USING (transcript_id)
           LEFT JOIN places AS p ON p.recording_id = t.recording_id""",
    ),
}
"""View → (comment, query). In SQL that DuckDB 1 reads, too: it has no function `if`."""

_READ = {
    name: {word for word in re.findall(r"\w+", query) if word in VIEWS or word in SCHEMAS}
    for name, (_, query) in VIEWS.items()
}
"""View → names of views and tables in its query."""

ROOT = "lake"
"""Variable of a connection that says where the lake of a catalog is, if it was moved or copied."""


def create_views(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    views: Iterable[str] | None = None,
    *,
    movable: bool = False,
) -> dict[str, int]:
    """Create views in a database. They show the tables as they are now.

    Args:
        views: their names; the views that they read are created, too. By default all.
        movable: let the variable `ROOT` of a connection name another place of the lake

    Returns the version of each table that they show; -1 for a table that does not exist yet.
    """
    wanted = _with_what_they_read(VIEWS if views is None else views)
    versions: dict[str, int] = {}
    connection.execute("CREATE SCHEMA files")
    published = published_versions(lake)
    for name, table in _opened(lake, wanted).items():
        versions[name] = -1 if table is None else table.version()
        if versions[name] < published.get(name, -1):
            raise lost_versions(lake, name, versions[name], published[name])
        if table is not None and lake.is_local:  # an object store says so when a file is opened
            check_files(lake, name, table)
        files = [] if table is None else lake.files(name, table)
        root = lake.uri if movable else None
        connection.execute(f'CREATE VIEW files."{name}" AS {_rows_of(name, files, root)}')
    for name, (comment, query) in VIEWS.items():
        if name not in wanted:
            continue
        connection.execute(f'CREATE VIEW "{name}" AS {query}')
        connection.execute(f"COMMENT ON VIEW \"{name}\" IS '{comment}'")
    return versions


def _with_what_they_read(names: Iterable[str]) -> set[str]:
    """The given views, and the views and tables that their queries name."""
    found: set[str] = set()
    pending = [*names]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _READ.get(name, ())
    return found


def _opened(lake: Lake, wanted: set[str]) -> dict[str, DeltaTable | None]:
    """The wanted tables, in states that belong together; None for one that does not exist yet."""
    while True:
        # `transcripts` is before `segments` in SCHEMAS, so its version is read first. If a batch
        # commits in between, the views hide all of its segments, not only some of them.
        # In the same way, `scores` is before the other tables of an evaluation.
        tables = {name: lake.table_if_made(name) for name in SCHEMAS if name in wanted}
        transcripts, segments = tables.get("transcripts"), tables.get("segments")
        if transcripts is None or segments is None:
            return tables
        # If transcripts were replaced or deleted in between, and then their segments, the older
        # list of transcripts would show them without segments.
        marks = (segments.transaction_version(mark) or -1 for mark in (REPLACED, FORGOTTEN))
        if max(marks) <= transcripts.version():
            return tables


def _rows_of(name: str, files: list[str], root: str | None) -> str:
    """The query for the rows of a table with these files; with a root, they may move with it."""
    typed = ", ".join(
        f'NULL::{_duckdb_type(field.type)} AS "{field.name}"' for field in SCHEMAS[name]
    )
    no_row = f"SELECT {typed} WHERE false"
    if not files:
        return no_row
    columns = ", ".join(f'"{column}"' for column in SCHEMAS[name].names)
    listed = ", ".join(_file(file, root) for file in files)
    rows = f"FROM read_parquet([{listed}], union_by_name = true)"
    if name in ADDED_COLUMNS:  # which perhaps none of the files has
        rows = f"FROM ({rows} UNION ALL BY NAME {no_row})"
    return f"SELECT {columns} {rows}"


def _file(file: str, root: str | None) -> str:
    if root is None:
        return _quoted(file)
    return f"coalesce(getvariable('{ROOT}'), {_quoted(root)}) || {_quoted(file[len(root) :])}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _duckdb_type(kind: Any) -> str:
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{f.name}" {_duckdb_type(f.type)}' for f in kind) + ")"
    if pa.types.is_list(kind):
        return _duckdb_type(kind.value_type) + "[]"
    return _DUCKDB_TYPES[str(kind)]
