"""What the engines are given: recordings of many lengths in many formats, made by espeak-ng."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE

MANIFEST = "manifest.csv"
SHORTEST_S, LONGEST_S = 3.0, 150.0
_SEED = 1
LANGUAGES = ("en", "es", "de", "fr", "ru", "zh")


@dataclass(frozen=True)
class Recorded:
    """A recording of the archive; what is said in it, where that is known."""

    path: str
    seconds: float
    text: str | None = None
    language: str | None = None


def lengths(count: int) -> list[float]:
    """Lengths in seconds, evenly spread on a logarithmic scale: many short ones, few long ones."""
    ratio = LONGEST_S / SHORTEST_S
    return [SHORTEST_S * ratio ** ((number + 0.5) / count) for number in range(count)]


def write_archive(folder: Path, count: int) -> None:
    """Write so many recordings and a manifest with the truth; the same ones in every process.

    (Not twice in one: espeak-ng draws its noise from a generator that goes on from call to call.)
    The manifest comes last: a folder without one is not complete.
    """
    from tools.demo_model.recording import recording
    from tools.demo_model.samples import FORMS, encoded

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    # As in an archive, long ones come anywhere, not at the end.
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
    """The recordings of a folder's manifest, the first `count` of them; made if it has none.

    Raises `SystemExit` for a folder that holds something else.
    """
    if not (folder / MANIFEST).is_file():
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(
                f"{folder} holds files and no {MANIFEST} (columns path, language, text): give "
                "another folder, or a new one to have recordings made in it"
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
