"""A real checkpoint and real recordings, where they are: neither is ours to ship.

`NIGHTSCRIBE_TEST_MODEL` names the checkpoint, such as OpenAI's `base.pt`, and
`NIGHTSCRIBE_TEST_SPEECH` a folder with recordings and a `manifest.csv` whose columns are `path`,
`language` and `text`.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import whisper
from whisper.timing import dtw

from nightscribe.whisper.contract import LoadedModel
from nightscribe.whisper.engines import load_model

MODEL, SPEECH = "NIGHTSCRIBE_TEST_MODEL", "NIGHTSCRIBE_TEST_SPEECH"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "real" / "speech"


@dataclass(frozen=True)
class Spoken:
    """A real recording. Its text is empty where it is not known."""

    path: Path
    language: str
    text: str


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """A real checkpoint."""
    if not (named := os.environ.get(MODEL, "").strip()):
        pytest.skip(f"{MODEL} names no real checkpoint, such as OpenAI's base.pt")
    return Path(named)


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> LoadedModel:
    """The checkpoint in float32, in one thread, so that sums have one order."""
    dtw(torch.zeros(2, 2))  # starts Numba's threads, which would set torch's anew
    torch.set_num_threads(1)
    loaded = load_model(str(checkpoint), "cpu")
    if heads := whisper._ALIGNMENT_HEADS.get(checkpoint.stem):
        loaded.network.set_alignment_heads(heads)
    return loaded


@pytest.fixture(scope="session")
def spoken() -> list[Spoken]:
    """All real recordings."""
    folder = Path(os.environ.get(SPEECH, "").strip() or BESIDE)
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"{SPEECH} names no folder with a manifest.csv, and none is at {folder}")
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [
            Spoken(folder / row["path"], row["language"], row["text"] or "")
            for row in csv.DictReader(file)
        ]
