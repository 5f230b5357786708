"""Selects one system per group from a lake's pairs: the newest, or the newest that is chosen.

The pairs are those of `from_lake.pairs`: of every model and every set of options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evaluation.languages import includes_language
from evaluation.pairs.table import group_of, group_rows, tag_of

_SYSTEM = ("model_id", "options_key")


@dataclass(frozen=True)
class Chosen:
    """Which transcripts to take. None, or no language, takes all.

    Attributes:
        model: the name or path that it was transcribed with, or the beginning of a model_id
        options_key: the key or its beginning
    """

    dataset: str | None = None
    languages: Sequence[str] = ()
    task: str | None = None
    model: str | None = None
    options_key: str | None = None

    def includes(self, pair: dict[str, Any]) -> bool:
        """Whether a pair is among them."""
        return (
            self.dataset in (None, pair["dataset"])
            and self.task in (None, pair["task"])
            and (
                not self.languages
                or any(includes_language(wanted, tag_of(pair)) for wanted in self.languages)
            )
            and (
                self.model is None
                or self.model == pair["model"]
                or pair["model_id"].startswith(self.model)
            )
            and (self.options_key is None or pair["options_key"].startswith(self.options_key))
        )


def chosen_system(model: str | None, options_key: str | None) -> Chosen | None:
    """The choice of a model, of options, or of both; None if neither is named."""
    if model is None and options_key is None:
        return None
    return Chosen(model=model, options_key=options_key)


def newest_systems(pairs: pa.Table) -> pa.Table:
    """The pairs of one system per group: the one that transcribed last."""
    groups = [group_of(row) for row in group_rows(pairs)]
    systems = [tuple(row.values()) for row in pairs.select(_SYSTEM).to_pylist()]
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for group, system, number, when in zip(
        groups,
        systems,
        pairs["sequence"].to_pylist(),
        pairs["transcribed_at"].to_pylist(),
        strict=True,
    ):
        # In the order of the commits; clocks order the transcripts of older versions alone.
        moment = (-1 if number is None else number, when, system)
        newest[group] = max(newest.get(group, moment), moment)
    is_newest = [newest[group][2] == system for group, system in zip(groups, systems, strict=True)]
    return pairs.filter(pa.array(is_newest, pa.bool_()))


def newest_chosen(pairs: pa.Table, chosen: Chosen) -> pa.Table:
    """The pairs of the newest system per group, among those that are chosen."""
    return newest_systems(pairs.filter(_is_chosen(pairs, chosen)))


def chosen_and_other(
    pairs: pa.Table, chosen: Chosen, other: Chosen | None = None
) -> tuple[pa.Table, pa.Table]:
    """Per group, the pairs of the newest system that is chosen and of the newest that is not.

    `other`: of those that are not, only these
    """
    rest = pairs.filter(pc.invert(_is_chosen(pairs, chosen)))
    return newest_chosen(pairs, chosen), newest_chosen(rest, other or Chosen())


def _is_chosen(pairs: pa.Table, chosen: Chosen) -> pa.Array:
    return pa.array([chosen.includes(pair) for pair in pairs.to_pylist()], pa.bool_())
