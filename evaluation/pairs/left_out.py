"""References without a transcript of a system: they are counted, never dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from evaluation.languages import language_label
from evaluation.pairs.table import Group, pair_rows, tag_of

__all__ = ["NotScored", "not_scored"]


@dataclass(frozen=True)
class NotScored:
    """A group of which a model has no transcript, although it has some of the data set and task."""

    group: Group
    model: str
    references: int

    def __str__(self) -> str:
        dataset, language, task = self.group
        return (
            f"{language_label(language)} of {dataset}, {task}: none of {self.references} "
            f"references has a transcript of {self.model}"
        )


def not_scored(pairs: pa.Table, references: Mapping[Group, int]) -> list[NotScored]:
    """The groups that a model leaves out whole, by model and group.

    Args:
        pairs: columns as in `PAIRS`
        references: number of references of each group, with or without a pair
    """
    models: dict[tuple[str, str, str], str] = {}
    languages: dict[tuple[str, str, str], set[str]] = {}
    for pair in pair_rows(pairs):
        key = pair["model_id"], pair["dataset"], pair["task"]
        models[key] = pair["model"]
        languages.setdefault(key, set()).add(tag_of(pair))
    return [
        NotScored(group, model, count)
        for (model_id, dataset, task), model in sorted(models.items())
        for group, count in sorted(references.items())
        if (group[0], group[2]) == (dataset, task)
        and group[1] not in languages[model_id, dataset, task]
    ]
