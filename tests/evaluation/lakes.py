"""A lake after two nights and an evaluation, made of rows: transcripts, references, a baseline.

German gets worse in the second night, English stays, Chinese and the translations have no
baseline. English has the times of words, the others those of segments.
"""

from __future__ import annotations

import hashlib
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.gate.baselines import set_baselines
from evaluation.pairs.systems import Chosen
from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake

RECORDINGS = 12  # of each language
DURATION_S = 8.0
NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
MODEL = {"model_id": "a" * 64, "model": "large-v3", "options_key": "0123456789abcdef"}

REFERENCES = {
    "en": "The night train to <b>Vienna</b> leaves from platform nine at ten",
    "de": "Der Nachtzug nach Wien fährt um zehn Uhr von Gleis neun ab",
    "zh": "今天晚上会下雨图书馆在哪里",
}
TOLD = {
    "en": ["The night train to <b>Vienna</b>", " leaves from platform five at ten"],
    "de": ["Der Nachtzug nach Wien", " fährt um zehn Uhr von Gleis neun ab"],
    "zh": ["今天晚上会下雪", "图书馆在哪里"],
}
WORSE = ["Der Nachtzug noch Linz", " gärt um elf Uhr"]
"""What the second night heard of German: `von Gleis neun ab` is missing. It heard nothing at all of
the first recording."""


def judged_lake(folder: Path) -> Lake:
    """The lake, with a baseline of the first night; not evaluated yet."""
    archive = folder / "archive"
    archive.mkdir(parents=True)
    lake = open_lake(str(folder / "lake"))
    recordings = {
        language: [_write(archive, f"{language}-{n:02}.wav", place) for n in range(RECORDINGS)]
        for place, language in enumerate(REFERENCES)
    }
    _append(lake, "recordings", [r for every in recordings.values() for r, _ in every])
    _append(lake, "sources", [s for every in recordings.values() for _, s in every])
    references = [
        _reference(recording["recording_id"], language, "transcribe", REFERENCES[language])
        for language, every in recordings.items()
        for recording, _ in every
        if language != "zh"
    ]
    _append(lake, "reference_texts", references)
    for language in ("en", "de"):
        transcribe(lake, recordings[language], language, TOLD[language], NIGHT)
    set_baselines(lake, "first", Chosen(), "as it came")
    night = NIGHT + timedelta(days=1)
    transcribe(lake, recordings["en"], "en", TOLD["en"], night)
    transcribe(lake, recordings["de"][1:], "de", WORSE, night)
    transcribe(lake, recordings["de"][:1], "de", [], night)
    transcribe(lake, recordings["zh"], "zh", TOLD["zh"], night)
    transcribe(lake, recordings["de"], "de", ["It rains."], night, task="translate")
    _append(
        lake,
        "reference_texts",
        [
            *(
                _reference(recording["recording_id"], "zh", "transcribe", REFERENCES["zh"])
                for recording, _ in recordings["zh"]
            ),
            *(
                _reference(recording["recording_id"], "de", "translate", "It rained at night.")
                for recording, _ in recordings["de"]
            ),
        ],
    )
    return lake


def transcribe(
    lake: Lake,
    recordings: list[tuple[dict[str, Any], dict[str, Any]]],
    language: str,
    texts: list[str],
    night: datetime,
    task: str = "transcribe",
) -> None:
    """Transcripts of all these recordings, with a segment for each text, each of four seconds."""
    transcripts, segments = [], []
    for recording, _ in recordings:
        name = f"{recording['recording_id'][:16]}-{task}-{night:%d}"
        transcripts.append(
            {
                **MODEL,
                "transcript_id": name,
                "recording_id": recording["recording_id"],
                "task": task,
                "options": "{}",
                "language": language,
                "text": "".join(texts).strip(),
                "duration_s": DURATION_S,
                "segment_count": len(texts),
                "engine": "batched",
                "precision": "float32",
                "versions": "{}",
                "batch_id": "b",
                "attempt_id": "b",
                "avg_logprob": -0.2,
                "created_at": night,
            }
        )
        segments += [
            {
                "transcript_id": name,
                "recording_id": recording["recording_id"],
                "index": index,
                "seek": 0,
                "start_s": 4.0 * index,
                "end_s": 4.0 * index + 3.5,
                "text": text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": -0.2,
                "compression_ratio": 1.0,
                "no_speech_prob": 0.0,
                "words": _words(text, 4.0 * index) if language == "en" else None,
            }
            for index, text in enumerate(texts)
        ]
    _append(lake, "transcripts", transcripts)
    _append(lake, "segments", segments)


def _words(text: str, start_s: float) -> list[dict[str, Any]]:
    """A word every half second."""
    return [
        {
            "word": f" {word}",
            "start": start_s + 0.5 * index,
            "end": start_s + 0.5 * index + 0.4,
            "probability": 0.9,
        }
        for index, word in enumerate(text.split())
    ]


def _reference(recording_id: str, language: str, task: str, text: str) -> dict[str, Any]:
    return {
        "recording_id": recording_id,
        "task": task,
        "dataset": "news & <talks>",
        "language": language,
        "text": text,
    }


def _write(archive: Path, name: str, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A file of faint noise; its rows of `recordings` and `sources`."""
    seed = place * RECORDINGS + len(list(archive.iterdir()))
    samples = np.random.default_rng(seed).integers(-50, 50, int(8000 * DURATION_S), np.int16)
    with wave.open(str(archive / name), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    content = (archive / name).read_bytes()
    identifier = hashlib.sha256(content).hexdigest()
    recording = {
        "recording_id": identifier,
        "duration_s": DURATION_S,
        "container": "wav",
        "codec": "pcm_s16le",
        "sample_rate": 8000,
        "channels": 1,
        "size_bytes": len(content),
    }
    source = {
        "archive": archive.as_uri(),
        "member": name,
        "recording_id": identifier,
        "collection": archive.as_uri(),
        "position": 0,
        "size_bytes": len(content),
        "version": "1",
    }
    return recording, source


def _append(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    lake.append(table, rows_of(table, rows, "made"))
