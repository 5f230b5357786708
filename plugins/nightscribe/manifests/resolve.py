"""What the manifests say about files, put together: one hint per source, one text per reference.

Of the manifests above a file, the deepest counts. A data set's list counts beside it. Copies of the
same audio, in any archive and of any night, are one recording. So its references are put together
from all manifests that name one of the copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from nightscribe.uris import join_uri

__all__ = ["Contradiction", "Resolved", "resolve", "statements"]


@dataclass(frozen=True)
class Contradiction:
    """A place about which manifests say different things, in words."""

    archive: str
    member: str
    detail: str


@dataclass(frozen=True)
class Resolved:
    """What follows from the manifests for the places that were asked for.

    Attributes:
        sources: rows of `sources` with their hint and metadata
        references: rows of `reference_texts` of the recordings at these places
        obsolete: keys of `reference_texts` for which there is no text any more
        contradictions: values that are not used for that reason
    """

    sources: pa.Table
    references: pa.Table
    obsolete: pa.Table
    contradictions: list[Contradiction]


def statements(connection: duckdb.DuckDBPyConnection, places: pa.Table) -> pa.Table:
    """Keys of `reference_texts` that the table `annotations` gives for the recordings at places.

    Args:
        connection: with the lake's views
        places: as for `resolve`
    """
    _collect(connection, places)
    return connection.sql("SELECT DISTINCT recording_id, task, dataset FROM texts").to_arrow_table()


def resolve(connection: duckdb.DuckDBPyConnection, places: pa.Table, before: pa.Table) -> Resolved:
    """Put together what `annotations` says about the recordings at places.

    Args:
        connection: with the lake's views
        places: rows of archive and member that the manifests name
        before: the result of `statements` before the manifests were read
    """
    _collect(connection, places)
    connection.register("before", before)
    connection.execute(
        """CREATE TEMP TABLE contradicted AS
           SELECT recording_id, task, dataset,
             arg_min((archive, member, manifest, line)::STRUCT(
               archive VARCHAR, member VARCHAR, manifest VARCHAR, line BIGINT), said) AS one,
             arg_max((archive, member, manifest, line)::STRUCT(
               archive VARCHAR, member VARCHAR, manifest VARCHAR, line BIGINT), said) AS other,
             count(DISTINCT text) > 1 AS in_text
           FROM (SELECT *, (text, coalesce(split, '')) AS said FROM texts)
           GROUP BY ALL HAVING count(DISTINCT text) > 1 OR count(DISTINCT split) > 1"""
    )
    references = connection.sql(
        """SELECT recording_id, task, dataset, language, variety, text,
             max(split) OVER same AS split,
             CASE WHEN min(speaker) OVER same = max(speaker) OVER same
               THEN min(speaker) OVER same END AS speaker,
             CASE WHEN min(session) OVER same = max(session) OVER same
               THEN min(session) OVER same END AS session
           FROM texts ANTI JOIN contradicted USING (recording_id, task, dataset)
           WINDOW same AS (PARTITION BY recording_id, task, dataset)
           QUALIFY row_number() OVER (PARTITION BY recording_id, task, dataset
                                      ORDER BY archive, member, manifest) = 1
           ORDER BY ALL"""
    ).to_arrow_table()
    connection.register("resolved", references)
    obsolete = connection.sql(
        """SELECT recording_id, task, dataset FROM (
             FROM before UNION SELECT recording_id, task, dataset FROM contradicted)
           ANTI JOIN resolved USING (recording_id, task, dataset)"""
    ).to_arrow_table()
    contradicted = connection.execute(
        """SELECT archive, member, task, dataset, one, other, in_text
           FROM texts JOIN contradicted USING (recording_id, task, dataset)
           ORDER BY archive, member, task, dataset"""
    ).fetchall()
    languages = connection.execute(
        """SELECT archive, member, list(DISTINCT language ORDER BY language),
             list(DISTINCT manifest ORDER BY manifest)
           FROM counting SEMI JOIN places USING (archive, member)
           WHERE depth IS NOT NULL AND language IS NOT NULL
           GROUP BY ALL HAVING count(DISTINCT language) > 1 ORDER BY ALL"""
    ).fetchall()
    return Resolved(
        sources=connection.sql(
            """SELECT s.* EXCLUDE (run_id, created_at) REPLACE (
                 nullif(CASE WHEN is_stated THEN h.language
                          ELSE coalesce(h.language, s.language_hint) END, 'zxx')
                   AS language_hint,
                 CASE WHEN is_stated THEN h.metadata ELSE coalesce(h.metadata, s.metadata) END
                   AS metadata)
               FROM (FROM present_sources SEMI JOIN places USING (archive, member)) AS s
               LEFT JOIN hints AS h USING (archive, member)
               ORDER BY archive, member"""
        ).to_arrow_table(),
        references=references,
        obsolete=obsolete,
        contradictions=[_contradiction(*row) for row in contradicted]
        + [
            Contradiction(
                archive,
                member,
                f"{join_uri(archive, member)} has different languages ({', '.join(codes)}) in "
                f"{' and '.join(manifests)}: Whisper will detect it",
            )
            for archive, member, codes, manifests in languages
        ],
    )


def _collect(connection: duckdb.DuckDBPyConnection, places: pa.Table) -> None:
    """Create `texts` (one row per place, manifest and task) and `hints` (one row per place)."""
    connection.register("places", places)
    # One join per statement, see `nightscribe.stages.pending`.
    for name, query in {
        "affected": """SELECT DISTINCT recording_id FROM present_sources
                    SEMI JOIN places USING (archive, member)""",
        "copies": """SELECT archive, member, recording_id FROM present_sources
                     SEMI JOIN affected USING (recording_id)""",
        "counting": """FROM annotations JOIN copies USING (archive, member)
                       QUALIFY depth IS NULL OR depth = max(depth) OVER (
                         PARTITION BY archive, member)""",
        # The list of a data set is more exact than a manifest.
        # In an older lake, manifests that were not read again have no annotations.
        "hints": """SELECT archive, member,
                      count(depth) > 0 AS is_stated,
                      coalesce(
                        any_value(language ORDER BY manifest) FILTER (depth IS NULL),
                        CASE WHEN count(DISTINCT language) = 1 THEN any_value(language) END
                      ) AS language,
                      coalesce(
                        any_value(variety ORDER BY manifest) FILTER (depth IS NULL),
                        CASE WHEN count(DISTINCT variety) = 1 THEN any_value(variety) END
                      ) AS variety,
                      coalesce(
                        any_value(metadata ORDER BY manifest) FILTER (depth IS NULL),
                        any_value(metadata ORDER BY manifest)) AS metadata
                    FROM counting GROUP BY ALL""",
        # A variety counts only beside its own language. That nobody speaks says nothing about a
        # text that another manifest has.
        "hinted": """SELECT c.* EXCLUDE (language, variety),
                       coalesce(c.language, nullif(h.language, 'zxx'), 'und') AS language,
                       coalesce(c.variety, CASE WHEN coalesce(c.language, h.language) = h.language
                         THEN h.variety END) AS variety
                     FROM counting AS c JOIN hints AS h USING (archive, member)""",
        "texts": """SELECT recording_id, 'transcribe' AS task, dataset, language, variety, text,
                      split, speaker, session, archive, member, manifest, line
                    FROM hinted WHERE text IS NOT NULL
                    UNION ALL
                    SELECT recording_id, 'translate', dataset, language, variety, translation,
                      split, speaker, session, archive, member, manifest, line
                    FROM hinted WHERE translation IS NOT NULL""",
    }.items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")


def _contradiction(
    archive: str,
    member: str,
    task: str,
    dataset: str,
    one: dict[str, str],
    other: dict[str, str],
    in_text: bool,
) -> Contradiction:
    first, second = (join_uri(place["archive"], place["member"]) for place in (one, other))
    who = first if first == second else f"{first} and {second} are the same audio, but"
    verb = "has" if first == second else "have"
    what = "texts" if in_text else "splits"
    lines = [f"line {place['line']} of {place['manifest']}" for place in (one, other)]
    return Contradiction(
        archive,
        member,
        f"{who} {verb} different {what} ({task}, data set {dataset}) in {lines[0]} and {lines[1]}: "
        "none of them is used",
    )
