"""Odd names become text, keep their bytes, and still open; unsafe ones are rejected."""

from __future__ import annotations

import io
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.archives.entries import File, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.errors import ConfigurationError, Reason
from nightscribe.settings import ArchiveLimits
from nightscribe.storage import locate
from nightscribe.uris import canonical_uri, decode_path, encode_path, join_uri
from tests.archives.packing import (
    opened,
    read_all,
    reasons,
    write_tar,
    write_tree,
    write_zip,
)

ODD_NAMES = [b"line\nbreak.wav", "\N{OWL} owl.wav".encode(), b"caf\xe9.wav", b"100% \xff.wav"]


def test_odd_names_become_utf8_and_still_open(tmp_path: Path) -> None:
    names = [*ODD_NAMES, b"caf%E9.wav", b"50%20off.wav", b"#1?.wav", b" space.wav"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(name)
    write_tar(tmp_path / "all.tar", [(os.fsdecode(name), name) for name in names])
    found = [f for f in list_files(str(tmp_path)) if isinstance(f, File)]
    members = {f.member: f.archive for f in found if f.kind is Kind.AUDIO}
    for member in members:
        member.encode("utf-8")
    assert len(members) == len(names)
    assert {os.fsencode(decode_path(member)) for member in members} == set(names)
    assert "caf%E9.wav" in members
    assert "caf%25E9.wav" in members
    answers = opened([(archive, member) for member, archive in members.items()])
    assert set(answers.values()) == set(names)
    contents, rejections = read_all(tmp_path / "all.tar")
    assert rejections == []
    assert contents == {member: content for (_, member), content in answers.items()}


def test_archive_with_an_odd_name_opens_by_its_uri(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sum\xe9 50%20 #?"))
    write_tree(folder, {"a.wav": b"1"})
    write_zip(folder / "b.zip", [("c.wav", b"2")])
    audio, container = sorted(list_files(str(folder)), key=lambda f: f.uri)
    audio.uri.encode("utf-8")
    assert list_files(audio.collection)  # type: ignore[union-attr]
    assert isinstance(audio, File)
    assert isinstance(container, File)
    assert canonical_uri(container.archive) == container.archive
    sources = [(audio.archive, "a.wav"), (container.archive, "c.wav")]
    assert list(opened(sources).values()) == [b"1", b"2"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_encoded_paths_are_utf8_distinct_and_reversible(text: str, raw: bytes) -> None:
    for path in (text, os.fsdecode(raw), text + "%" + os.fsdecode(raw)):
        encoded = encode_path(path)
        encoded.encode("utf-8")
        assert decode_path(encoded) == path


def test_uris_have_one_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"file://{tmp_path}/radio"
    spellings = ["radio", "./radio/", f"{tmp_path}/x/../radio", f"file://{tmp_path}/radio/"]
    assert {canonical_uri(spelling) for spelling in spellings} == {expected}
    assert canonical_uri("file:///a%20b") == canonical_uri("/a b") == "file:///a b"
    assert canonical_uri("S3A://bucket/a%20b/") == "s3://bucket/a%20b"
    assert canonical_uri("/") == "file:///"
    for wrong in ("", "file://host/share", "a\0b"):
        with pytest.raises(ConfigurationError):
            canonical_uri(wrong)


def test_unknown_scheme_and_missing_package_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match=r"carrier-pigeon://.* give a local path"):
        locate("carrier-pigeon://coop/1")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigurationError, match="install Nightscribe's extra 'gcs'"):
        list_files("gs://bucket/prefix")


def test_a_name_held_twice_is_two_members_and_both_open(tmp_path: Path) -> None:
    tree = [("a.wav", b"old"), ("b.wav", b"b"), ("./a.wav", b"new"), ("a.wav", b"newest")]
    expected = {"a.wav": b"old", "b.wav": b"b", "a%002.wav": b"new", "a%003.wav": b"newest"}
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped = write_zip(tmp_path / "a.zip", tree)
    for path in (zipped, write_tar(tmp_path / "a.tgz", tree, "w:gz")):
        assert read_all(path) == (expected, [])
        archive = canonical_uri(str(path))
        answers = opened([(archive, member) for member in expected])
        assert {member: content for (_, member), content in answers.items()} == expected


def test_zip_names_in_utf8_without_the_flag_are_read_as_utf8(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "mac.zip", [("caf\u00e9/\u00fc.wav", b"1")])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flags = data.index(signature) + offset
        assert data[flags + 1] & 0x08
        data[flags + 1] &= ~0x08
    path.write_bytes(data)
    assert read_all(path) == ({"caf\u00e9/\u00fc.wav": b"1"}, [])


def zip_of(path: Path, members: Sequence[tuple[bytes, bytes]], system: int) -> Path:
    """A zip with raw names, each with an extra field, made on the system with this number."""
    with zipfile.ZipFile(path, "w") as archive:
        for position, (raw, extra) in enumerate(members):
            # The same length in ASCII, so that the real name can be put in its place.
            info = zipfile.ZipInfo("x")
            info.filename = f"{position:03}".ljust(len(raw), "_")
            info.create_system = system
            info.extra = extra
            is_folder = raw.endswith((b"/", b"\\"))
            archive.writestr(info, b"" if is_folder else b"%d" % position)
    data = path.read_bytes()
    for position, (raw, _) in enumerate(members):
        placeholder = f"{position:03}".ljust(len(raw), "_").encode()
        assert data.count(placeholder) == 2
        data = data.replace(placeholder, raw)
    path.write_bytes(data)
    return path


DOS, UNIX, NTFS, MACOS = 0, 3, 10, 19


@pytest.mark.parametrize("system", [DOS, UNIX, NTFS, MACOS])
def test_backslashes_in_zips_separate_folders_whoever_made_them(
    tmp_path: Path, system: int
) -> None:
    names = [b"2024\\May\\", b"2024\\May\\call.wav", b"manifest.csv", b"2024\\manifest.csv"]
    path = zip_of(tmp_path / "a.zip", [(name, b"") for name in names], system)
    contents, rejections = read_all(path)
    assert rejections == []
    assert contents == {"2024/May/call.wav": b"1", "manifest.csv": b"2", "2024/manifest.csv": b"3"}
    archive = canonical_uri(str(path))
    assert opened([(archive, "2024/May/call.wav")]) == {(archive, "2024/May/call.wav"): b"1"}


@pytest.mark.parametrize("system", [UNIX, MACOS])
def test_a_backslash_beside_slashes_in_a_zip_from_unix_is_part_of_a_name(
    tmp_path: Path, system: int
) -> None:
    path = zip_of(tmp_path / "a.zip", [(b"sub/one.wav", b""), (b"a\\b.wav", b"")], system)
    assert read_all(path) == ({"sub/one.wav": b"0", "a\\b.wav": b"1"}, [])


@pytest.mark.parametrize("system", [DOS, UNIX, MACOS])
def test_unsafe_names_with_backslashes_are_rejected(tmp_path: Path, system: int) -> None:
    names = [b"..\\..\\x.wav", b"C:\\x.wav", b"\\\\host\\x.wav", b"a\\..\\..\\x.wav", b"a\\x.wav"]
    contents, rejections = read_all(
        zip_of(tmp_path / "a.zip", [(name, b"") for name in names], system)
    )
    assert contents == {"a/x.wav": b"4"}
    assert [one.reason for one in rejections] == [Reason.UNSAFE_MEMBER_NAME] * 4


def unicode_path(raw: bytes, name: bytes, version: int = 1) -> bytes:
    body = struct.pack("<BI", version, zlib.crc32(raw)) + name
    other = struct.pack("<HH", 0x7777, 3) + b"abc"
    return other + struct.pack("<HH", 0x7075, len(body)) + body


@pytest.mark.parametrize(
    "name",
    ["\u97f3\u58f0/\u4f1a\u8b70.wav", "\u0440\u0430\u0434\u0438\u043e.mp3", "caf\u00e9.flac"],
)
def test_the_unicode_path_of_a_zip_member_is_its_name(tmp_path: Path, name: str) -> None:
    raw = name.encode("ascii", "replace").replace(b"?", b"#")
    path = zip_of(tmp_path / "a.zip", [(raw, unicode_path(raw, name.encode()))], UNIX)
    assert read_all(path) == ({name: b"0"}, [])


def test_an_unusable_unicode_path_is_ignored(tmp_path: Path) -> None:
    other = "\u97f3.wav".encode()
    members = [
        (b"renamed.wav", unicode_path(b"before.wav", other)),
        (b"version.wav", unicode_path(b"version.wav", other, version=2)),
        (b"invalid.wav", unicode_path(b"invalid.wav", b"\xff.wav")),
        (b"no_name.wav", unicode_path(b"no_name.wav", b"")),
        (b"nothing.wav", struct.pack("<HH", 0x7075, 0)),
    ]
    contents, rejections = read_all(zip_of(tmp_path / "a.zip", members, UNIX))
    assert list(contents) == [raw.decode() for raw, _ in members]
    assert rejections == []


def test_an_unsafe_unicode_path_is_rejected(tmp_path: Path) -> None:
    names = [b"../x.wav", b"C:\\x.wav", b"nul\0x.wav"]
    members = [(b"%03d.wav" % i, unicode_path(b"%03d.wav" % i, n)) for i, n in enumerate(names)]
    contents, rejections = read_all(zip_of(tmp_path / "a.zip", members, UNIX))
    assert contents == {}
    assert [one.reason for one in rejections] == [Reason.UNSAFE_MEMBER_NAME] * 3


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        # In CP932, the second byte of this first character is that of a backslash.
        ("cp932", "\u8868/\u30bd\u30fc\u30b9.wav"),
        ("gbk", "\u4f1a\u8bae\u5f55\u97f3.wav"),
        ("cp866", "\u0440\u0430\u0434\u0438\u043e.wav"),
    ],
)
def test_names_in_a_legacy_encoding_are_read_in_the_encoding_of_the_settings(
    tmp_path: Path, encoding: str, name: str
) -> None:
    raw = name.encode(encoding)
    utf8 = "\u00fc\u4f1a.wav"
    path = zip_of(tmp_path / "a.zip", [(raw, b""), (utf8.encode(), b""), (b"plain.wav", b"")], UNIX)
    contents, rejections = read_all(path, ArchiveLimits(name_encoding=encoding))
    assert (contents, rejections) == ({name: b"0", utf8: b"1", "plain.wav": b"2"}, [])
    without, _ = read_all(path)
    assert name not in without
    assert list(without.values()) == [b"0", b"1", b"2"]


def test_a_name_that_is_not_in_the_encoding_of_the_settings_is_read_as_cp437(
    tmp_path: Path,
) -> None:
    path = zip_of(tmp_path / "a.zip", [(b"caf\x82 \xff.wav", b"")], DOS)
    assert read_all(path, ArchiveLimits(name_encoding="cp932")) == (
        {"caf\u00e9 \u00a0.wav": b"0"},
        [],
    )


UNSAFE = [
    "../x.wav",
    "a/../../x.wav",
    "/abs.wav",
    "C:\\x.wav",
    "d:/x.wav",
    "..\\x.wav",
    "nul\0x.wav",
]


def test_unsafe_names_are_rejected_in_zips_and_tars(tmp_path: Path) -> None:
    tree = [(name, b"1") for name in UNSAFE] + [("fine.wav", b"2")]
    zipped = write_zip(tmp_path / "a.zip", tree)
    tarred = tmp_path / "a.tar"
    with tarfile.open(tarred, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in tree:
            info = tarfile.TarInfo("placeholder.wav")
            info.pax_headers = {"path": name}
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for path in (zipped, tarred):
        contents, rejections = read_all(path)
        assert contents == {"fine.wav": b"2"}
        assert reasons(rejections) == {
            encode_path(name): Reason.UNSAFE_MEMBER_NAME for name in UNSAFE
        }


def test_a_member_that_would_leave_its_folder_is_not_opened(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", {"a.wav": b"1"})
    write_tree(tmp_path, {"secret.wav": b"2"})
    archive = canonical_uri(str(root))
    wrong = [
        *("../secret.wav", "%2e%2e/secret.wav", "a/../../secret.wav", "", "nul%00.wav"),
        *(str(tmp_path / "secret.wav"), "%2F" + str(tmp_path / "secret.wav")[1:]),
    ]
    answers = opened([(archive, member) for member in wrong])
    assert len(answers) == len(wrong)
    for answer in answers.values():
        assert isinstance(answer, Rejection)
        assert answer.reason is Reason.UNSAFE_MEMBER_NAME


def test_source_uri_is_the_archive_then_the_member() -> None:
    assert join_uri("s3://b/x.zip", "sub/a.wav") == "s3://b/x.zip!/sub/a.wav"
    assert join_uri("s3://b/x.zip", "") == "s3://b/x.zip"
