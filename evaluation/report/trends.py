"""How the headline figures changed over the evaluations of a lake."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from markupsafe import Markup

from evaluation.languages import language_code
from evaluation.measure.metrics import METRICS
from evaluation.pairs.table import tag_of
from evaluation.report.by_language import SystemScores
from evaluation.report.charts import Trend, trend_chart

if TYPE_CHECKING:
    import duckdb

__all__ = ["EVALUATIONS", "history", "system_trends"]

EVALUATIONS = 30
"""The newest evaluations that a trend shows, the present one included."""

_NAMES = {"error": "Error rate", "bleu": "BLEU"}

_HISTORY = """
SELECT dataset, language, variety, model_id, options_key, metric, value, score_id, created_at
FROM scores
WHERE headline AND score_id IN (
    SELECT score_id FROM scores GROUP BY score_id
    ORDER BY max(sequence) DESC NULLS LAST, max(created_at) DESC, score_id LIMIT ?
)
ORDER BY sequence NULLS FIRST, created_at, score_id DESC
"""


def history(connection: duckdb.DuckDBPyConnection, evaluations: int) -> pa.Table:
    """The headline scores of the newest evaluations, the oldest of them first.

    Args:
        connection: with the lake's view `scores`
        evaluations: how many

    Returns:
        columns dataset, language, variety, model_id, options_key, metric, value, score_id and
        created_at
    """
    return connection.sql(_HISTORY, params=[evaluations]).to_arrow_table()


def system_trends(
    system: SystemScores, history: pa.Table | None, name: str
) -> list[tuple[str, Markup]]:
    """Heading and chart for the error rate and for BLEU; none before the second evaluation.

    Args:
        history: as returned by `history`, with the present evaluation as the last
        name: unique within the page
    """
    if history is None:
        return []
    labels = _labels(system)
    values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    when: dict[str, Any] = {}
    for row in history.to_pylist():
        label = labels.get((tag_of(row), row["options_key"]))
        if label and (row["dataset"], row["model_id"]) == (system.dataset, system.model_id):
            kind = "bleu" if row["metric"] == "bleu" else "error"
            values[kind][label][row["score_id"]] = row["value"] * METRICS[row["metric"]].points
            when.setdefault(row["score_id"], row["created_at"])
    if len(when) < 2:
        return []
    days = [f"{created_at:%Y-%m-%d}" for created_at in when.values()]
    charts = []
    for kind, languages in sorted(values.items(), reverse=True):
        unit = ", %" if kind == "error" else ""
        chart = trend_chart(
            [
                Trend(label, [found.get(score_id, float("nan")) for score_id in when])
                for label, found in sorted(languages.items())
            ],
            ends=(days[0], days[-1]),
            axis=f"{_NAMES[kind].lower() if unit else _NAMES[kind]}{unit}, {len(when)} evaluations",
            name=f"{name}-{kind}",
            title=f"{_NAMES[kind]} by language over the last {len(when)} evaluations, "
            f"{system.dataset}, {system.model}",
        )
        charts.append((_NAMES[kind], Markup(chart)))
    return charts


def _labels(system: SystemScores) -> dict[tuple[str, str], str]:
    """Tag and options → label.

    Earlier evaluations may not have the region of a language. If it has one region only, their
    figures are of the same recordings.
    """
    labels = {(one.language, one.options_key): system.label(one) for one in system.languages}
    regions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in system.languages:
        regions[language_code(one.language), one.options_key].append(system.label(one))
    return {key: found[0] for key, found in regions.items() if len(found) == 1} | labels
