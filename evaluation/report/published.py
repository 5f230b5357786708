"""Error rates that OpenAI published for Whisper, to show beside one's own.

`published_error_rates.csv` holds those of large-v3 on Common Voice 15 and FLEURS: the numbers in
`language-breakdown.svg` of the repository openai/whisper, as of November 2023. They compare with
one's own only for the same data set, model and metric; no others are shown.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

from evaluation.languages import language_code

SOURCE = "openai/whisper, language-breakdown.svg, November 2023"

_OTHER_REGIONS = {"zh-TW", "zh-HK"}

_FILE = Path(__file__).with_name("published_error_rates.csv")


def published(dataset: str, model: str, language: str, metric: str) -> float | None:
    """OpenAI's figure as a fraction; None if there is none that compares.

    A data set is recognised by the beginning of its name, without case and punctuation: `fleurs`,
    `FLEURS test` and `fleurs_de` are FLEURS, `common_voice_15` is Common Voice 15.
    """
    for name, figures in _figures().items():
        if _plain(dataset).startswith(name):
            return figures.get((_plain(model), language_code(language), metric))
    return None


@cache
def _figures() -> dict[str, dict[tuple[str, str, str], float]]:
    figures: dict[str, dict[tuple[str, str, str], float]] = {}
    with _FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            # A code has no region: `zh` stands for zh-CN, which other regions do not compare with.
            if row["language"] in _OTHER_REGIONS:
                continue
            key = _plain(row["model"]), language_code(row["language"]), row["metric"]
            figures.setdefault(_plain(row["dataset"]), {})[key] = float(row["percent"]) / 100
    return figures


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
