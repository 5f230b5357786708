"""Pairs in many languages and scripts, as a set of transcripts would have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from evaluation.pairs.table import PAIRS

SAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("Mr. Smith paid twenty-one dollars.", "Mister Smith paid $21."),
        ("The colour of the harbour at night", "the color of the harbor at knight"),
        ("It's eight o'clock (laughs) already!", "it is 8 o'clock already"),
    ),
    "de": (
        ("Die Straße führt über den Fluss.", "Die Strasse führt über Fluß."),
        ("Heute Nacht läuft der große Lauf.", "heute nacht läuft der große lauf"),
    ),
    "fr": (
        ("L’école est fermée jusqu’à midi.", "L'ecole est fermée jusqu'à mardi."),
        ("Où allez-vous ce soir ?", "Ou allez vous ce soir"),
    ),
    "es": (
        ("¿Dónde está la biblioteca?", "¿Dónde esta la la biblioteca?"),
        ("El niño duerme.", ""),
    ),
    "ru": (
        ("Сегодня ночью идёт снег.", "Сегодня ночью идет снег"),
        ("Я читаю новую книгу", "я читал новую книгу"),
    ),
    "tr": (
        ("İstanbul'da hava çok güzel.", "istanbulda hava güzel"),
        ("Işıklar söndü", "ışıklar söndü"),
    ),
    "ko": (
        ("오늘 밤에는 비가 옵니다.", "오늘밤에는 비가 와요"),
        ("도서관은 어디에 있습니까?", "도서관은 어디에 있습니까"),
    ),
    "ar": (
        ("ذهبَ الولدُ إلى المدرسةِ.", "ذهب الولد الى المدرسة"),
        ("أين المكتبة؟", "أين المكتب"),
    ),
    "hi": (("लड़का स्कूल जा रहा है।", "लड़का स्कूल जाता है"), ("आज रात बारिश होगी", "आज रात बारिश होगी")),
    "zh": (("今天晚上会下雨。", "今天晚上下雪"), ("图书馆在哪里？", "图书馆在哪里")),
    "ja": (
        ("今夜は雨が降ります。", "今夜は雪が降る"),
        ("図書館はどこですか？", "図書館はどこですか"),
    ),
    "th": (("คืนนี้ฝนจะตก", "คืนนี้ฝนตก"), ("ห้องสมุดอยู่ที่ไหน", "ห้องสมุดอยู่ไหน")),
    "my": (("ယနေ့ည မိုးရွာမည်။", "ယနေ့ည မိုးရွာ"),),
    "el": (
        ("Απόψε θα βρέξει.", "απόψε θα βρεξει"),
        ("Πού είναι η βιβλιοθήκη;", "που είναι βιβλιοθήκη"),
    ),
}
"""Language → (reference, hypothesis): spelling, case, marks, gaps and repetitions differ."""

PairMaker = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def samples() -> dict[str, tuple[tuple[str, str], ...]]:
    """Language → pairs of reference and hypothesis."""
    return SAMPLES


def make_pair(**changed: Any) -> dict[str, Any]:
    """One row of pairs: English, one recording, as changed."""
    row = {
        "dataset": "test",
        "language": "en",
        "task": "transcribe",
        "model_id": "m" * 64,
        "model": "tiny",
        "options_key": "0123456789abcdef",
        "recording_id": "r0",
        "reference": "",
        "hypothesis": "",
        "detected_language": None,
    }
    return row | changed


def table(*rows: dict[str, Any]) -> pa.Table:
    """A table of pairs, with the speakers and sessions that rows name."""
    names = [name for name in ("speaker", "session") if any(name in row for row in rows)]
    schema = pa.schema([*PAIRS, *(pa.field(name, pa.string()) for name in names)])
    return pa.Table.from_pylist(list(rows), schema=schema)


def by_metric(scores: pa.Table) -> dict[str, dict[str, Any]]:
    """The scores of one group by their metrics."""
    return {row["metric"]: row for row in scores.to_pylist()}


@pytest.fixture(scope="session")
def pair() -> PairMaker:
    """Makes one row of pairs."""
    return make_pair


@pytest.fixture(scope="session")
def sample_pairs() -> pa.Table:
    """All samples: transcribed, with Spanish taken for French once, and translated."""
    rows = []
    for language, texts in SAMPLES.items():
        for index, (reference, hypothesis) in enumerate(texts):
            recording = f"{language}-{index}"
            detected = "fr" if recording == "es-0" else language
            rows.append(
                make_pair(
                    language=language,
                    recording_id=recording,
                    reference=reference,
                    hypothesis=hypothesis,
                    detected_language=detected,
                )
            )
            rows.append(
                make_pair(
                    language=language,
                    task="translate",
                    recording_id=recording,
                    reference="Tonight it is going to rain on the library, Sara.",
                    hypothesis=f"Tonight it is going to rain in the {language} library.",
                    detected_language=detected,
                )
            )
    return table(*rows)
