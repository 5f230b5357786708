"""`nightscribe transcribe` writes the files of the `whisper` command, with real weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.export.formats import FORMATS
from tests.real_speech.conftest import Spoken

# FFmpeg's releases differ in how they resample 16-bit PCM (docs/audio.md): both get our samples.
WHISPER = """
import warnings, whisper.audio
from nightscribe.audio.decode import decode
warnings.simplefilter("ignore")
whisper.audio.load_audio = lambda file: decode(file).samples
from whisper.transcribe import cli
cli()
"""


@pytest.mark.timeout(1200)  # the whisper command takes minutes
@pytest.mark.parametrize("flags", ["", "--word_timestamps True --max_line_width 40"])
def test_all_formats_are_the_same_files(
    flags: str, checkpoint: Path, spoken: list[Spoken], tmp_path: Path
) -> None:
    """At temperature 0 alone: above it, the whisper command draws other numbers each time."""
    arguments = [
        *(str(one.path) for one in spoken[::9]),
        *("--model", str(checkpoint), "--device", "cpu", "--threads", "1", "--verbose", "False"),
        *("--temperature_increment_on_fallback", "None", *flags.split(), "--output_dir"),
    ]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    subprocess.run(
        [sys.executable, "-c", WHISPER, *arguments, str(theirs)], check=True, timeout=900
    )
    assert cli.main(["transcribe", *arguments, str(ours)]) == 0
    names = {f"{one.path.stem}.{form}" for one in spoken[::9] for form in FORMATS}
    assert {path.name for path in theirs.iterdir()} == names
    different = [n for n in sorted(names) if (ours / n).read_bytes() != (theirs / n).read_bytes()]
    assert different == []
