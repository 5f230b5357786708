"""Bar charts of one model on one data set: error rates, and BLEU."""

from __future__ import annotations

from markupsafe import Markup

from evaluation.measure.metrics import METRICS
from evaluation.report.by_language import LanguageScores, SystemScores
from evaluation.report.charts import Bar, bar_chart
from evaluation.report.published import comparable

_KINDS = {"wer": "words (WER)", "cer": "letters (CER)", "bleu": "BLEU"}


def error_chart(system: SystemScores, name: str) -> Markup | None:
    """Headline error rates, lowest first; None if no language has one.

    Args:
        name: unique within the page
    """
    bars = [
        _bar(system, language, language.error_metric)
        for language in system.languages
        if language.error_metric
    ]
    if not bars:
        return None
    title = f"Error rate by language, {system.dataset}, {system.model}"
    ordered = sorted(bars, key=lambda bar: bar.value)
    return Markup(bar_chart(ordered, axis="error rate, %", limit=100, name=name, title=title))


def bleu_chart(system: SystemScores, name: str) -> Markup | None:
    """BLEU of translations, highest first; None if there are none.

    Args:
        name: unique within the page
    """
    bars = [
        _bar(system, language, "bleu") for language in system.languages if "bleu" in language.scores
    ]
    if not bars:
        return None
    title = f"BLEU by language, {system.dataset}, {system.model}"
    ordered = sorted(bars, key=lambda bar: -bar.value)
    return Markup(bar_chart(ordered, axis="BLEU", limit=100, name=name, title=title))


def _bar(system: SystemScores, language: LanguageScores, metric: str) -> Bar:
    score, points = language.scores[metric], METRICS[metric].points
    low, high = score["ci_low"], score["ci_high"]
    compared = comparable(language)
    is_alike = compared is not None and compared.score is score
    return Bar(
        label=system.label(language),
        value=score["value"] * points,
        low=None if low is None else low * points,
        high=None if high is None else high * points,
        kind=_KINDS[metric],
        published=compared.percent if compared is not None and is_alike else None,
    )
