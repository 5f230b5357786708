"""Baselines: the transcripts of a lake that later ones must not fall behind.

A baseline is set by a command and kept as text, so that it stays what it was when the same
recordings are transcribed again. There is one per data set, language and task; setting it again
moves it, and the old ones stay in the table `baselines`.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evaluation.from_lake import baseline_pairs, pairs
from evaluation.normalize import language_code
from nightscribe.lake.reading import connect
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake

_GROUP = ("dataset", "language", "task")
_SYSTEM = ("model_id", "options_key")


@dataclass(frozen=True)
class Chosen:
    """Which transcripts are to be the baseline; None takes all.

    Attributes:
        model: a name or path, as it was transcribed with, or the beginning of a model_id
        options_key: or its beginning
    """

    dataset: str | None = None
    languages: Sequence[str] = ()
    task: str | None = None
    model: str | None = None
    options_key: str | None = None


def newest_systems(found: pa.Table) -> pa.Table:
    """Of each data set, language and task the pairs of one system: what was transcribed last.

    Args:
        found: pairs as `from_lake.pairs` returns them
    """
    groups = [tuple(row.values()) for row in found.select(_GROUP).to_pylist()]
    systems = [tuple(row.values()) for row in found.select(_SYSTEM).to_pylist()]
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for group, system, when in zip(
        groups, systems, found["transcribed_at"].to_pylist(), strict=True
    ):
        newest[group] = max(newest.get(group, (when, system)), (when, system))
    return found.filter(
        pa.array(
            [newest[group][1] == system for group, system in zip(groups, systems, strict=True)],
            pa.bool_(),
        )
    )


class Smaller(Exception):
    """A baseline that would have fewer recordings than the one that it replaces."""


def set_baselines(
    lake: Lake,
    run_id: str,
    chosen: Chosen,
    reason: str | None = None,
    *,
    may_shrink: bool = False,
) -> pa.Table:
    """Keep the newest transcripts among those chosen as the baselines of their groups.

    Returns the rows of `baselines` that were added: none where nothing that was chosen has a
    reference.

    Raises:
        Smaller: one of them would have fewer recordings than the one in force, unless `may_shrink`
    """
    with connect(lake) as connection:
        found, present = pairs(connection), baseline_pairs(connection)
    kept = newest_systems(found.filter(_are_chosen(found, chosen)))
    before, after = _counts(present), _counts(kept)
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


def _counts(found: pa.Table) -> Counter[tuple[str, ...]]:
    return Counter(tuple(row.values()) for row in found.select(_GROUP).to_pylist())


def two_systems(found: pa.Table, chosen: Chosen) -> tuple[pa.Table, pa.Table]:
    """The pairs of the newest system that is chosen, and of the newest that is not, of each group.

    Args:
        found: pairs as `from_lake.pairs` returns them
    """
    wanted = _are_chosen(found, chosen)
    return newest_systems(found.filter(wanted)), newest_systems(found.filter(pc.invert(wanted)))


def _are_chosen(found: pa.Table, chosen: Chosen) -> pa.Array:
    return pa.array([_is_chosen(row, chosen) for row in found.to_pylist()], pa.bool_())


def _is_chosen(row: dict[str, Any], chosen: Chosen) -> bool:
    languages = {language_code(language) for language in chosen.languages}
    return (
        chosen.dataset in (None, row["dataset"])
        and chosen.task in (None, row["task"])
        and (not languages or language_code(row["language"]) in languages)
        and (
            chosen.model is None
            or chosen.model == row["model"]
            or row["model_id"].startswith(chosen.model)
        )
        and (chosen.options_key is None or row["options_key"].startswith(chosen.options_key))
    )
