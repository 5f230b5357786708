"""Pairs from a file of references and a file of hypotheses, joined by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from evaluation.errors import InputError
from evaluation.pairs.entries import Entry, id_columns_of, read_entries
from evaluation.pairs.table import PAIRS


@dataclass(frozen=True)
class Joined:
    """Pairs, with the columns of `PAIRS`, and the ids that only one of the files has."""

    pairs: pa.Table
    only_in_references: list[str]
    only_in_hypotheses: list[str]


def join(
    references: Path,
    hypotheses: Path,
    *,
    tasks: tuple[str, ...],
    dataset: str,
    model: str,
    others: Sequence[Path] = (),
) -> Joined:
    """Read both files and pair their texts by id.

    Args:
        tasks: `transcribe`, `translate` or both; with `translate` alone, hypotheses may
            give the English text in the column `text`
        dataset, model: names for the report
        others: other files of hypotheses that are compared with these, so that the same column
            names the recordings of all

    Raises:
        InputError: a file cannot be read, lacks a column, or has a line that cannot be used
    """
    id_columns = id_columns_of(references, hypotheses, *others)
    referenced = read_entries(references, are_references=True, id_columns=id_columns)
    transcribed = read_entries(hypotheses, id_columns=id_columns)
    for identifier, entry in referenced.items():
        if not entry.language:
            raise InputError(
                f"{references}: {identifier!r} has no language: give the column `language` the "
                "language spoken, as a code such as en or zh"
            )
    rows = []
    for identifier in sorted(referenced.keys() & transcribed.keys()):
        reference, hypothesis = referenced[identifier], transcribed[identifier]
        for task in tasks:
            text = _hypothesis_text(hypothesis, task, tasks)
            if reference.text_for(task) is not None and text is not None:
                rows.append(
                    {
                        "dataset": dataset,
                        "language": reference.language,
                        "task": task,
                        "model_id": model,
                        "model": model,
                        "options_key": "",
                        "recording_id": identifier,
                        "reference": reference.text_for(task),
                        "hypothesis": text,
                        "detected_language": hypothesis.language,
                    }
                )
    return Joined(
        pairs=pa.Table.from_pylist(rows, schema=PAIRS),
        only_in_references=sorted(referenced.keys() - transcribed.keys()),
        only_in_hypotheses=sorted(transcribed.keys() - referenced.keys()),
    )


def _hypothesis_text(entry: Entry, task: str, tasks: tuple[str, ...]) -> str | None:
    text = entry.text_for(task)
    return entry.text if text is None and tasks == ("translate",) else text
