"""OpenAI's own figures are found for the same data set, model, language and metric only."""

from __future__ import annotations

import pytest

from evaluation.report.published import published


@pytest.mark.parametrize(
    ("dataset", "model", "language", "metric", "value"),
    [
        ("Common Voice 15", "large-v3", "nl", "wer", 0.043),
        ("common_voice_15_test", "large-v3", "Dutch", "wer", 0.043),
        ("Common Voice 15", "large-v3", "ko", "cer", 0.052),
        ("Common Voice 15", "large-v3", "ko", "wer", None),
        ("Common Voice 17", "large-v3", "nl", "wer", None),
        ("Common Voice 15", "large-v2", "nl", "wer", None),
        ("radio", "large-v3", "nl", "wer", None),
    ],
)
def test_only_what_compares_is_found(
    dataset: str, model: str, language: str, metric: str, value: float | None
) -> None:
    assert published(dataset, model, language, metric) == (
        None if value is None else pytest.approx(value)
    )
