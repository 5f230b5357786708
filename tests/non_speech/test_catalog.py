"""The generated set: the same every time, several recordings of each kind, nothing cut off."""

from __future__ import annotations

import csv
import itertools
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nightscribe import cli
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.non_speech.catalog import CATALOG, Described, generate
from tests.nights import SAMPLES

SHORT = [one for one in CATALOG if one.duration_s <= 20]


def level_db(samples: np.ndarray) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean((samples / FULL_SCALE) ** 2))))


def test_each_kind_has_several_recordings_of_10_to_60_seconds() -> None:
    kinds = Counter(one.kind for one in CATALOG)
    assert len(kinds) == 8
    assert min(kinds.values()) >= 3
    assert len({(one.kind, one.name) for one in CATALOG}) == len(CATALOG) == 35
    assert all(10 <= one.duration_s <= 60 for one in CATALOG)


@pytest.mark.parametrize("described", SHORT, ids=lambda one: f"{one.kind}-{one.name}")
def test_a_recording_is_the_same_every_time_and_as_long_and_loud_as_described(
    described: Described,
) -> None:
    samples = generate(described)
    assert np.array_equal(samples, generate(described))
    assert len(samples) == described.duration_s * SAMPLE_RATE
    if described.level_db is None:
        assert not samples.any()
    else:
        assert level_db(samples) == pytest.approx(described.level_db, abs=0.3)
        assert np.mean(np.abs(samples.astype(int)) >= FULL_SCALE - 1) < 0.001


def test_no_two_recordings_are_alike() -> None:
    starts = {one.name: generate(one)[: 10 * SAMPLE_RATE] for one in SHORT}
    sounding = {name: samples for name, samples in starts.items() if samples.any()}
    assert len(sounding) == len(SHORT) - 1
    for (_, one), (_, other) in itertools.combinations(sounding.items(), 2):
        assert not np.array_equal(one, other)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The whole set with room tone of a folder of speech, and the exit code."""
    folder = tmp_path_factory.mktemp("generated") / "set"
    speech = ("--room-tone", str(SAMPLES / "long"), str(SAMPLES / "german" / "de-01.flac"))
    arguments = ("datasets", "generate", "non-speech", "--out", str(folder))
    return folder, cli.main([*arguments, *speech])


def test_the_command_writes_files_and_a_manifest_that_says_zxx(written: tuple[Path, int]) -> None:
    folder, code = written
    assert code == 1, "de-01.flac is one sentence without a pause"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["language"] for row in rows} == {"zxx"}
    assert {row["text"] for row in rows} == {""}
    assert {row["dataset"] for row in rows} == {"non_speech"}
    kinds = Counter(row["kind"] for row in rows)
    assert kinds.pop("room_tone") == 3
    assert kinds == Counter(one.kind for one in CATALOG)
    for row in rows:
        with wave.open(str(folder / row["path"])) as file:
            assert file.getframerate() == SAMPLE_RATE
            assert file.getnframes() == float(row["duration_s"]) * SAMPLE_RATE
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")}
    assert on_disk == {row["path"] for row in rows}


@pytest.mark.parametrize("place", ["nowhere", "empty", "set/hum"])
def test_room_tone_of_no_recording_of_ones_own_is_refused(
    place: str, written: tuple[Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path where nothing is, a folder without audio, and the folder that is written to."""
    (tmp_path / "empty").mkdir()
    folder = written[0] if place.startswith("set") else tmp_path / "out"
    given = written[0] / "hum" if place.startswith("set") else tmp_path / place
    arguments = ("datasets", "generate", "non-speech", "--out", str(folder))
    assert cli.main([*arguments, "--room-tone", str(given)]) == 2
    assert str(given) in capsys.readouterr().err
    assert folder == written[0] or not folder.exists()
