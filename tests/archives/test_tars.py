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
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nightscribe.archives.entries import Member, PassedOver, Rejection
from nightscribe.archives.reading import read_container
from nightscribe.errors import Reason
from nightscribe.uris import canonical_uri
from tests.archives.packing import (
    LIMITS,
    MIB,
    TREE,
    noise,
    opened,
    read_all,
    reasons,
    write_tar,
    write_tree,
    write_zip,
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


def _part(tmp_path: Path, names: str) -> bytes:
    tree = [(f"{name}.wav", name.encode() * 700) for name in names]
    return write_tar(tmp_path / "part", tree).read_bytes()


JOINED: dict[str, Callable[[bytes, bytes, bytes], bytes]] = {
    "plain.tar": lambda a, b, c: a + b + c,
    "empty-first.tar": lambda a, b, c: bytes(10_240) + a + b + c,
    "far.tar": lambda a, b, c: a + bytes(512) + b + bytes(3907 * 512) + c,
    "one.tar.gz": lambda a, b, c: gzip.compress(a + b + c),
    "members.tar.gz": lambda a, b, c: b"".join(map(gzip.compress, (a, b, c))),
    "padded.tgz": lambda a, b, c: gzip.compress(a) + bytes(100) + gzip.compress(b + c),
    "members.tar.bz2": lambda a, b, c: b"".join(map(bz2.compress, (a, b, c))),
    "members.tar.xz": lambda a, b, c: b"".join(map(lzma.compress, (a, b, c))),
    "padded.txz": lambda a, b, c: lzma.compress(a) + bytes(8) + lzma.compress(b + c),
}


@pytest.mark.parametrize("name", JOINED)
def test_all_members_of_joined_tars_are_read_in_order(tmp_path: Path, name: str) -> None:
    parts = [_part(tmp_path, names) for names in ("abc", "def", "ghia")]
    path = tmp_path / name
    path.write_bytes(JOINED[name](*parts))
    found = []
    for item in read_container(str(path), LIMITS):
        assert isinstance(item, Member), item
        found.append((item.position, item.member, item.file.read()))
    names = [*(f"{n}.wav" for n in "abcdefghi"), "a%002.wav"]
    assert found == [(i, n, n[:1].encode() * 700) for i, n in enumerate(names)]
    archive = canonical_uri(str(path))
    answers = opened([(archive, n) for n in ("f.wav", "i.wav", "a.wav")])
    assert [answers[archive, n] for n in ("f.wav", "i.wav")] == [b"f" * 700, b"i" * 700]


TAILS: dict[str, Callable[[Path], bytes]] = {
    "text": lambda _: b"the end of the tape\n",
    "random": lambda _: noise(3_000_000),
    "a zip": lambda p: write_zip(p / "z", TREE.items(), zipfile.ZIP_STORED).read_bytes(),
    "gzip": lambda p: gzip.compress(_part(p, "xyz")),
    "a shifted tar": lambda p: b"\n" + _part(p, "xyz"),
}


@pytest.mark.parametrize("kind", TAILS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_bytes_after_the_end_of_a_tar_are_told(
    tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    tar, tail = _part(tmp_path, "abc"), TAILS[kind](tmp_path)
    path = tmp_path / "a.tar"
    path.write_bytes(pack(tar + tail))
    contents, rejections = read_all(path)
    assert contents == {f"{n}.wav": n.encode() * 700 for n in "abc"}
    assert [(r.uri, r.reason) for r in rejections] == [(f"file://{path}", Reason.CORRUPT_ARCHIVE)]
    told = f"{len(tail)} bytes after the end of the tar (from byte {len(tar)}) were not read"
    assert rejections[0].detail == told


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("tail", [b"text", noise(200_000), b"BZ", b"PK\3\4" + noise(90)])
def test_bytes_after_the_compressed_data_are_told(
    tmp_path: Path, tail: bytes, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(pack(_part(tmp_path, "abc")) + tail)
    contents, rejections = read_all(path)
    assert list(contents) == ["a.wav", "b.wav", "c.wav"]
    assert [r.reason for r in rejections] == [Reason.CORRUPT_ARCHIVE]


@pytest.mark.parametrize("length", [100, 512, 700, 1536, 3072, 4608])
@pytest.mark.parametrize("first", ["", "abc"])
def test_a_cut_tar_is_told_wherever_it_is_cut(tmp_path: Path, first: str, length: int) -> None:
    path = tmp_path / "a.tar"
    head = _part(tmp_path, first) if first else b""
    path.write_bytes(head + _part(tmp_path, "xyz")[:length])
    contents, rejections = read_all(path)
    whole = length // 1536
    assert list(contents) == [f"{n}.wav" for n in first + "xyz"[:whole]]
    assert Reason.CORRUPT_ARCHIVE in [r.reason for r in rejections]


def test_incremental_backup_has_the_right_names_and_contents(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs GNU tar")
    tree = {"in/a.wav": b"1" * 600, "in/sub.wav/b.wav": b"2", f"in/{'x' * 120}.wav": b"3"}
    write_tree(tmp_path, tree)
    subprocess.run(
        ["tar", "-c", "-f", "a.tar", "--listed-incremental=state", "in"], check=True, cwd=tmp_path
    )
    items = list(read_container(str(tmp_path / "a.tar"), LIMITS))
    assert not any(isinstance(item, PassedOver | Rejection) for item in items)
    assert read_all(tmp_path / "a.tar") == (tree, [])


@pytest.mark.parametrize("kind", [b"M", b"Z", b"N"])
@pytest.mark.parametrize("name", ["talk.wav", "talk", "notes.txt"])
def test_tar_entry_of_an_unknown_type_is_told_by_its_type(
    tmp_path: Path, kind: bytes, name: str
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for entry, type_ in ((name, kind), ("fine.wav", tarfile.REGTYPE)):
            info = tarfile.TarInfo(entry)
            info.type, info.size = type_, 600
            archive.addfile(info)
            archive.fileobj.write(bytes(1024))  # type: ignore[union-attr]
            archive.offset += 1024  # type: ignore[attr-defined]
    contents, (told,) = read_all(tmp_path / "a.tar")
    assert contents == {"fine.wav": bytes(600)}
    assert told.uri.endswith(f"!/{name}")
    assert repr(kind.decode()) in told.detail
