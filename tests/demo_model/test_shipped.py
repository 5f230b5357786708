"""The checkpoint that ships: what it hears, and what its card says of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean

import torch

from tools.demo_model.lexicon import LANGUAGES


def test_the_shipped_checkpoint_hears(
    repository: Path, tmp_path: Path, demo_checkpoint: Path, espeak_library: None
) -> None:
    """Two sentences a language, recordings of two windows, and sounds that are no speech."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tools.demo_model", "check"),
            *("--work", tmp_path, "--model", demo_checkpoint, "--scale", "0.03"),
        ],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'plugins'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "check.json").read_text())
    assert set(found["languages"]) == {"en", "es", "de", "fr", "ru", "zh"}
    figures = found["languages"].values()
    # Over all languages: a single one of two short sentences may go wrong.
    assert mean(one["wer"] for one in figures) <= 10, found
    assert mean(one["language_id"] for one in figures) >= 90, found
    assert mean(one["language_id_of_more"] for one in figures) >= 90, found
    assert mean(one["wer_long"] for one in figures) <= 10, found
    assert mean(one["bleu"] for one in figures if one["bleu"] is not None) >= 80, found
    assert not [name for name, text in found["no_speech"].items() if text.strip()]


def test_the_card_is_about_this_checkpoint(repository: Path, demo_checkpoint: Path) -> None:
    card = (repository / "models" / "README.md").read_text()
    assert hashlib.sha256(demo_checkpoint.read_bytes()).hexdigest() in card
    assert demo_checkpoint.stat().st_size < 25e6
    weights = torch.load(demo_checkpoint, weights_only=True)["model_state_dict"]
    assert {value.dtype for value in weights.values()} == {torch.float16}
    for language in LANGUAGES:
        assert re.search(rf"\|[^\n]*\b{language}\b", card), language
