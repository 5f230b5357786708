"""The sample archive: what its card says of it, and that the script writes it."""

from __future__ import annotations

import csv
import ctypes
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from nightscribe.audio.containers import probe
from nightscribe.audio.decode import decode
from tools.demo_model.grammar import is_held_out
from tools.demo_model.lexicon import LANGUAGES


@pytest.fixture(scope="module")
def archive(repository: Path) -> Path:
    return repository / "samples" / "archive"


def members(archive: Path) -> dict[str, bytes]:
    """Every file of the archive, those in the zip and the tar too."""
    found = {}
    for path in sorted(archive.rglob("*")):
        name = path.relative_to(archive).as_posix()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                found |= {f"{name}!/{member}": packed.read(member) for member in packed.namelist()}
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path) as tar:
                for entry in tar:
                    file = tar.extractfile(entry)
                    assert file
                    found[f"{name}!/{entry.name}"] = file.read()
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def manifest_rows(files: dict[str, bytes]) -> list[dict[str, str]]:
    return [
        row
        for name, content in files.items()
        if name.endswith("manifest.csv")
        for row in csv.DictReader(io.StringIO(content.decode()))
    ]


def test_it_is_like_a_small_real_archive(archive: Path) -> None:
    files = members(archive)
    assert sum(path.stat().st_size for path in archive.rglob("*") if path.is_file()) < 15e6
    infos = [
        probe(io.BytesIO(content))
        for name, content in files.items()
        if not name.endswith(".csv") and not name.startswith("bad/")
    ]
    assert {info.codec for info in infos} == {"flac", "mp3", "opus", "pcm_s16le", "aac"}
    assert {info.channels for info in infos} == {1, 2}
    rates = {info.sample_rate for info in infos}
    assert min(rates) == 8000
    assert max(rates) == 48_000
    durations = [info.duration_s or 0 for info in infos]
    assert sum(duration > 120 for duration in durations) >= 2
    assert len({hashlib.sha256(content).digest() for content in files.values()}) == len(files) - 1
    assert len([name for name in files if name.startswith("bad/")]) == 3


def test_every_language_has_references_that_training_never_heard(archive: Path) -> None:
    rows = manifest_rows(members(archive))
    assert {row["language"] for row in rows} == set(LANGUAGES)
    for row in rows:
        assert row["text"]
        for sentence in re.findall(r"[^.?]+[.?]", row["translation"]):
            assert is_held_out({"en": sentence.strip()}), sentence


def test_the_script_writes_this_archive(
    repository: Path, archive: Path, tmp_path: Path, espeak_library: None
) -> None:
    version = ctypes.CDLL("libespeak-ng.so.1").espeak_Info
    version.restype = ctypes.c_char_p
    if not version(None).startswith(b"1.51"):
        pytest.skip("the archive was spoken by espeak-ng 1.51; another version is here")
    # In a process of its own: espeak-ng's voice depends on what it has said before.
    command = ["-m", "tools.demo_model", "samples", "--archive", str(tmp_path / "archive")]
    subprocess.run([sys.executable, *command], cwd=repository, check=True)
    shipped, made = members(archive), members(tmp_path / "archive")
    assert list(made) == list(shipped)
    # Encoded audio may differ by the processor's rounding; text may not, nor may lengths.
    for name in shipped:
        if name.endswith(("manifest.csv", "notes.mp3")):
            assert made[name] == shipped[name], name
        elif not name.startswith("bad/"):
            ours, theirs = (decode(io.BytesIO(files[name])) for files in (made, shipped))
            assert len(ours.samples) == len(theirs.samples), name
