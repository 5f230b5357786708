"""The archive of the benchmarks: recordings of many lengths and formats, spoken by espeak-ng."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.cli.excerpts import NOISE_S, noise

MANIFEST = "manifest.csv"
SHORTEST_S, LONGEST_S = 3.0, 150.0
_SEED = 1
LANGUAGES = ("en", "es", "de", "fr", "ru", "zh")


@dataclass(frozen=True)
class Recorded:
    """A recording of the archive."""

    path: str
    seconds: float
    text: str | None = None  # what is said in it, if known
    language: str | None = None  # code


def lengths(count: int) -> list[float]:
    """Lengths in seconds, evenly spaced on a logarithmic scale: many are short, few are long."""
    ratio = LONGEST_S / SHORTEST_S
    return [SHORTEST_S * ratio ** ((number + 0.5) / count) for number in range(count)]


def write_archive(folder: Path, count: int) -> None:
    """Write `count` recordings and a manifest with their true texts. Every process writes the same.

    A second call in the same process differs, since espeak-ng does not reset its noise generator.
    The manifest is written last: a folder without one is incomplete.
    """
    from tools.demo_model.clips import encoded
    from tools.demo_model.recording import recording
    from tools.demo_model.samples import FORMS

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    # As in a real archive, long recordings are not all at the end.
    mixed = lengths(count)
    random.Random(_SEED).shuffle(mixed)
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        form = FORMS[number // len(LANGUAGES) % len(FORMS)]
        spoken = recording(language, mixed[number], seed=number)
        name = f"{number:04}-{language}.{form.suffix}"
        (folder / name).write_bytes(encoded(spoken.samples, form))
        rows.append([name, language, spoken.text(language)])
    with (folder / MANIFEST).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "language", "text"])
        writer.writerows(rows)


def read_archive(folder: Path, count: int) -> list[Recorded]:
    """The first `count` recordings of a folder's manifest. Creates an archive in a new folder.

    Raises:
        SystemExit: the folder has files, but no manifest.
    """
    if not (folder / MANIFEST).is_file():
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(
                f"{folder} has files, but no {MANIFEST} (columns path, language, text): give "
                "another folder, or a new one, in which recordings are created"
            )
        write_archive(folder, count)
    with (folder / MANIFEST).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:count]
    found = []
    for row in rows:
        path = str(folder / row["path"])
        seconds = len(decode(path).samples) / SAMPLE_RATE
        found.append(Recorded(path, seconds, row.get("text"), row.get("language")))
    return found


def noise_archive(folder: Path, count: int) -> list[Recorded]:
    """`count` recordings of 30 s of noise: windows for random weights, which do not listen."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, sound in enumerate(islice(cycle(noise()), count)):
        path = folder / f"{number}.wav"
        path.write_bytes(sound)
        found.append(Recorded(str(path), NOISE_S))
    return found
