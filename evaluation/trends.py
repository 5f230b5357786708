"""How the headline figures went from one evaluation to the next."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from evaluation.charts import Trend, trend_chart
from evaluation.summary import SystemScores, scale

EVALUATIONS = 30
"""Newest ones that a trend shows."""

_NAMES = {"error": "Error rate", "bleu": "BLEU"}


def system_trends(
    system: SystemScores, history: pa.Table | None, name: str
) -> list[tuple[str, Markup]]:
    """Heading and chart for the error rate and for BLEU; none before the second evaluation.

    Args:
        history: columns as from `from_lake.history`, the oldest evaluation first
        name: unique within the page
    """
    if history is None:
        return []
    labels = {(one.language, one.options_key): system.label(one) for one in system.languages}
    values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    when: dict[str, Any] = {}
    for row in history.to_pylist():
        label = labels.get((row["language"], row["options_key"]))
        if label and (row["dataset"], row["model_id"]) == (system.dataset, system.model_id):
            kind = "bleu" if row["metric"] == "bleu" else "error"
            values[kind][label][row["score_id"]] = row["value"] * scale(row["metric"])
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
