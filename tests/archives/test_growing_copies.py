"""Opening for a reader of parts: nothing is read before it is wanted."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from nightscribe.archives.entries import Rejection
from nightscribe.archives.growing_copies import GrowingCopy, copied_bytes
from nightscribe.archives.opening import open_sources
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import canonical_uri
from tests.archives.packing import MIB, noise, write_tar, write_zip

CONTENT = noise(8 * MIB)
LIMITS = ArchiveLimits(spool_bytes=MIB)


@contextmanager
def member(path: Path, limits: ArchiveLimits = LIMITS) -> Iterator[BinaryIO]:
    sources = [(canonical_uri(str(path)), "a.wav")]
    with closing(open_sources(sources, limits, in_parts=True)) as files:
        _, file = next(files)
        assert not isinstance(file, Rejection)
        yield file


def deflated(folder: Path, content: bytes = CONTENT) -> Path:
    return write_zip(folder / "a.zip", [("a.wav", content)], zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_a_compressed_member_is_expanded_as_far_as_it_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        deflated(tmp_path)
    else:
        write_tar(path, [("a.wav", CONTENT)], f"w:{kind[4:]}")
    with member(path) as file:
        size = file.seek(0, 2)
        assert (size, copied_bytes(file, size)) == (len(CONTENT), 0)
        for start, most in ((0, 1), (3 * MIB, 5), (10, 5), (len(CONTENT) - 50, 8)):
            file.seek(start)
            assert file.read(100) == CONTENT[start : start + 100]
            assert copied_bytes(file, size) <= most * MIB


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_lies_as_it_is_gets_no_copy(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    tree = [("a.wav", CONTENT)]
    write_zip(path, tree, zipfile.ZIP_STORED) if kind == "zip" else write_tar(path, tree)
    with member(path) as file:
        assert not isinstance(file, GrowingCopy)
        file.seek(5 * MIB)
        assert file.read(100) == CONTENT[5 * MIB : 5 * MIB + 100]
        assert copied_bytes(file, len(CONTENT)) == 0


def test_damage_is_an_error_where_it_is_and_not_before(tmp_path: Path) -> None:
    path = deflated(tmp_path)
    data = bytearray(path.read_bytes())
    data[6 * MIB] ^= 0xFF
    path.write_bytes(data)
    with member(path) as file:
        assert file.read(MIB) == CONTENT[:MIB]
        file.seek(len(CONTENT) - 10)
        with pytest.raises(OSError, match=r"."):
            file.read(10)
        file.seek(0)
        assert file.read(MIB) == CONTENT[:MIB]


@pytest.mark.parametrize(
    "limits",
    [ArchiveLimits(max_ratio=2), ArchiveLimits(max_expanded_bytes=3 * MIB)],
    ids=["ratio", "expanded"],
)
def test_a_bomb_is_stopped_at_the_limits_of_ingestion(
    limits: ArchiveLimits, tmp_path: Path
) -> None:
    with member(deflated(tmp_path, bytes(8 * MIB)), limits) as file:
        file.seek(7 * MIB)
        with pytest.raises(OSError, match="expands to more than"):
            file.read(10)
        assert copied_bytes(file, 8 * MIB) <= 4 * MIB


def test_a_stream_that_ends_early_is_no_shorter_file() -> None:
    copy = GrowingCopy(io.BytesIO(b"abc"), 10, LIMITS)
    assert copy.read(3) == b"abc"
    with pytest.raises(OSError, match="ends at byte"):
        copy.read(1)
