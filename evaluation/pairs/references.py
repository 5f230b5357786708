"""The references of a lake as they are scored: splits apart, and all of them counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from evaluation.pairs.table import Group
from nightscribe.splits import split_name
from nightscribe.uris import join_uri

if TYPE_CHECKING:
    import duckdb

__all__ = ["name_splits", "references_of"]

# A language of a data set is scored by region unless its references name one region or none, as in
# `from_files`. A recording may be in two data sets that have one name when their splits are added:
# then the text of the data set counts that was given this name.
_SCORED = """
CREATE OR REPLACE TEMP TABLE scored_references AS
SELECT * REPLACE (
    CASE WHEN count(DISTINCT coalesce(variety, '')) OVER same <> 2
        OR NOT bool_or(variety IS NULL) OVER same THEN variety END AS variety)
FROM (
    SELECT reference.* REPLACE (name AS dataset), older_name
    FROM reference_texts AS reference JOIN split_names USING (dataset)
    WHERE reference.split IS NOT DISTINCT FROM split_names.split
    QUALIFY row_number() OVER (
        PARTITION BY recording_id, task, name ORDER BY reference.dataset = name DESC
    ) = 1
) WINDOW same AS (PARTITION BY dataset, language)
"""

# Not of a content that no place holds any more: its transcripts do not count either.
_COUNTS = """
SELECT dataset, coalesce(variety, language), task, count(*)
FROM scored_references SEMI JOIN sources USING (recording_id) GROUP BY ALL
"""

# What manifests and lists state, and what became no reference: the audio is missing or cannot be
# used, or texts contradict each other. Of the manifests above a file the deepest counts.
_LOST = """
WITH counting AS (
    FROM annotations
    QUALIFY depth IS NULL OR depth = max(depth) OVER (PARTITION BY archive, member)
), stated AS (
    SELECT archive, member, depth, dataset, split, language, variety, 'transcribe' AS task
    FROM counting WHERE text IS NOT NULL
    UNION ALL
    SELECT archive, member, depth, dataset, split, language, variety, 'translate'
    FROM counting WHERE translation IS NOT NULL
), lost AS (
    FROM (SELECT stated.*, recording_id
          FROM stated LEFT JOIN sources USING (archive, member))
    ANTI JOIN reference_texts USING (recording_id, task, dataset)
)
SELECT dataset, split, coalesce(any_value(language), 'und'), any_value(variety), task,
    min({'archive': archive, 'member': member}) AS place,
    recording_id IS NULL AND count(*) = count(depth) AS is_in_question
FROM lost
GROUP BY dataset, split, task, recording_id,
    CASE WHEN recording_id IS NULL THEN {'archive': archive, 'member': member} END
"""

_UNUSABLE = "SELECT DISTINCT uri FROM rejected WHERE reason <> 'manifest_missing_file'"


def name_splits(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `scored_references`: `reference_texts` with the names under which splits are scored.

    `older_name` is that of the data set without its split, as older versions wrote it.

    Args:
        connection: with the lake's view `reference_texts`
    """
    named = connection.sql("SELECT DISTINCT dataset, split FROM reference_texts").fetchall()
    names = {
        "dataset": [dataset for dataset, _ in named],
        "split": pa.array([split for _, split in named], pa.string()),
        "name": pa.array([split_name(*one) for one in named], pa.string()),
        "older_name": pa.array(
            [dataset.removesuffix(f"-{split}") for dataset, split in named], pa.string()
        ),
    }
    connection.register("split_names", pa.table(names))
    connection.execute(_SCORED)
    connection.unregister("split_names")


def references_of(connection: duckdb.DuckDBPyConnection) -> Counter[Group]:
    """The number of references of each group, whether or not they can be scored.

    Beside the references of recordings, these are the texts of a data set's list whose audio is not
    in the lake, those of a manifest whose audio was rejected, and those that contradict each other.

    Args:
        connection: with the lake's views, after `name_splits`
    """
    counted: Counter[Group] = Counter()
    for *group, count in connection.sql(_COUNTS).fetchall():
        counted[group[0], group[1], group[2]] = count
    lost = connection.sql(_LOST).fetchall()
    unusable = {uri for (uri,) in connection.sql(_UNUSABLE).fetchall()} if lost else set()
    for dataset, split, language, variety, task, place, is_in_question in lost:
        # A manifest may name files that were never in the archive.
        if not is_in_question or join_uri(**place) in unusable:
            name = split_name(dataset, split)
            is_by_region = (name, variety, task) in counted
            counted[name, variety if is_by_region else language, task] += 1
    return counted
