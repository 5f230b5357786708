"""Damaged, hostile and odd zips: each bad member is a rejection, the rest is used."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightscribe.archives.entries import Rejection
from nightscribe.errors import Reason
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import canonical_uri
from tests.archives.packing import (
    MIB,
    TREE,
    noise,
    opened,
    read_all,
    reasons,
    write_tree,
    write_zip,
)


def test_corrupt_zip_is_one_rejection(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.zip", [("\u00e9.wav", b"1"), *TREE.items()]).read_bytes()
    for name, data in {
        "text.zip": b"this is no zip",
        "cut.zip": whole[: len(whole) // 2],
        "directory.zip": whole.replace(b"PK\x01\x02", b"PK\x09\x09"),
        "name.zip": whole.replace("\u00e9".encode(), b"\xff\xff"),
    }.items():
        path = write_tree(tmp_path, {name: data}) / name
        archive = canonical_uri(str(path))
        contents, (rejection,) = read_all(path)
        assert contents == {}
        assert (rejection.uri, rejection.reason) == (archive, Reason.CORRUPT_ARCHIVE)
        assert rejection.version == str(path.stat().st_mtime_ns)
        (answer,) = opened([(archive, "one.wav")]).values()
        assert isinstance(answer, Rejection)
        assert (answer.uri, answer.reason) == (f"{archive}!/one.wav", Reason.CORRUPT_ARCHIVE)


def test_member_with_a_bad_check_sum_is_rejected_and_the_rest_is_used(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = write_zip(tmp_path / f"{method}.zip", TREE.items(), method)
        data = bytearray(path.read_bytes())
        # In the middle of the first member's incompressible content.
        data[1500] ^= 0xFF
        path.write_bytes(data)
        contents, rejections = read_all(path)
        assert contents == {name: TREE[name] for name in TREE if name != "one.wav"}
        assert reasons(rejections) == {"one.wav": Reason.CORRUPT_ARCHIVE}
        archive = canonical_uri(str(path))
        answers = opened([(archive, "one.wav"), (archive, "sub/two.flac")])
        assert isinstance(answers[archive, "one.wav"], Rejection)
        assert answers[archive, "sub/two.flac"] == TREE["sub/two.flac"]


def test_symbolic_links_in_zips_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link.wav")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("fine.wav", b"1")
    contents, rejections = read_all(path)
    assert contents == {"fine.wav": b"1"}
    assert reasons(rejections) == {"link.wav": Reason.LINK_MEMBER}


def edit_zip_member(path: Path, name: str, edit: Callable[[bytearray, int, int], None]) -> None:
    """Call `edit(data, local header, central header)` on the bytes of a zip."""
    data = bytearray(path.read_bytes())
    local = data.index(name.encode()) - 30
    central = data.rindex(name.encode()) - 46
    assert data[local : local + 4] == b"PK\x03\x04"
    assert data[central : central + 4] == b"PK\x01\x02"
    edit(data, local, central)
    path.write_bytes(data)


def test_encrypted_member_is_rejected_and_the_rest_is_used(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("secret.wav", b"1"), ("fine.wav", b"2")])

    def encrypt(data: bytearray, local: int, central: int) -> None:
        data[local + 6] |= 1
        data[central + 8] |= 1

    edit_zip_member(path, "secret.wav", encrypt)
    contents, rejections = read_all(path)
    assert contents == {"fine.wav": b"2"}
    assert reasons(rejections) == {"secret.wav": Reason.ENCRYPTED_MEMBER}


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (12, "bzip2"), (77, "unknown")])
def test_unsupported_compression_is_named(tmp_path: Path, method: int, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", [("odd.wav", b"1"), ("fine.wav", b"2")])

    def set_method(data: bytearray, local: int, central: int) -> None:
        struct.pack_into("<H", data, local + 8, method)
        struct.pack_into("<H", data, central + 10, method)

    edit_zip_member(path, "odd.wav", set_method)
    contents, (rejection,) = read_all(path)
    assert contents == {"fine.wav": b"2"}
    assert rejection.reason is Reason.UNREADABLE
    assert name in rejection.detail


def test_zip_member_with_a_bombs_ratio_is_rejected_and_the_rest_is_used(tmp_path: Path) -> None:
    tree = [("bomb.wav", bytes(8 * MIB)), ("quiet.wav", bytes(MIB)), ("fine.wav", noise(9))]
    contents, rejections = read_all(write_zip(tmp_path / "a.zip", tree))
    # A megabyte of silence is no danger, whatever its ratio.
    assert set(contents) == {"quiet.wav", "fine.wav"}
    assert reasons(rejections) == {"bomb.wav": Reason.ARCHIVE_LIMIT}


@pytest.mark.parametrize("said", [100, 64 * MIB])
def test_bomb_that_lies_about_its_sizes_is_not_expanded(tmp_path: Path, said: int) -> None:
    path = write_zip(tmp_path / "a.zip", [("bomb.wav", bytes(64 * MIB)), ("fine.wav", b"1")])

    def lie(data: bytearray, local: int, central: int) -> None:
        for base in (local + 18, central + 20):
            struct.pack_into("<II", data, base, 0x7FFFFFFF, said)

    edit_zip_member(path, "bomb.wav", lie)
    tracemalloc.start()
    try:
        contents, rejections = read_all(path)
        # The spool fills up to the ratio's ceiling, 200 times some 64 KiB.
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()
    assert contents == {"fine.wav": b"1"}
    assert len(rejections) == 1


# More members than allowed


def many_members(path: Path, count: int) -> Path:
    """A zip of so many empty-looking members; the first ones have content."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:06}.wav", b"content" if number < 10 else b"")
    return path


def test_a_zip_with_too_many_members_is_not_loaded_but_its_first_ones_are_used(
    tmp_path: Path,
) -> None:
    path = many_members(tmp_path / "many.zip", 100_000)
    tracemalloc.start()
    contents, (rejection,) = read_all(path, ArchiveLimits(max_members=10))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(contents) == [f"{number:06}.wav" for number in range(10)]
    assert (rejection.reason, rejection.detail) == (Reason.ARCHIVE_LIMIT, "more than 10 members")
    assert peak < 8 * MIB  # `zipfile` takes 50 MiB for this directory


@pytest.mark.parametrize("stated", [0, 1, 3])
def test_members_are_counted_whatever_number_the_zip_states(tmp_path: Path, stated: int) -> None:
    path = write_zip(tmp_path / "a.zip", [(f"{i}.wav", noise(100, i)) for i in range(6)])
    content = bytearray(path.read_bytes())
    content[-22 + 8 : -22 + 12] = struct.pack("<HH", stated, stated)
    path.write_bytes(content)
    contents, (rejection,) = read_all(path, ArchiveLimits(max_members=4))
    assert list(contents) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert rejection.reason is Reason.ARCHIVE_LIMIT


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    members=st.integers(1, 12),
    allowed=st.integers(1, 14),
    before=st.binary(max_size=50),
    comment=st.binary(max_size=50).filter(lambda comment: b"PK" not in comment),
    extra=st.integers(0, 40),
)
def test_the_limit_on_members_holds_for_every_shape_of_a_directory(
    tmp_path: Path, members: int, allowed: int, before: bytes, comment: bytes, extra: int
) -> None:
    """Bytes before the zip, a comment, extra fields: the same members, up to the limit."""
    path = tmp_path / "shaped.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for number in range(members):
            info = zipfile.ZipInfo(f"{number:02}.wav")
            info.extra = struct.pack("<HH", 0x7777, extra) + bytes(extra)
            info.comment = comment
            archive.writestr(info, noise(50, number))
    path.write_bytes(before + path.read_bytes())
    contents, rejections = read_all(path, ArchiveLimits(max_members=allowed))
    kept = min(members, allowed)
    assert contents == {f"{number:02}.wav": noise(50, number) for number in range(kept)}
    assert len(rejections) == (members > allowed)


def test_the_limit_on_members_holds_for_zip64(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(70_000):  # more than 16 bits count
            archive.writestr(f"{number}.wav", b"" if number else b"content")
    contents, (rejection,) = read_all(path, ArchiveLimits(max_members=1))
    assert contents == {"0.wav": b"content"}
    assert rejection.reason is Reason.ARCHIVE_LIMIT
    everything, rejections = read_all(path, ArchiveLimits(max_members=70_000))
    assert everything == {"0.wav": b"content"}
    assert {one.reason for one in rejections} == {Reason.EMPTY_FILE}


@pytest.mark.parametrize("name", ["2024\\May\\call.wav", "2024\\call.wav", "a\\b\\c\\d.mp3"])
def test_backslashes_separate_folders_whatever_system_the_zip_states(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    info = zipfile.ZipInfo("placeholder")
    info.create_system, info.filename = 3, name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"content")
    contents, _ = read_all(path)
    assert list(contents) == [name.replace("\\", "/")]


# Bytes before the zip


def test_a_zip_behind_other_zips_is_read_and_the_others_are_reported(tmp_path: Path) -> None:
    first = write_zip(tmp_path / "first.zip", [("one.wav", noise(500))]).read_bytes()
    second = write_zip(tmp_path / "second.zip", [("two.wav", b"2"), ("s/three.wav", b"3")])
    empty = write_zip(tmp_path / "empty.zip", []).read_bytes()
    behind = {"two.wav": b"2", "s/three.wav": b"3"}
    with zipfile.ZipFile(tmp_path / "commented.zip", "w") as archive:
        archive.writestr("one.wav", b"1")
        archive.comment = b"about the first"
    commented = (tmp_path / "commented.zip").read_bytes()
    joined = {
        "two.zip": (first + second.read_bytes(), len(first), behind),
        "three.zip": (first + first + second.read_bytes(), 2 * len(first), behind),
        "commented.zip": (commented + second.read_bytes(), len(commented), behind),
        "nothing.zip": (first + empty, len(first), {}),
        "stub.zip": (b"MZ program" + first + second.read_bytes(), 10 + len(first), behind),
    }
    for name, (data, before, expected) in joined.items():
        path = write_tree(tmp_path, {name: data}) / name
        contents, (rejection,) = read_all(path)
        assert contents == expected, name
        assert (rejection.uri, rejection.reason) == (
            canonical_uri(str(path)),
            Reason.CORRUPT_ARCHIVE,
        )
        assert f"first {before} bytes" in rejection.detail


@pytest.mark.parametrize("before", [b"MZ" + bytes(500), b"#!/bin/sh\nexit\n", b"\0", bytes(22)])
def test_a_program_before_a_zip_is_no_fault(tmp_path: Path, before: bytes) -> None:
    path = write_zip(tmp_path / "a.zip", TREE.items())
    path.write_bytes(before + path.read_bytes())
    assert read_all(path) == (TREE, [])
