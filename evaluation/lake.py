"""Scores a whole lake: reads its pairs, stores the reports, commits what was found.

The DAG `evaluate_transcripts` and `nightscribe evaluate` call this.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import duckdb
import pyarrow as pa

from evaluation.gate.against import Against
from evaluation.gate.findings import Findings, as_data, find
from evaluation.gate.rules import Rules
from evaluation.languages import language_label
from evaluation.measure.located import listed_errors
from evaluation.measure.scoring import Evaluation, evaluate
from evaluation.pairs.choices import check_choice
from evaluation.pairs.from_lake import baseline_pairs, pairs
from evaluation.pairs.references import references_of
from evaluation.pairs.systems import Chosen, chosen_and_other, newest_chosen
from evaluation.pairs.timed import pieces_of
from evaluation.report.contents import WORST_PER_LANGUAGE, Facts
from evaluation.report.html import render_html
from evaluation.report.left_out import left_out
from evaluation.report.markdown import render_markdown
from evaluation.report.no_speech import no_speech, no_speech_data
from evaluation.report.systems import systems
from evaluation.report.text import text_table
from evaluation.report.trends import EVALUATIONS, history
from nightscribe.lake.damage import explains
from nightscribe.lake.reading import connect
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake

_VERSIONS = ("nightscribe", "openai-whisper", "jiwer", "sacrebleu")


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation.

    Attributes:
        scores: columns as in `SCORES`
        table: plain text, for a terminal or a log
        reports: file name → content
        uris: where the newest reports are in the lake; none if nothing was written
        findings: what the rules say of the newest transcripts
        left_out: references without a transcript of a system, in words
    """

    score_id: str
    scores: pa.Table
    table: str
    reports: dict[str, str]
    uris: list[str]
    findings: Findings
    left_out: list[str]

    @property
    def against(self) -> Against | None:
        """The newest transcripts compared with their baselines; None if there are none."""
        return self.findings.against


@dataclass(frozen=True)
class _Found:
    """What the lake has to evaluate, and what was measured.

    Attributes:
        utterances: `evaluation.utterances` with the columns `error_runs` and `listed`; None if
            nothing is written
    """

    pairs: pa.Table
    baseline: pa.Table
    flaws: str
    sample: str
    history: pa.Table
    systems: pa.Table
    evaluation: Evaluation
    utterances: pa.Table | None


@explains
def evaluate_lake(
    lake: Lake,
    run_id: str,
    rules: Rules | None = None,
    other: Chosen | None = None,
    candidate: Chosen | None = None,
) -> Evaluated | None:
    """Score every transcript that has a reference; commit what was found and store the reports.

    The newest transcripts are compared with their baselines and judged by the rules, or by the
    default ones. The tables `scores`, `verdicts` and `utterance_errors` get rows. The reports are
    stored below `reports/<score_id>/` in the lake, and the newest ones also below
    `reports/latest/`.

    Args:
        other: compare the newest other transcripts with this system instead of with the baselines,
            and write nothing to the lake
        candidate: compare and judge the newest of these transcripts, and write nothing to the lake

    Returns:
        None if no transcript has a reference

    Raises:
        NothingToCompare: `other` has nothing in common with another system, or a name is of none
    """
    found = _measured(lake, other, candidate)
    if found is None:
        return None
    evaluation = found.evaluation
    baseline, judged, what = _systems(found, other, candidate)
    findings = find(evaluation.scores, baseline, judged, rules or Rules(), what)
    score_id, now = uuid.uuid4().hex, datetime.now(UTC)
    stamps = {"score_id": score_id, "run_id": run_id, "created_at": now}
    rows = [{**row, **stamps} for row in evaluation.scores.to_pylist()]
    facts = Facts(
        title="Nightscribe: transcripts against references",
        created_at=now,
        details={
            "Lake": lake.uri,
            "Run": run_id,
            "Warnings": found.flaws,
            "Left out": "; ".join(left_out(evaluation)) or "no reference",
            **({"Random sample": found.sample} if found.sample else {}),
            "Versions": ", ".join(f"{name} {version(name)}" for name in _VERSIONS),
        },
    )
    history = _with_present(found.history, rows)
    reports = _reports(evaluation, facts, findings, history, found.systems)
    uris: list[str] = []
    if found.utterances is not None:
        # Not before the reports exist: a task that fails on them is retried, and each try would
        # add the scores again. The scores are last: the views hide what belongs to none of them.
        lake.append("utterance_errors", _stamped(found.utterances, stamps))
        stamps_of_verdicts = {**stamps, "rules": "default" if rules is None else "file"}
        verdicts = [{**row, **stamps_of_verdicts} for row in findings.rows]
        lake.append("verdicts", pa.Table.from_pylist(verdicts, schema=SCHEMAS["verdicts"]))
        lake.append("scores", pa.Table.from_pylist(rows, schema=SCHEMAS["scores"]))
        uris = _store(lake, score_id, reports)
    table = text_table(evaluation.scores, evaluation.averages)
    return Evaluated(
        score_id, evaluation.scores, table, reports, uris, findings, left_out(evaluation)
    )


def _measured(lake: Lake, other: Chosen | None, candidate: Chosen | None) -> _Found | None:
    """None if there are no pairs."""
    with connect(lake) as connection:
        found = pairs(connection)
        if not found.num_rows:
            return None
        check_choice(connection, found, other, candidate)
        evaluation = evaluate(found, WORST_PER_LANGUAGE, references_of(connection))
        utterances = None
        if other is None and candidate is None:
            utterances = evaluation.utterances
            errors = listed_errors(utterances, found, partial(pieces_of, connection))
            for name, values in zip(("error_runs", "listed"), errors, strict=True):
                field = SCHEMAS["utterance_errors"].field(name)
                utterances = utterances.append_column(field, pa.array(values, field.type))
        return _Found(
            pairs=found,
            baseline=baseline_pairs(connection),
            flaws=_flaws(connection),
            sample=_sample(connection),
            history=history(connection, EVALUATIONS - 1),
            systems=systems(connection),
            evaluation=evaluation,
            utterances=utterances,
        )


def _stamped(utterances: pa.Table, stamps: Mapping[str, Any]) -> pa.Table:
    """Rows of `utterance_errors`. Columns, not dictionaries: there may be a hundred thousand."""
    schema = SCHEMAS["utterance_errors"]
    count = utterances.num_rows
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(stamps[field.name], field.type), count)
            if field.name in stamps
            else utterances[field.name]
            for field in schema
        ],
        schema=schema,
    )


def _sample(connection: duckdb.DuckDBPyConnection) -> str:
    """How many of the reviewers' random sample have no text: its rates are those of the others."""
    rows = connection.execute(
        r"""SELECT language, task, count(*), count(*) FILTER (verdict = 'skipped') AS skipped,
             count(*) FILTER (
               verdict = 'accepted' AND NOT regexp_matches(text, '[\p{L}\p{N}]')) AS silent
           FROM latest_reviews WHERE is_sampled AND verdict <> 'reopened'
           GROUP BY language, task HAVING skipped + silent > 0 ORDER BY language, task"""
    ).fetchall()
    return "; ".join(
        f"{language_label(language)} of corrections, {task}: of {count:,}, "
        f"{skipped:,} were skipped and {silent:,} have no words"
        for language, task, count, skipped, silent in rows
    )


def _flaws(connection: duckdb.DuckDBPyConnection) -> str:
    """How many recordings with a reference are used with a warning, and what they lack."""
    [(recordings, flawed, missing_s)] = connection.execute(
        """SELECT count(DISTINCT r.recording_id), count(DISTINCT w.recording_id),
             coalesce(sum(w.missing_s), 0)
           FROM (SELECT DISTINCT recording_id FROM reference_texts) AS r
           LEFT JOIN (SELECT recording_id, sum(missing_s) AS missing_s FROM warnings
                      GROUP BY recording_id) AS w USING (recording_id)"""
    ).fetchall()
    return (
        f"{flawed:,} of {recordings:,} recordings with a reference are used with a warning; at "
        f"least {missing_s:.1f} s of audio are missing in them"
    )


def _systems(
    found: _Found, other: Chosen | None, candidate: Chosen | None
) -> tuple[pa.Table, pa.Table, str]:
    """The pairs of the baseline and of the candidate, and what the report calls the baseline."""
    if other is None:
        return found.baseline, newest_chosen(found.pairs, candidate or Chosen()), "the baseline"
    baseline, judged = chosen_and_other(found.pairs, other, candidate)
    return baseline, judged, other.model or f"options {other.options_key}"


def _with_present(history: pa.Table, rows: list[dict[str, Any]]) -> pa.Table:
    """The history with the present headline scores at its end."""
    present = pa.Table.from_pylist(
        [row for row in rows if row["headline"]], schema=SCHEMAS["scores"]
    )
    return pa.concat_tables([history, present.select(history.column_names).cast(history.schema)])


def _reports(
    evaluation: Evaluation,
    facts: Facts,
    findings: Findings,
    history: pa.Table,
    systems: pa.Table,
) -> dict[str, str]:
    """File name → content."""
    reports = {
        "report.html": render_html(evaluation, facts, findings, history, systems),
        "report.md": render_markdown(evaluation, facts, findings),
        "scores.json": _json(evaluation.scores.to_pylist()),
        "averages.json": _json(evaluation.averages.to_pylist()),
    }
    if without_speech := no_speech(evaluation):
        reports["no_speech.json"] = _json(no_speech_data(without_speech))
    if findings.against is not None or findings.limits:
        reports["comparison.json"] = _json(as_data(findings))
    return reports


def _store(lake: Lake, score_id: str, reports: dict[str, str]) -> list[str]:
    """Where the newest reports are."""
    uris = []
    for name, text in reports.items():
        lake.put_file(f"reports/{score_id}/{name}", text.encode())
        uris.append(lake.put_file(f"reports/latest/{name}", text.encode()))
    return uris


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
