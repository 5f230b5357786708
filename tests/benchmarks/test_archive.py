"""The archive is mixed, and the same wherever it is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.archive import LONGEST_S, SHORTEST_S, lengths, read_archive
from nightscribe.audio.decode import decode

WRITE = "import sys; from pathlib import Path; from benchmarks.archive import write_archive; "
WRITE += "write_archive(Path(sys.argv[1]), 14)"


def write(folder: Path) -> None:
    """In a process of its own: within one, espeak-ng's noise goes on from call to call."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=True, env=environment)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, espeak_library: None) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "made"
    write(folder)
    return folder


def test_lengths_go_from_seconds_to_minutes() -> None:
    found = lengths(64)
    assert len(found) == 64
    assert SHORTEST_S < min(found) < 4
    assert 120 < max(found) < LONGEST_S


def test_the_same_is_heard_wherever_it_is_made(archive: Path, tmp_path: Path) -> None:
    write(tmp_path / "again")
    names = sorted(file.name for file in archive.iterdir())
    assert names == sorted(file.name for file in (tmp_path / "again").iterdir())
    for name in names:
        first, again = archive / name, tmp_path / "again" / name
        if name.endswith(".csv"):
            assert first.read_bytes() == again.read_bytes()
        else:
            # Ogg streams carry a number of their own; what is heard is the same.
            np.testing.assert_array_equal(decode(str(first)).samples, decode(str(again)).samples)


def test_languages_formats_and_lengths_are_mixed(archive: Path) -> None:
    found = read_archive(archive, 14)
    assert len({Path(recorded.path).suffix for recorded in found}) == 3
    assert len({recorded.language for recorded in found}) == 6
    # A recording goes on until its last sentence is said.
    for asked, recorded in zip(sorted(lengths(14)), sorted(r.seconds for r in found), strict=True):
        assert recorded > asked
    assert all(recorded.text for recorded in found)


def test_an_archive_that_is_there_is_used_as_it_is(archive: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in archive.iterdir()}
    assert len(read_archive(archive, 3)) == 3
    assert before == {file.name: file.stat().st_mtime_ns for file in archive.iterdir()}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SystemExit, match=r"manifest\.csv"):
        read_archive(tmp_path, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]
