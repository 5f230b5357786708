"""Plain text for a terminal or a log: tables of scores and of comparisons, and changed texts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import pyarrow as pa

from evaluation.gate.against import Against
from evaluation.gate.findings import P_VALUES
from evaluation.measure.changed import Changed
from evaluation.measure.hallucinations import is_without_speech
from evaluation.pairs.table import tag_of
from evaluation.report.averages import HEADINGS, average_rows
from evaluation.report.baseline import figure_key
from evaluation.report.by_language import Score, SystemScores, by_system
from evaluation.report.figures import (
    NOTHING,
    change,
    compared_cells,
    number,
    number_of_some,
    p_value,
    pairs_cell,
)
from nightscribe.text_tables import table_text

__all__ = ["changed_text", "comparison_text", "text_table"]

_HEADINGS = ("language", "scored of references", "WER %", "CER %", "BLEU", "chrF++", "LID %")
_COMPARED = (
    *("language", "task", "metric", "utterances"),
    *("baseline", "candidate", "difference", "p of a difference", "p of worse", "verdict"),
)
_NO_SPEECH = ("model", "options", "task", "scored of references", "with text %", "words per hour")
_HALLUCINATED = ("hallucination_rate", "hallucinated_words_per_hour")
_WIDTH = 100


def text_table(scores: pa.Table, averages: pa.Table | None = None) -> str:
    """One table per data set and model, with 95 % intervals, ending in a newline.

    Languages written without spaces have no word error rate; their headline is the CER.

    Args:
        averages: columns as in `AVERAGES`, for a second table of systems that have any
    """
    tables = [_system_table(system, averages) for system in by_system(scores)]
    return "\n".join([*tables, *_no_speech_tables(scores)])


def _no_speech_tables(scores: pa.Table) -> Iterator[str]:
    """A table for each data set, of the recordings in which nobody speaks."""
    found: dict[str, dict[tuple[str, ...], dict[str, Score]]] = {}
    for row in scores.to_pylist():
        if is_without_speech(row["language"]):
            system = row["model"], row["options_key"][:8], row["task"]
            found.setdefault(row["dataset"], {}).setdefault(system, {})[row["metric"]] = row
    for dataset, systems in found.items():
        rows = [
            (
                *system,
                pairs_cell({"": of_system["hallucination_rate"]}),
                *(number(of_system.get(metric)) for metric in _HALLUCINATED),
            )
            for system, of_system in systems.items()
        ]
        yield f"{dataset}, recordings without speech\n{table_text(_NO_SPEECH, rows)}"


def _system_table(system: SystemScores, averages: pa.Table | None) -> str:
    rows = [
        (
            system.label(language),
            pairs_cell(language.of_task),
            NOTHING if language.error_metric == "cer" else number(language.scores.get("wer")),
            number(language.scores.get("cer"), interval=language.error_metric == "cer"),
            number(language.scores.get("bleu")),
            number(language.scores.get("chrf"), interval=False),
            number_of_some(language.scores.get("lid_accuracy"), language.of_task, interval=False),
        )
        for language in system.languages
    ]
    text = f"{system.dataset}, model {system.model}\n" + table_text(_HEADINGS, rows)
    averaged = [] if averages is None else average_rows(system, averages)
    return f"{text}\n{table_text(HEADINGS, averaged)}" if averaged else text


def comparison_text(against: Against) -> str:
    """A table per data set: the headline metrics and the LID of two systems, with the verdicts.

    Ends with what the two p-values mean.
    """
    verdicts = {figure_key(verdict.row): verdict for verdict in against.verdicts}
    datasets: dict[str, list[tuple[str, ...]]] = {}
    for row in against.comparison.to_pylist():
        if row["headline"] or row["metric"] == "lid_accuracy":
            verdict = verdicts.get(figure_key(row))
            judged = (
                (NOTHING, "not gated")
                if verdict is None
                else (p_value(verdict.p_value), verdict.outcome)
            )
            datasets.setdefault(row["dataset"], []).append((*compared_cells(row), *judged))
    tables = [
        f"{dataset}{_who(against, dataset)}\n{table_text(_COMPARED, rows)}"
        for dataset, rows in datasets.items()
    ]
    return "\n".join([*tables, textwrap.fill(P_VALUES, _WIDTH)])


def _who(against: Against, dataset: str) -> str:
    """The systems that were compared in a data set; empty if they have no names."""
    pairs = {pair for group, pair in against.systems.items() if group[0] == dataset}
    names = [f"{after} against {before}" for before, after in sorted(pairs) if before and after]
    return f": {'; '.join(names)}" if names else ""


def changed_text(recordings: Iterable[Changed]) -> str:
    """The reference and both texts of each recording, ending in a newline; empty for none."""
    return "".join(
        f"{one.candidate['recording_id']} ({tag_of(one.candidate)}): {change(one)}\n"
        f"  reference  {one.candidate['reference']}\n"
        f"  baseline   {one.baseline['hypothesis']}\n"
        f"  candidate  {one.candidate['hypothesis']}\n"
        for one in recordings
    )
