"""Pairs from a file of references and a file of hypotheses, joined by their ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from evaluation.errors import InputError
from evaluation.pairs.entries import Entry, id_columns_of, read_entries
from evaluation.pairs.table import STATED, Group, group_of
from nightscribe.languages import NO_SPEECH, Language
from nightscribe.splits import split_name

_OF_REFERENCES = ("speaker", "session", "kind", "duration_s")
_PAIRS = pa.schema(
    [
        *STATED,
        *(pa.field(name, pa.string()) for name in ("speaker", "session", "kind")),
        pa.field("duration_s", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Joined:
    """Pairs, and what has no pair.

    Attributes:
        pairs: columns as in `STATED`, `speaker`, `session` and `kind`, and `duration_s` if a
            reference has one
        references: number of references of each group, with or without a pair
        only_in_references, only_in_hypotheses: ids that one of the files does not have
        without_text: ids that both files have, with a text to score only in the references
    """

    pairs: pa.Table
    references: Mapping[Group, int]
    only_in_references: list[str]
    only_in_hypotheses: list[str]
    without_text: list[str]

    @property
    def missing(self) -> int:
        """References without a hypothesis."""
        return sum(self.references.values()) - int(self.pairs.num_rows)


def join(
    references: Path,
    hypotheses: Path,
    *,
    tasks: tuple[str, ...],
    dataset: str,
    model: str,
    others: Sequence[Path] = (),
) -> Joined:
    """Read both files and pair their texts by id. An empty hypothesis is one like any other.

    A task is scored if any hypothesis has a text for it, even an empty one.

    Args:
        tasks: `transcribe`, `translate` or both; with `translate` alone, hypotheses may
            give the English text in the column `text`
        dataset, model: names for the report; splits other than `test` are added to the data set's
        others: other files of hypotheses that are compared with these, so that the same column
            names the recordings of all

    Raises:
        InputError: a file cannot be read, lacks a column, or has a line that cannot be used
    """
    id_columns = id_columns_of(references, hypotheses, *others)
    referenced = read_entries(references, are_references=True, id_columns=id_columns)
    transcribed = read_entries(hypotheses, id_columns=id_columns)
    for identifier, entry in referenced.items():
        if entry.language is None:
            raise InputError(
                f"{references}: {identifier!r} has no language: give the column `language` the "
                "language spoken, as a code such as en or zh"
            )
    varieties = _reported(referenced.values())
    rows: list[dict[str, Any]] = []
    counted: Counter[Group] = Counter()
    without_text: list[str] = []
    for task in tasks:
        column = _column(transcribed.values(), task, tasks)
        if column is None:
            continue
        for identifier, reference in sorted(referenced.items()):
            spoken = reference.language
            if spoken is None or reference.text_for(task) is None:
                continue
            row = {
                "dataset": split_name(dataset, reference.split),
                "language": spoken.code,
                "variety": varieties.get(spoken),
                "split": reference.split,
                "task": task,
                "model_id": model,
                "model": model,
                "options_key": "",
                "recording_id": identifier,
                "reference": reference.text_for(task),
                **{name: getattr(reference, name) for name in _OF_REFERENCES},
            }
            counted[group_of(row)] += 1
            hypothesis = transcribed.get(identifier)
            text = None if hypothesis is None else hypothesis.text_for(column)
            if hypothesis is not None and text is not None:
                detected = None if hypothesis.language is None else hypothesis.language.code
                if spoken.code == NO_SPEECH:  # no language would be right
                    detected = None
                rows.append({**row, "hypothesis": text, "detected_language": detected})
            elif hypothesis is not None:
                without_text.append(identifier)
    pairs = pa.Table.from_pylist(rows, schema=_PAIRS)
    if pairs["duration_s"].null_count == pairs.num_rows:
        pairs = pairs.drop_columns("duration_s")
    return Joined(
        pairs=pairs,
        references=counted,
        only_in_references=sorted(referenced.keys() - transcribed.keys()),
        only_in_hypotheses=sorted(transcribed.keys() - referenced.keys()),
        without_text=sorted(set(without_text)),
    )


def _column(entries: Collection[Entry], task: str, tasks: tuple[str, ...]) -> str | None:
    """The task whose column has the texts; None if no hypothesis has a text for it."""
    columns = (task, "transcribe") if tasks == ("translate",) else (task,)
    with_texts = [one for one in columns if any(entry.text_for(one) for entry in entries)]
    empty = [one for one in columns if any(entry.text_for(one) == "" for entry in entries)]
    return next(iter(with_texts + empty), None)


def _reported(references: Iterable[Entry]) -> dict[Language, str]:
    """The languages that are scored by region, with their varieties.

    A language is not, if its references name one region or none.
    """
    stated: dict[str, set[str | None]] = defaultdict(set)
    for entry in references:
        if entry.language is not None:
            stated[entry.language.code].add(entry.language.variety)
    return {
        Language(code, variety): variety
        for code, varieties in stated.items()
        for variety in varieties
        if variety is not None and not (len(varieties) == 2 and None in varieties)
    }
