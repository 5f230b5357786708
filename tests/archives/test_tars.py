"""Damaged, hostile and odd tars: what lies before the damage is used."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from nightscribe.archives.entries import Rejection
from nightscribe.errors import Reason
from nightscribe.uris import canonical_uri
from tests.archives.packing import (
    MIB,
    TREE,
    noise,
    opened,
    read_all,
    reasons,
    write_tar,
)


def test_compressed_tar_is_read_through_once_for_many_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = {f"{i}.wav": noise(1000, i) for i in range(50)}
    archive = canonical_uri(str(write_tar(tmp_path / "a.tar.gz", tree.items(), "w:gz")))
    expanded = 0
    read = gzip.GzipFile.read

    def counting_read(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        nonlocal expanded
        data = read(self, size)
        expanded += len(data)
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", counting_read)
    answers = opened([(archive, name) for name in reversed(tree)])
    assert {member: content for (_, member), content in answers.items()} == tree
    assert expanded < 1.1 * 50 * (1024 + 512) + 10_240


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_before_the_damage_of_a_truncated_tar_are_used(tmp_path: Path, mode: str) -> None:
    tree = {f"{i}.wav": noise(100_000, i) for i in range(20)}
    path = write_tar(tmp_path / "a.tar", tree.items(), mode)
    os.truncate(path, path.stat().st_size * 5 // 8)
    contents, rejections = read_all(path)
    assert 0 < len(contents) < 20
    assert all(tree[name] == content for name, content in contents.items())
    assert [(r.uri, r.reason) for r in rejections] == [(f"file://{path}", Reason.CORRUPT_ARCHIVE)]
    archive = canonical_uri(str(path))
    answers = opened([(archive, "0.wav"), (archive, "19.wav")])
    assert answers[archive, "0.wav"] == tree["0.wav"]
    lost = answers[archive, "19.wav"]
    assert isinstance(lost, Rejection)
    assert lost.reason is Reason.CORRUPT_ARCHIVE


def test_damaged_header_in_the_middle_of_a_tar_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.wav", b"1"), ("b.wav", b"2"), ("c.wav", b"3")])
    data = bytearray(path.read_bytes())
    data[1024:1100] = b"\xaa" * 76
    path.write_bytes(data)
    contents, rejections = read_all(path)
    assert contents == {"a.wav": b"1"}
    assert [r.reason for r in rejections] == [Reason.CORRUPT_ARCHIVE]


def test_wrong_check_sum_at_the_end_of_a_compressed_tar_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", TREE.items(), "w:gz")
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data)
    contents, rejections = read_all(path)
    assert contents == TREE
    assert [r.reason for r in rejections] == [Reason.CORRUPT_ARCHIVE]


def test_links_and_devices_in_tars_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    kinds = {
        "sym.wav": tarfile.SYMTYPE,
        "hard.wav": tarfile.LNKTYPE,
        "device.wav": tarfile.CHRTYPE,
        "pipe.wav": tarfile.FIFOTYPE,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("fine.wav")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    contents, rejections = read_all(path)
    assert contents == {"fine.wav": b"1"}
    assert reasons(rejections) == dict.fromkeys(kinds, Reason.LINK_MEMBER)


@pytest.mark.parametrize(("mode", "name"), [("w:gz", "gzip"), ("w:bz2", "bz2"), ("w:xz", "xz")])
def test_compressed_tar_bomb_is_stopped_before_it_is_expanded(
    tmp_path: Path, mode: str, name: str
) -> None:
    path = tmp_path / f"{name}.tar"
    header = tarfile.TarInfo("bomb.wav")
    header.size = 512 * MIB
    opener = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}[name]
    with opener(path, "wb", **({"preset": 0} if name == "xz" else {"compresslevel": 1})) as stream:  # type: ignore[operator]
        stream.write(write_tar(tmp_path / "head", [("fine.wav", b"1")]).read_bytes()[:1024])
        stream.write(header.tobuf())
        for _ in range(128):
            stream.write(bytes(MIB))
    tracemalloc.start()
    try:
        contents, rejections = read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 160 * MIB
    finally:
        tracemalloc.stop()
    assert contents == {"fine.wav": b"1"}
    assert [(r.uri, r.reason) for r in rejections] == [(f"file://{path}", Reason.ARCHIVE_LIMIT)]
    assert "200 times" in rejections[0].detail


def test_tar_header_of_absurd_length_is_not_read_into_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    header.size = 200 * MIB
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(header.tobuf())
        stream.write(noise(4 * MIB))
    tracemalloc.start()
    try:
        contents, rejections = read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert contents == {}
    assert [r.reason for r in rejections] == [Reason.ARCHIVE_LIMIT]


def test_memory_does_not_grow_with_the_members_passed_by_in_a_tar(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", ((f"{i}.txt", b"") for i in range(10_000)))
    tracemalloc.start()
    try:
        assert read_all(path) == ({}, [])
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_sparse_tar_member_is_rejected(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs GNU tar")
    with open(tmp_path / "holes.wav", "wb") as file:
        file.truncate(64 * MIB)
        file.seek(MIB)
        file.write(b"1")
    subprocess.run(
        ["tar", "--sparse", "-cf", tmp_path / "a.tar", "-C", tmp_path, "holes.wav"], check=True
    )
    if (tmp_path / "a.tar").stat().st_size > MIB:
        pytest.skip("this file system keeps no holes")
    contents, rejections = read_all(tmp_path / "a.tar")
    assert contents == {}
    assert reasons(rejections) == {"holes.wav": Reason.UNREADABLE}
