"""The report: one HTML page that needs nothing else, and the same as Markdown.

Everything that is not ours (transcripts, names, options) is escaped: a transcript may
well contain HTML.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
from markupsafe import Markup

from evaluation.against import Against
from evaluation.aligned import Cell, aligned
from evaluation.baseline_view import BASELINE_HEADINGS, BaselineView, baseline_view
from evaluation.charts import Bar, bar_chart
from evaluation.normalize import language_name
from evaluation.playing import audio_url
from evaluation.published import SOURCE, published
from evaluation.scoring import Evaluation, RecordingErrors, place
from evaluation.summary import LanguageScores, SystemScores, by_system, number
from evaluation.trends import system_trends

WORST_PER_LANGUAGE = 3

_LISTED_CONFUSIONS = 10


@dataclass(frozen=True)
class Facts:
    """What stands at the head of a report.

    Attributes:
        title: of the page
        created_at: when the scores were made
        details: label → value, in the order to show: model, options, versions …
    """

    title: str
    created_at: datetime
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One language in the headline table, everything as text."""

    label: str
    scores: LanguageScores
    error_metric: str
    error_rate: str
    published: str
    cer: str
    mer: str
    wil: str
    invented: str
    missing: str
    over_silence: str
    bleu: str
    chrf: str
    lid: str
    utterances: int
    hours: str
    counts: str


@dataclass(frozen=True)
class Matrix:
    """How often each spoken language was detected as which; `counts` is by both codes."""

    options_key: str
    spoken: list[str]
    detected: list[str]
    counts: Mapping[tuple[str, str], int]
    totals: Mapping[str, int]
    confusions: list[tuple[str, str, int]]


@dataclass(frozen=True)
class Worst:
    """The recordings of one language and task to listen to."""

    label: str
    task: str
    recordings: list[tuple[RecordingErrors, list[Cell]]]


@dataclass(frozen=True)
class Section:
    """Everything about one model on one data set."""

    system: SystemScores
    rows: list[Row]
    error_chart: Markup | None
    bleu_chart: Markup | None
    trends: list[tuple[str, Markup]]
    matrices: list[Matrix]
    worst: list[Worst]
    has_hours: bool
    has_published: bool
    has_transcripts: bool
    has_translations: bool
    has_detection: bool
    has_silence: bool


def render_html(
    evaluation: Evaluation,
    facts: Facts,
    against: Against | None = None,
    history: pa.Table | None = None,
    systems: pa.Table | None = None,
) -> str:
    """A self-contained page.

    Args:
        against: what changed since the baseline, which comes first
        history: scores of this and earlier evaluations, as `from_lake.history` returns them, for
            the trends
        systems: models and options, as `from_lake.systems` returns them
    """
    template = _environment().get_template("report.html")
    return template.render(
        facts=facts,
        sections=_sections(evaluation, history),
        signatures=_signatures(evaluation.scores),
        systems=[] if systems is None else [_system(row) for row in systems.to_pylist()],
        language_name=language_name,
        amount=amount,
        place=place,
        audio_url=audio_url,
        lake_sql=lake_sql,
        against=against and baseline_view(against),
        published_source=SOURCE,
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def render_markdown(evaluation: Evaluation, facts: Facts, against: Against | None = None) -> str:
    """The report's tables as GitHub-flavoured Markdown; the charts are only in the HTML."""
    lines = [f"# {_escaped(facts.title)}", "", f"{facts.created_at:%Y-%m-%d %H:%M %Z}".strip(), ""]
    lines += [f"- {_escaped(name)}: {_escaped(value)}" for name, value in facts.details.items()]
    if against is not None:
        lines += _markdown_baseline(baseline_view(against))
    for section in _sections(evaluation):
        system = section.system
        lines += ["", f"## {_escaped(system.dataset)}, model {_escaped(system.model)}", ""]
        lines += _markdown_table(
            [
                "Language",
                "Error rate %",
                "of",
                "Published %",
                "BLEU",
                "chrF++",
                "LID %",
                "Utterances",
                "Hours",
                "S / D / I",
                "CER %",
                "Invented %",
                "Missing %",
                "Over silence %",
            ],
            [
                [
                    row.label,
                    row.error_rate,
                    row.error_metric,
                    row.published,
                    row.bleu,
                    row.chrf,
                    row.lid,
                    str(row.utterances),
                    row.hours,
                    row.counts,
                    row.cer,
                    row.invented,
                    row.missing,
                    row.over_silence,
                ]
                for row in section.rows
            ],
        )
        if section.has_published:
            lines += ["", f"Published: {_escaped(SOURCE)}."]
        for matrix in section.matrices:
            if matrix.confusions:
                lines += ["", "### Languages taken for others", ""]
                lines += _markdown_table(
                    ["Spoken", "Detected", "Recordings"],
                    [[spoken, heard, str(count)] for spoken, heard, count in matrix.confusions],
                )
        if section.worst:
            lines += ["", "### Recordings to listen to", ""]
            lines += _markdown_table(
                ["Language", "Task", "Recording", "Errors", "Reference", "Hypothesis"],
                [
                    [
                        worst.label,
                        worst.task,
                        place(recording.pair),
                        amount(recording),
                        recording.pair["reference"],
                        recording.pair["hypothesis"],
                    ]
                    for worst in section.worst
                    for recording, _ in worst.recordings
                ],
            )
    lines += ["", "## How this was measured", "", "95 % intervals are in parentheses.", ""]
    lines += _markdown_table(
        ["Metric", "Languages", "Signature"],
        [[metric, languages, text] for metric, languages, text in _signatures(evaluation.scores)],
    )
    return "\n".join(lines) + "\n"


def _markdown_baseline(view: BaselineView) -> list[str]:
    lines = ["", f"## {_escaped(view.title)}", "", _escaped(view.summary)]
    if view.messages:
        lines += ["", *(f"- {_escaped(message)}" for message in view.messages)]
    rows = [[getattr(row, name) for name in BASELINE_HEADINGS] for row in view.rows]
    return [*lines, "", *_markdown_table(list(BASELINE_HEADINGS.values()), rows)]


def _markdown_table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header)] + [[_escaped(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(text.split()))


def _sections(evaluation: Evaluation, history: pa.Table | None = None) -> list[Section]:
    hours = _hours(evaluation.pairs)
    sections = []
    for index, system in enumerate(by_system(evaluation.scores)):
        rows = [_row(system, language, hours) for language in system.languages]
        measured = {metric for language in system.languages for metric in language.scores}
        sections.append(
            Section(
                system=system,
                rows=rows,
                error_chart=_error_chart(system, f"errors-{index}"),
                bleu_chart=_bleu_chart(system, f"bleu-{index}"),
                trends=system_trends(system, history, f"trend-{index}"),
                matrices=_matrices(system, evaluation.confusion),
                worst=_worst(system, evaluation.worst),
                has_hours=any(row.hours for row in rows),
                has_published=any(row.published for row in rows),
                has_transcripts="wer" in measured,
                has_translations="bleu" in measured,
                has_detection="lid_accuracy" in measured,
                has_silence="text_over_silence" in measured,
            )
        )
    return sections


_GROUP = ("dataset", "model_id", "options_key", "language")


def _hours(pairs: pa.Table) -> Mapping[tuple[str, ...], float]:
    """Audio per group, h; a recording that was transcribed and translated counts once."""
    if "duration_s" not in pairs.column_names:
        return {}
    columns = [*_GROUP, "recording_id", "duration_s"]
    total: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for *group, _, seconds in {tuple(row.values()) for row in pairs.select(columns).to_pylist()}:
        total[tuple(group)] += (seconds or 0) / 3600
    return total


def _row(
    system: SystemScores, language: LanguageScores, hours: Mapping[tuple[str, ...], float]
) -> Row:
    scores = language.scores
    metric = language.error_metric
    counted = scores.get(metric or "wer")
    length = hours.get(tuple(getattr(language, name) for name in _GROUP))
    known = _published(language, metric)
    return Row(
        label=system.label(language),
        scores=language,
        error_metric=metric.upper() if metric else "",
        error_rate=number(scores.get(metric)) if metric else number(None),
        published="" if known is None else f"{known * 100:.1f}",
        cer=number(scores.get("cer"), interval=False),
        mer=number(scores.get("mer"), interval=False),
        wil=number(scores.get("wil"), interval=False),
        invented=number(scores.get("insertion_bursts"), interval=False),
        missing=number(scores.get("deletion_bursts"), interval=False),
        over_silence=number(scores.get("text_over_silence"), interval=False),
        bleu=number(scores.get("bleu")),
        chrf=number(scores.get("chrf")),
        lid=number(scores.get("lid_accuracy")),
        utterances=language.utterances,
        hours="" if length is None else f"{length:.2f}" if length < 10 else f"{length:.0f}",
        counts=""
        if counted is None
        else f"{counted['substitutions']} / {counted['deletions']} / {counted['insertions']}",
    )


def _published(language: LanguageScores, metric: str | None) -> float | None:
    if metric is None:
        return None
    return published(language.dataset, language.model, language.language, metric)


def _error_chart(system: SystemScores, name: str) -> Markup | None:
    bars = [
        _bar(system, language, language.error_metric, scale=100)
        for language in system.languages
        if language.error_metric
    ]
    if not bars:
        return None
    title = f"Error rate by language, {system.dataset}, {system.model}"
    ordered = sorted(bars, key=lambda bar: bar.value)
    return Markup(bar_chart(ordered, axis="error rate, %", limit=100, name=name, title=title))


def _bleu_chart(system: SystemScores, name: str) -> Markup | None:
    bars = [
        _bar(system, language, "bleu", scale=1)
        for language in system.languages
        if "bleu" in language.scores
    ]
    if not bars:
        return None
    title = f"BLEU by language, {system.dataset}, {system.model}"
    ordered = sorted(bars, key=lambda bar: -bar.value)
    return Markup(bar_chart(ordered, axis="BLEU", limit=100, name=name, title=title))


def _bar(system: SystemScores, language: LanguageScores, metric: str, scale: int) -> Bar:
    score = language.scores[metric]
    low, high = score["ci_low"], score["ci_high"]
    known = _published(language, metric)
    return Bar(
        label=system.label(language),
        value=score["value"] * scale,
        low=None if low is None else low * scale,
        high=None if high is None else high * scale,
        kind={"wer": "words (WER)", "cer": "letters (CER)", "bleu": "BLEU"}[metric],
        published=None if known is None else known * scale,
    )


def _matrices(system: SystemScores, confusion: pa.Table) -> list[Matrix]:
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for row in confusion.to_pylist():
        if (row["dataset"], row["model_id"]) == (system.dataset, system.model_id):
            matrix = counts.setdefault(row["options_key"], {})
            matrix[row["language"], row["detected_language"]] = row["utterances"]
    return [_matrix(options_key, matrix) for options_key, matrix in counts.items()]


def _matrix(options_key: str, counts: dict[tuple[str, str], int]) -> Matrix:
    spoken = sorted({language for language, _ in counts})
    others = sorted({detected for _, detected in counts} - set(spoken))
    totals: Counter[str] = Counter()
    for (language, _), utterances in counts.items():
        totals[language] += utterances
    wrong = [(*languages, count) for languages, count in counts.items() if len({*languages}) > 1]
    return Matrix(
        options_key=options_key,
        spoken=spoken,
        detected=spoken + others,
        counts=counts,
        totals=totals,
        confusions=sorted(wrong, key=lambda row: (-row[2], row))[:_LISTED_CONFUSIONS],
    )


def _worst(system: SystemScores, groups: list[list[RecordingErrors]]) -> list[Worst]:
    labels = {
        (language.language, language.options_key): system.label(language)
        for language in system.languages
    }
    found = []
    for group in groups:
        pair = group[0].pair if group else {}
        if (pair.get("dataset"), pair.get("model_id")) == (system.dataset, system.model_id):
            label = labels[pair["language"], pair["options_key"]]
            found.append(
                Worst(
                    label,
                    pair["task"],
                    [(recording, aligned(recording.pair)) for recording in group],
                )
            )
    return found


def amount(recording: RecordingErrors) -> str:
    """How bad it is, in words."""
    if recording.chrf is not None:
        return f"chrF++ {recording.chrf:.1f}"
    return f"{recording.errors} error{'s' * (recording.errors != 1)} in {recording.units}"


def lake_sql(pair: Mapping[str, Any]) -> str | None:
    """A query for the transcript's segments; None if the pair is of no lake."""
    if not pair.get("transcript_id"):
        return None
    return (
        f"""SELECT * FROM segments WHERE transcript_id = '{pair["transcript_id"]}' ORDER BY index"""
    )


def _system(row: Mapping[str, Any]) -> dict[str, str]:
    """A model with its options as text; of the options those that were set."""
    options = {
        name: value for name, value in json.loads(row["options"]).items() if value is not None
    }
    return {
        "Model": row["model"],
        "model_id": row["model_id"][:12],
        "options_key": row["options_key"],
        "Engine": f"{row['engine']}, {row['precision']}",
        "RTFx": "" if row["rtfx"] is None else f"{row['rtfx']:.1f}",
        "Device": row["device"] or "",
        "Options": json.dumps(
            {name: value for name, value in options.items() if value is not None},
            ensure_ascii=False,
        ),
        "Versions": ", ".join(" ".join(one) for one in json.loads(row["versions"]).items()),
    }


def _signatures(scores: pa.Table) -> list[tuple[str, str, str]]:
    """Metric, the languages measured so, and the signature."""
    languages: dict[tuple[str, str], set[str]] = {}
    for row in scores.to_pylist():
        languages.setdefault((row["metric"], row["signature"]), set()).add(row["language"])
    return [
        (metric, ", ".join(sorted(named)), signature)
        for (metric, signature), named in languages.items()
    ]
