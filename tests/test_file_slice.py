"""A stretch of a file is a file of its own, and known as one to whoever may pass it on."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from nightscribe.file_slice import FileSlice, open_slice, slice_of


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters"
    path.write_bytes(b"abcdefghij")
    return path


def place(file: BinaryIO) -> tuple[int, int] | None:
    found = slice_of(file)
    return None if found is None else (found.start, found.size)


def test_a_slice_reads_and_seeks_within_its_bounds(letters: Path) -> None:
    with letters.open("rb") as file:
        part = open_slice(file.fileno(), 2, 5)
        assert part.read() == b"cdefg"
        assert part.seek(-2, io.SEEK_END) == 3
        assert part.read(9) == b"fg"
        assert (part.seek(100), part.read()) == (100, b"")
        with pytest.raises(OSError, match="cannot seek"):
            part.seek(-1)
        assert file.tell() == 0
        part.close()
        assert file.read(1) == b"a"


def test_files_on_disk_are_known_by_their_descriptor(letters: Path) -> None:
    with letters.open("rb") as file:
        assert place(file) == (0, 10)
        found = slice_of(open_slice(file.fileno(), 2, 5))
        assert found is not None
        assert (found.descriptor, found.start, found.size) == (file.fileno(), 2, 5)


def test_a_spooled_file_is_known_once_it_is_on_disk_and_not_moved_there() -> None:
    with tempfile.SpooledTemporaryFile(max_size=8) as spooled:
        file = cast(BinaryIO, spooled)
        file.write(b"1234")
        assert place(file) is None
        assert not spooled._rolled
        file.write(b"56789")
        file.seek(0)
        assert place(file) == (0, 9)


def test_bytes_that_are_not_on_disk_as_they_are_read_have_no_place(
    letters: Path, tmp_path: Path
) -> None:
    assert place(io.BytesIO(b"abc")) is None
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"abc"))
    with gzip.open(packed) as file:
        assert place(cast(BinaryIO, file)) is None
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR)
    with open(descriptor, "rb") as fifo:
        assert place(fifo) is None


def test_a_slice_leaves_the_descriptor_to_who_opened_it(letters: Path) -> None:
    with letters.open("rb") as file:
        FileSlice(file.fileno(), 0, 3).close()
        assert file.read(3) == b"abc"


def test_a_slice_of_a_file_that_has_become_shorter_does_not_pass_for_a_shorter_one(
    letters: Path,
) -> None:
    with letters.open("rb") as file:
        part = open_slice(file.fileno(), 2, 5)
        os.truncate(letters, 4)
        with pytest.raises(OSError, match="ends at byte 2 of 5"):
            part.read()
