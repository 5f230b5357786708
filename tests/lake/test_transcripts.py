"""A transcript goes into the lake and comes out as Whisper gave it, key for key."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.transcripts import result_of, segment_rows, segments_of

SECONDS = st.floats(0, 1e5, allow_nan=False)
WORD = st.fixed_dictionaries(
    {"word": st.text(), "start": SECONDS, "end": SECONDS, "probability": st.floats(0, 1)}
)
SEGMENT = st.fixed_dictionaries(
    {
        "seek": st.integers(0, 10**7),
        "start": SECONDS,
        "end": SECONDS,
        "text": st.text(),
        "tokens": st.lists(st.integers(0, 51_865), max_size=5),
        "temperature": st.floats(0, 1),
        "avg_logprob": st.floats(-10, 0),
        "compression_ratio": st.floats(0, 10),
        "no_speech_prob": st.floats(0, 1),
    },
    optional={"words": st.lists(WORD, max_size=3)},
)


def numbered(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, **segment} for number, segment in enumerate(segments)]


@settings(deadline=None)
@given(st.lists(SEGMENT, max_size=4).map(numbered))
def test_segments_survive_the_table(segments: list[dict[str, Any]]) -> None:
    rows = segment_rows("t" * 32, "r" * 64, segments)
    stored = pa.Table.from_pylist(rows, schema=SCHEMAS["segments"]).to_pylist()
    assert segments_of(stored) == segments
    transcript = {"text": "all of it", "language": "en", "model": "tiny"}
    assert result_of(transcript, stored) == {
        "text": "all of it",
        "segments": segments,
        "language": "en",
    }


@settings(deadline=None)
@given(SEGMENT)
def test_keys_are_in_the_order_of_whispers(segment: dict[str, Any]) -> None:
    """The JSON files of exports are those of the whisper command byte for byte."""
    [restored] = segments_of(segment_rows("t", "r", [segment]))
    times = ["id", "seek", "start", "end", "text", "tokens"]
    figures = ["temperature", "avg_logprob", "compression_ratio", "no_speech_prob"]
    assert list(restored)[:10] == [*times, *figures]
