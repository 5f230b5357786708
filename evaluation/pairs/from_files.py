"""Pairs from a file of references and a file of hypotheses, joined by their ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from evaluation.errors import InputError
from evaluation.pairs.entries import Entry, id_columns_of, read_entries
from evaluation.pairs.table import STATED
from nightscribe.languages import Language


@dataclass(frozen=True)
class Joined:
    """Pairs, with the columns of `STATED`, and the ids that only one of the files has."""

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
        if entry.language is None:
            raise InputError(
                f"{references}: {identifier!r} has no language: give the column `language` the "
                "language spoken, as a code such as en or zh"
            )
    varieties = _reported(referenced.values())
    rows = []
    for identifier in sorted(referenced.keys() & transcribed.keys()):
        reference, hypothesis = referenced[identifier], transcribed[identifier]
        spoken, detected = reference.language, hypothesis.language
        assert spoken is not None
        for task in tasks:
            text = _hypothesis_text(hypothesis, task, tasks)
            if reference.text_for(task) is not None and text is not None:
                rows.append(
                    {
                        "dataset": dataset,
                        "language": spoken.code,
                        "variety": varieties.get(spoken),
                        "split": reference.split,
                        "task": task,
                        "model_id": model,
                        "model": model,
                        "options_key": "",
                        "recording_id": identifier,
                        "reference": reference.text_for(task),
                        "hypothesis": text,
                        "detected_language": None if detected is None else detected.code,
                    }
                )
    return Joined(
        pairs=pa.Table.from_pylist(rows, schema=STATED),
        only_in_references=sorted(referenced.keys() - transcribed.keys()),
        only_in_hypotheses=sorted(transcribed.keys() - referenced.keys()),
    )


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


def _hypothesis_text(entry: Entry, task: str, tasks: tuple[str, ...]) -> str | None:
    text = entry.text_for(task)
    return entry.text if text is None and tasks == ("translate",) else text
