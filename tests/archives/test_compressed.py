"""Compressed recordings and tars: read as what they hold, within the limits, and to their end."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from nightscribe.archives.entries import Member, PassedOver, Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.errors import Reason
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import canonical_uri
from tests.archives.packing import noise, read_all


def zst(data: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)  # type: ignore[arg-type]


def zst_of_unknown_size(data: bytes) -> bytes:
    stream = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return stream.compress(data) + stream.flush()


METHODS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zst_of_unknown_size,
}
each_method = pytest.mark.parametrize("suffix", METHODS)
CONTENT = noise(300_000) + bytes(100_000)


@each_method
def test_a_compressed_recording_is_a_container_with_one_member(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"Talk 1.WAV.{suffix}"
    path.write_bytes(METHODS[suffix](CONTENT))
    assert read_all(path) == ({"Talk 1.WAV": CONTENT}, [])
    archive = canonical_uri(str(path))
    [((_, member), file)] = open_sources([(archive, "Talk 1.WAV")], ArchiveLimits())
    assert member == "Talk 1.WAV"
    assert not isinstance(file, Rejection)


@each_method
def test_joined_streams_are_read_to_the_end(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(METHODS[suffix](CONTENT) + METHODS[suffix](b"and more") + bytes(512))
    assert read_all(path) == ({"a.wav": CONTENT + b"and more"}, [])


def rejected(path: Path, limits: ArchiveLimits | None = None) -> Rejection:
    answers = list(read_container(canonical_uri(str(path)), limits or ArchiveLimits()))
    assert not any(isinstance(answer, Member | PassedOver) for answer in answers)
    [rejection] = [answer for answer in answers if isinstance(answer, Rejection)]
    return rejection


@each_method
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.9, 0.9999])
def test_a_cut_file_is_rejected(suffix: str, share: float, tmp_path: Path) -> None:
    packed = METHODS[suffix](CONTENT)
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(packed[: max(1, int(len(packed) * share))])
    assert rejected(path).reason is Reason.CORRUPT_ARCHIVE


@each_method
def test_other_bytes_behind_the_end_are_told(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(METHODS[suffix](CONTENT) + b"something else" * 9)
    assert rejected(path).reason is Reason.CORRUPT_ARCHIVE


@each_method
def test_a_damaged_file_is_rejected(suffix: str, tmp_path: Path) -> None:
    packed = bytearray(METHODS[suffix](CONTENT))
    packed[len(packed) // 2] ^= 0x55
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(packed)
    assert rejected(path).reason is Reason.CORRUPT_ARCHIVE


@each_method
def test_what_is_not_compressed_is_told(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(CONTENT)
    assert "not compressed as its name says" in rejected(path).detail


@each_method
@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        (ArchiveLimits(max_ratio=2), "2 times its size"),
        (ArchiveLimits(max_member_bytes=50_000), "more than 50000 bytes"),
        (ArchiveLimits(max_expanded_bytes=50_000), "more than 50000 bytes"),
    ],
)
def test_a_bomb_is_stopped(suffix: str, limits: ArchiveLimits, detail: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.wav.{suffix}"
    path.write_bytes(METHODS[suffix](bytes(80 << 20)))
    found = rejected(path, limits)
    assert found.reason is Reason.ARCHIVE_LIMIT
    assert detail in found.detail


@pytest.mark.parametrize("name", ["a.tar.zst", "a.tzst", "a.tar.gz"])
@pytest.mark.parametrize("compress", [zst, zst_of_unknown_size])
def test_a_tar_in_zstandard_is_read(
    name: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    tree = {"one.wav": CONTENT, "sub/two.wav": b"2"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, content in tree.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path = tmp_path / name
    path.write_bytes(compress(packed.getvalue()))
    assert read_all(path) == (tree, [])
    path.write_bytes(compress(packed.getvalue())[:-200])
    assert [one.reason for one in read_all(path)[1]] == [Reason.CORRUPT_ARCHIVE]
