"""Sets the baselines of a lake: the transcripts that later ones must not be worse than.

A baseline is set by a command and kept as text, so it does not change when its recordings are
transcribed again. There is one per data set, language and task. Setting it again replaces it; the
old one stays in the table `baselines`.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa

from evaluation.pairs.from_lake import baseline_pairs, pairs
from evaluation.pairs.systems import Chosen, newest_chosen
from evaluation.pairs.table import Group, group_of, group_rows
from nightscribe.lake.damage import explains
from nightscribe.lake.reading import connect
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake


class Smaller(Exception):
    """A baseline that would have fewer recordings than the one it replaces."""


@explains
def set_baselines(
    lake: Lake,
    run_id: str,
    chosen: Chosen,
    reason: str | None = None,
    *,
    may_shrink: bool = False,
) -> pa.Table:
    """Make the newest of the chosen transcripts the baselines of their groups.

    Returns:
        the rows that were added to the table `baselines`; none if no chosen transcript has a
        reference

    Raises:
        Smaller: a baseline would have fewer recordings than the one in force, unless `may_shrink`
    """
    with connect(lake) as connection:
        found, in_force = pairs(connection), baseline_pairs(connection)
    kept = newest_chosen(found, chosen)
    before, after = _recordings(in_force), _recordings(kept)
    for (dataset, language, task), count in after.items():
        if not may_shrink and count < before[dataset, language, task]:
            raise Smaller(
                f"{dataset}, {language}, {task}: what was chosen has {count} recordings, the "
                f"baseline in force {before[dataset, language, task]}"
            )
    stamps = {
        "baseline_id": uuid.uuid4().hex,
        "reason": reason,
        "run_id": run_id,
        "created_at": datetime.now(UTC),
    }
    rows = [{**row, **stamps, "text": row["hypothesis"]} for row in kept.to_pylist()]
    added = pa.Table.from_pylist(rows, schema=SCHEMAS["baselines"])
    lake.append("baselines", added)
    return added


def _recordings(found: pa.Table) -> Counter[Group]:
    """Group → number of recordings."""
    return Counter(map(group_of, group_rows(found)))
