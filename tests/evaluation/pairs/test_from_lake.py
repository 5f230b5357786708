"""The join of references and transcripts, on tables of the lake's schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from evaluation.measure.detection import confusion
from evaluation.measure.scoring import score
from evaluation.pairs.from_lake import pairs
from evaluation.pairs.table import PAIRS
from nightscribe.lake.schema import SCHEMAS

_ZEROS: dict[str, Any] = {"string": "", "double": 0.0, "int32": 0, "int64": 0}


EXTRA = [
    *("variety", "split", "duration_s", "speaker", "session", "source", "transcript_id"),
    *("transcribed_at", "sequence"),
    *("letters", "letters_over_silence", "kind"),
]


def _row(table: str, **values: Any) -> dict[str, Any]:
    """A row with every required column filled."""
    noon = datetime(2025, 1, 1, 12, tzinfo=UTC)
    required = {
        field.name: _ZEROS.get(str(field.type), noon)
        for field in SCHEMAS[table]
        if not field.nullable
    }
    return required | values


@pytest.fixture
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    rows = {
        "reference_texts": [
            _row(
                "reference_texts",
                recording_id=r,
                task=task,
                dataset=d,
                language=language,
                text=f"{r} {d}",
            )
            for r, task, d, language in (
                ("r1", "transcribe", "night", "es"),
                ("r1", "translate", "night", "es"),
                ("r1", "transcribe", "day", "es"),
                ("r2", "transcribe", "night", "en"),
                ("unheard", "transcribe", "night", "en"),
            )
        ],
        "transcripts": [
            _row(
                "transcripts",
                transcript_id=text,
                recording_id=r,
                task=task,
                model_id=m,
                model=m,
                options_key=str(language),
                options=json.dumps({"beam_size": None, "language": language}),
                language=language or "fr",
                text=text,
                duration_s=2.5,
                created_at=datetime(2025, 1, 1, hour, tzinfo=UTC),
            )
            for r, task, m, language, text, hour in (
                ("r1", "transcribe", "tiny", None, "old", 1),
                ("r1", "transcribe", "tiny", None, "new", 2),
                ("r1", "translate", "tiny", None, "English", 1),
                ("r1", "transcribe", "base", "es", "told", 1),
                ("r2", "transcribe", "tiny", None, "two", 1),
                ("unreferenced", "transcribe", "tiny", None, "three", 1),
            )
        ],
        "segments": [
            _row("segments", transcript_id="told", text=text, tokens=[], no_speech_prob=silence)
            for text, silence in ((" said", 0.1), (" thanks", 0.9))
        ],
        "sources": [
            _row("sources", recording_id="r1", archive=archive, member="clips/1.wav")
            for archive in ("s3://b/two.zip", "s3://b/one.zip")
        ]
        + [
            _row("sources", recording_id="r2", archive="file:///Wow!/radio", member="2.wav"),
        ],
    }
    with duckdb.connect() as connection:
        for table, content in rows.items():
            connection.register(table, pa.Table.from_pylist(content, schema=SCHEMAS[table]))
        yield connection


def test_pairs_are_references_with_every_models_newest_transcript(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    found = pairs(lake)
    assert found.column_names == [*PAIRS.names, *EXTRA]
    keys = ("dataset", "recording_id", "task", "model_id", "hypothesis")
    assert sorted(tuple(row[key] for key in keys) for row in found.to_pylist()) == [
        ("day", "r1", "transcribe", "base", "told"),
        ("day", "r1", "transcribe", "tiny", "new"),
        ("night", "r1", "transcribe", "base", "told"),
        ("night", "r1", "transcribe", "tiny", "new"),
        ("night", "r1", "translate", "tiny", "English"),
        ("night", "r2", "transcribe", "tiny", "two"),
    ]


def test_a_language_that_the_options_name_was_not_detected(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    detected = {row["hypothesis"]: row["detected_language"] for row in pairs(lake).to_pylist()}
    assert detected == {"told": None, "new": "fr", "English": "fr", "two": "fr"}


def test_pairs_say_where_to_listen(lake: duckdb.DuckDBPyConnection) -> None:
    places = {row["recording_id"]: row["source"] for row in pairs(lake).to_pylist()}
    assert places == {"r1": "s3://b/one.zip!/clips/1.wav", "r2": "file:///Wow%21/radio!/2.wav"}


def test_a_content_that_no_source_has_any_more_is_not_scored(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    lake.register("sources", SCHEMAS["sources"].empty_table())
    assert pairs(lake).num_rows == 0


def test_pairs_say_how_much_text_is_over_silence(lake: duckdb.DuckDBPyConnection) -> None:
    found = pairs(lake)
    letters = {
        row["hypothesis"]: (row["letters_over_silence"], row["letters"])
        for row in found.to_pylist()
    }
    assert letters["told"] == (6, 10)
    assert letters["new"] == (None, None)
    [share] = [
        row
        for row in score(found).to_pylist()
        if row["metric"] == "text_over_silence" and row["dataset"] == "night"
    ]
    assert (share["value"], share["utterances"]) == (0.6, 1)


def test_pairs_of_a_lake_can_be_scored(lake: duckdb.DuckDBPyConnection) -> None:
    found = pairs(lake)
    assert {"wer", "bleu", "lid_accuracy"} <= set(score(found)["metric"].to_pylist())
    assert confusion(found).num_rows == 3


def test_duckdb_needs_no_download_for_json() -> None:
    [[mode]] = duckdb.sql(
        "SELECT install_mode FROM duckdb_extensions() WHERE extension_name = 'json'"
    ).fetchall()
    assert mode == "STATICALLY_LINKED"
