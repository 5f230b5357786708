"""Few speakers with many recordings give no more false alarms than the rules allow."""

from __future__ import annotations

from tools.measure_gate import Corpus, false_alarms


def test_drawing_speakers_keeps_the_rate_of_false_alarms_and_drawing_recordings_does_not() -> None:
    found = false_alarms(50, Corpus(languages=2, speakers=20, recordings=10), seed=3)
    nights, figures = found["speaker"]
    assert nights <= 0.12  # 5 % of nights; more than 6 of 50 are 1 chance in 100
    assert 0.01 <= figures <= 0.1
    nights, figures = found["recording"]
    assert nights > 0.3
    assert figures > 0.3
