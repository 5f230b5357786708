"""Odd names become text, keep their bytes, and still open; unsafe ones are rejected."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.archives.entries import File, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.errors import ConfigurationError, Reason
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


def test_zip_written_on_windows_with_backslashes_has_folders(tmp_path: Path) -> None:
    path = tmp_path / "windows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = "talks\\a.wav"
        info.create_system = 0
        archive.writestr(info, b"1")
    assert read_all(path) == ({"talks/a.wav": b"1"}, [])


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
