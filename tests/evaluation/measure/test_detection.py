"""Which language was detected for which."""

from __future__ import annotations

import pyarrow as pa

from evaluation.measure.detection import CONFUSION, confusion
from evaluation.measure.scoring import score
from tests.evaluation.conftest import PairMaker, by_metric, table


def test_language_identification_counts_only_what_was_detected(pair: PairMaker) -> None:
    pairs = table(
        pair(recording_id="1", language="zh-TW", detected_language="zh"),
        pair(recording_id="2", language="zh-TW", detected_language="yue"),
        pair(recording_id="3", language="zh-TW", detected_language=None),
    )
    row = by_metric(score(pairs))["lid_accuracy"]
    assert (row["value"], row["utterances"]) == (0.5, 2)
    told = table(pair(reference="a", hypothesis="a"))
    assert "lid_accuracy" not in by_metric(score(told))
    assert confusion(told).num_rows == 0


def test_confusion_counts_a_recording_once_for_both_tasks(sample_pairs: pa.Table) -> None:
    confused = confusion(sample_pairs)
    assert confused.schema == CONFUSION
    counts = {
        (row["language"], row["detected_language"]): row["utterances"]
        for row in confused.to_pylist()
    }
    assert counts["es", "fr"] == counts["es", "es"] == 1
    assert counts["en", "en"] == 3
