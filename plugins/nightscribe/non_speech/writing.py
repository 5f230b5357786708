"""Writes recordings without speech and the manifest that says so, as a data set in a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.wav import wav_content
from nightscribe.errors import ConfigurationError, Rejected
from nightscribe.languages import NO_SPEECH
from nightscribe.non_speech.catalog import CATALOG, as_steps, generate
from nightscribe.non_speech.room_tone import NoRoomTone, room_tone
from nightscribe.whole_file import whole_file

__all__ = ["DATASET", "ROOM_TONE", "Written", "write_non_speech"]

DATASET = "non_speech"
"""Name of the data set in the manifest."""

ROOM_TONE = "room_tone"
"""Kind of the recordings that are made of a user's own."""

_COLUMNS = ("path", "language", "text", "dataset", "kind", "duration_s", "source")


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        manifest: its path
        recordings: how many
        duration_s: of all of them
        without_room_tone: a user's recording → why it has no room tone
    """

    manifest: Path
    recordings: int
    duration_s: float
    without_room_tone: dict[Path, str]


def write_non_speech(folder: Path, room_tone_of: Sequence[Path] = ()) -> Written:
    """Write the generated set, and room tone of recordings, as WAV files with a `manifest.csv`.

    Files of an earlier call are replaced. The same arguments give the same files.

    Args:
        folder: made if it does not exist
        room_tone_of: recordings, or folders of them

    Raises:
        ConfigurationError: no recording is there, or one is in `folder`
        OSError: a file cannot be written
    """
    sources = _recordings(room_tone_of, folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    for described in CATALOG:
        path = f"{described.kind}/{described.name}.wav"
        rows.append(_write(folder, path, described.kind, generate(described)))
    without: dict[Path, str] = {}
    for number, source in enumerate(sources, start=1):
        try:
            samples = room_tone(as_steps(decode(source).samples))
        except (NoRoomTone, Rejected) as error:
            without[source] = str(error)
            continue
        row = _write(folder, f"{ROOM_TONE}/{number:03}.wav", ROOM_TONE, samples)
        rows.append(row | {"source": source.name})
    manifest = folder / "manifest.csv"
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(manifest) as target:
        target.write_text(text.getvalue(), encoding="utf-8")
    duration_s = sum(float(row["duration_s"]) for row in rows)
    return Written(manifest, len(rows), duration_s, without)


def _recordings(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The audio files at these paths, in order."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: is not there: give --room-tone your recordings")
        here = sorted(_audio(path))
        if not here:
            raise ConfigurationError(f"{path}: no file in it has the name of an audio file")
        found += [one for one in here if one not in found]
    inside = [one for one in found if one.resolve().is_relative_to(folder.resolve())]
    if inside:
        raise ConfigurationError(
            f"{inside[0]}: is in {folder}, where the data set is written: choose another --out"
        )
    return found


def _audio(path: Path) -> Iterator[Path]:
    files = [path] if path.is_file() else path.rglob("*")
    return (one for one in files if one.is_file() and kind_of(one.name) is Kind.AUDIO)


def _write(folder: Path, path: str, kind: str, samples: NDArray[np.int16]) -> dict[str, str]:
    """Write a recording; returns its row of the manifest."""
    target = folder / path
    target.parent.mkdir(exist_ok=True)
    with whole_file(target) as temporary:
        temporary.write_bytes(wav_content(samples, SAMPLE_RATE))
    return {
        "path": path,
        "language": NO_SPEECH,
        "dataset": DATASET,
        "kind": kind,
        "duration_s": f"{len(samples) / SAMPLE_RATE:g}",
    }
