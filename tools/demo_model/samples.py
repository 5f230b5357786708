"""Create the sample archive, which is like a small real one, from held-out sentences and voices.

It has folders, a zip and a tar; WAV, FLAC, MP3, Opus and AAC; 8 to 48 kHz, mono and stereo; short
clips and recordings of more than two minutes; clips in difficult conditions; a duplicate; three bad
files; and manifests with the true texts and the conditions.
"""

import csv
import gzip
import io
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import numpy as np

from tools.demo_model.clips import COLUMNS, Clip, Form, clip_of, encoded, spoken
from tools.demo_model.difficult import difficult_clips
from tools.demo_model.grammar import sentences
from tools.demo_model.recording import recording
from tools.demo_model.sounds import add_recording_effects
from tools.demo_model.voices import draw_voice

_SEED = 4
_LONG_S = 126.0
_DATE = (2026, 1, 1, 0, 0, 0)  # of all members, so that the archive is always the same

FORMS = (
    Form("flac", "flac", 44_100, "stereo", 1),
    Form("mp3", "libmp3lame", 22_050, "mono", 2, bit_rate=56_000),
    Form("ogg", "libopus", 48_000, "mono", 1, bit_rate=24_000),
    Form("wav", "pcm_s16le", 16_000, "mono", 2),
    Form("m4a", "aac", 32_000, "stereo", 1, bit_rate=64_000),
    Form("wav", "pcm_s16le", 8_000, "mono", 3),
)
_MILD = FORMS[2], FORMS[4], FORMS[5]  # with the effects that training has
_LONG_FORMS = {
    "es": Form("mp3", "libmp3lame", 24_000, "mono", 0, bit_rate=48_000),
    "fr": Form("ogg", "libopus", 48_000, "stereo", 0, bit_rate=32_000),
    "zh": Form("m4a", "aac", 24_000, "mono", 0, bit_rate=48_000),
}

FOLDERS = {"en": "english", "de": "german", "ru": "russian/radio", "zh": "chinese"}
"""Language → folder of its clips. Clips of other languages are in a zip or tar."""


def clips(language: str) -> list[Clip]:
    """One short clip per format, of one to three sentences."""
    pick = random.Random(f"{_SEED} {language}")
    arrays = np.random.default_rng(pick.getrandbits(64))
    source = sentences(held_out=True, seed=pick.getrandbits(32))
    made = []
    for number, form in enumerate(FORMS, start=1):
        texts = list(islice(source, form.sentences))
        samples = spoken(texts, language, draw_voice(language, pick, held_out=True), pick)
        if form in _MILD:
            samples = add_recording_effects(arrays, samples)
        condition = "mild" if form in _MILD else "clean"
        made.append(clip_of(f"{language}-{number:02}", samples, form, texts, language, condition))
    return made


def long_clip(language: str) -> Clip:
    """A clip of more than two minutes."""
    said = recording(language, _LONG_S, _SEED)
    form = _LONG_FORMS[language]
    return Clip(
        f"long-{language}.{form.suffix}",
        encoded(said.samples, form),
        language,
        said.text(language),
        said.text("en"),
        "clean",
    )


def bad_files() -> dict[str, bytes]:
    """File name → content: an empty file, a text with an audio suffix, a film without sound."""
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 64, 48
        for grey in range(5):
            picture = np.full((48, 64, 3), 40 * grey, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
    return {
        "empty.wav": b"",
        "notes.mp3": b"Interview notes: ask about the harbor, the letters and the old bicycle.\n",
        "silent-film.mp4": film.getvalue(),
    }


def _manifest(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _tarred(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    # The header of a compressed tar stream would have the time of writing.
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), 1_767_225_600
            packed.addfile(entry, io.BytesIO(content))
    return gzip.compress(file.getvalue(), mtime=0)


_PACKED: dict[str, tuple[str, Callable[[dict[str, bytes]], bytes]]] = {
    "es": ("spanish.zip", _zipped),
    "fr": ("french.tar.gz", _tarred),
}


def write_samples(folder: Path) -> None:
    """Write the archive to a folder, which is deleted first."""
    if folder.exists():
        shutil.rmtree(folder)
    rows: list[list[str]] = []

    def store(path: str, content: bytes) -> None:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    for language, where in FOLDERS.items():
        own = clips(language)
        for clip in own:
            store(f"{where}/{clip.name}", clip.content)
            rows.append(clip.row(f"{where}/{clip.name}"))
        if language == "en":
            store(f"{where}/again/duplicate of {own[0].name}", own[0].content)
    for language, (name, pack) in _PACKED.items():
        own = clips(language)
        members = {f"clips/{clip.name}": clip.content for clip in own}
        members["manifest.csv"] = _manifest([clip.row(f"clips/{clip.name}") for clip in own])
        store(name, pack(members))
    for language in _LONG_FORMS:
        clip = long_clip(language)
        store(f"long/{clip.name}", clip.content)
        rows.append(clip.row(f"long/{clip.name}"))
    for clip in difficult_clips(_SEED):
        store(f"difficult/{clip.name}", clip.content)
        rows.append(clip.row(f"difficult/{clip.name}"))
    for name, content in bad_files().items():
        store(f"bad/{name}", content)
    store("manifest.csv", _manifest(rows))
