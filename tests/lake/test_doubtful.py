"""The view `doubtful` names what Whisper itself doubts, and where to listen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nightscribe.lake.doubt import FIGURES, LANGUAGE_PROBABILITY
from nightscribe.lake.doubtful import REASONS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.lake.made_up import segment, transcript

SURE = {"language_probability": 0.9}


def lake_of(folder: Path, transcripts: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> Lake:
    """A lake with transcripts, each of these segments; each in one place."""
    lake = open_lake(str(folder))
    rows, segments, sources = [], [], []
    for number, (changes, parts) in enumerate(transcripts):
        recording = changes.get("recording_id", f"r{number}")
        row = {**transcript(f"t{number}", recording), **SURE, **changes}
        rows.append({**row, "segment_count": len(parts)})
        segments += [
            {**segment(f"t{number}", index), "recording_id": recording, **part}
            for index, part in enumerate(parts)
        ]
        sources.append(
            {
                "archive": "file:///radio",
                "member": f"{recording}.wav",
                "recording_id": recording,
                "collection": "file:///radio",
                "position": 0,
                "size_bytes": 1,
                "version": "v",
            }
        )
    lake.append("transcripts", rows_of("transcripts", rows, "run"))
    lake.append("segments", rows_of("segments", segments))
    unique = {row["member"]: row for row in sources}
    lake.append("sources", rows_of("sources", list(unique.values()), "run"))
    return lake


@pytest.mark.parametrize(
    ("part", "reasons"),
    [
        ({}, None),
        ({"avg_logprob": -1.0}, None),
        ({"avg_logprob": -1.001}, ["avg_logprob"]),
        ({"compression_ratio": 2.4}, None),
        ({"compression_ratio": 2.41}, ["compression_ratio"]),
        ({"no_speech_prob": 0.6}, None),
        ({"no_speech_prob": 0.61}, ["no_speech_prob"]),
        ({"no_speech_prob": 0.99, "text": " "}, None),
        ({"temperature": 0.2}, ["temperature"]),
        (
            {"avg_logprob": -2.0, "compression_ratio": 9.0, "temperature": 1.0},
            ["avg_logprob", "compression_ratio", "temperature"],
        ),
    ],
)
def test_a_segment_beyond_a_threshold_is_a_reason(
    tmp_path: Path, part: dict[str, Any], reasons: list[str] | None
) -> None:
    lake = lake_of(tmp_path / "lake", [({}, [{}, part])])
    rows = read(lake, "FROM doubtful").to_pylist()
    if reasons is None:
        assert rows == []
        return
    [row] = rows
    assert row["reasons"] == reasons
    assert (row["doubtful_segments"], row["segment_count"], row["worst_s"]) == (1, 2, 1.0)
    assert (row["archive"], row["member"]) == ("file:///radio", "r0.wav")
    for figure in FIGURES:
        assert row[figure.column] == (part[figure.column] if figure.column in reasons else None)


def test_the_language_is_doubted_below_its_limit(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path / "lake",
        [
            ({"language_probability": LANGUAGE_PROBABILITY}, [{}]),
            ({"language_probability": 0.499}, [{}]),
            ({"language_probability": None}, [{}]),  # the language was given
            ({"language_probability": 0.1}, [{"temperature": 0.4}]),
        ],
    )
    rows = read(lake, "FROM doubtful ORDER BY transcript_id").to_pylist()
    assert [(row["transcript_id"], row["reasons"], row["worst_s"]) for row in rows] == [
        ("t1", ["language_probability"], None),
        ("t3", ["temperature", "language_probability"], 0.0),
    ]
    assert {name for row in rows for name in row["reasons"]} <= set(REASONS)


def test_the_worst_segment_has_the_most_reasons_and_then_the_lowest_probability(
    tmp_path: Path,
) -> None:
    parts = [
        {"avg_logprob": -3.0},
        {"avg_logprob": -1.5, "temperature": 0.2},
        {"avg_logprob": -1.6, "temperature": 0.2},
        {"avg_logprob": -1.6, "temperature": 0.2},
        {},
    ]
    lake = lake_of(tmp_path / "lake", [({}, parts)])
    [row] = read(lake, "FROM doubtful").to_pylist()
    assert (row["worst_s"], row["doubtful_segments"]) == (2.0, 4)
    assert (row["avg_logprob"], row["temperature"]) == (-3.0, 0.2)


def test_only_the_latest_transcript_counts(tmp_path: Path) -> None:
    bad, good = [{"avg_logprob": -2.0}], [{}]
    lake = open_lake(str(tmp_path / "lake"))
    lake_of(tmp_path / "lake", [({"recording_id": "r", "options_key": "old"}, bad)])
    assert read(lake, "FROM doubtful").num_rows == 1
    newer = {**transcript("newer", "r"), **SURE}
    lake.append("transcripts", rows_of("transcripts", [newer], "run"))
    lake.append("segments", rows_of("segments", [{**segment("newer"), **good[0]}]))
    assert read(lake, "FROM doubtful").num_rows == 0


def test_search_has_the_figures(tmp_path: Path) -> None:
    part = {"avg_logprob": -2.0, "compression_ratio": 3.0, "no_speech_prob": 0.7}
    lake = lake_of(tmp_path / "lake", [({}, [{**part, "temperature": 0.4}])])
    [row] = read(lake, f"SELECT {', '.join(REASONS)} FROM search").to_pylist()
    assert row == {**part, "temperature": 0.4, **SURE}
