"""What a listing finds without opening anything."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest

from nightscribe.archives.entries import File, PassedOver, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.errors import ConfigurationError, Reason
from nightscribe.uris import canonical_uri
from tests.archives.packing import (
    MIB,
    opened,
    reasons,
    write_tree,
)
from tests.unprivileged import unprivileged


def test_folder_lists_audio_containers_and_manifests_and_ignores_the_rest(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "b.WAV": b"1",
            "a.mp3": b"22",
            "notes.txt": b"x",
            "cover.jpg": b"x",
            ".DS_Store": b"x",
            "._a.mp3": b"x",
            "__MACOSX/a.mp3": b"x",
            ".hidden/a.mp3": b"x",
            "sub/manifest.csv": b"path\n",
            "sub/more.tar.gz": b"not looked at",
            "sub/deep/c.opus": b"333",
        },
    )
    found = list(list_files(str(tmp_path)))
    collection = canonical_uri(str(tmp_path))
    assert all(isinstance(f, File | PassedOver) and f.collection == collection for f in found)
    passed = sorted(f.suffix for f in found if isinstance(f, PassedOver))
    assert passed == ["(hidden)"] * 4 + [".jpg", ".txt"]
    assert [(f.archive, f.member, f.kind, f.size_bytes) for f in found if isinstance(f, File)] == [
        (collection, "a.mp3", Kind.AUDIO, 2),
        (collection, "b.WAV", Kind.AUDIO, 1),
        (collection, "sub/manifest.csv", Kind.MANIFEST, 5),
        (f"{collection}/sub/more.tar.gz", "", Kind.CONTAINER, 13),
        (collection, "sub/deep/c.opus", Kind.AUDIO, 3),
    ]


def test_a_file_keeps_its_version_until_it_is_touched(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.wav": b"1"})
    (before,) = list_files(str(tmp_path))
    assert list(list_files(str(tmp_path))) == [before]
    os.utime(tmp_path / "a.wav", ns=(0, 17))
    (after,) = list_files(str(tmp_path))
    assert after.version == "17" != before.version


def test_listing_opens_no_file(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.wav": b"1", "b.zip": b"2", "manifest.csv": b"3"})
    opened_paths: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            opened_paths.append(str(arguments[0]))

    sys.addaudithook(watch)
    try:
        assert len(list(list_files(str(tmp_path)))) == 3
    finally:
        watching = False
    assert opened_paths == []


def test_collection_may_be_one_container_or_one_file(tmp_path: Path) -> None:
    write_tree(tmp_path, {"talk.mp3": b"1", "all.zip": b"2"})
    (container,) = list_files(str(tmp_path / "all.zip"))
    (single,) = list_files(f"file://{tmp_path}/talk.mp3")
    assert isinstance(container, File)
    assert isinstance(single, File)
    assert (container.archive, container.member) == (f"file://{tmp_path}/all.zip", "")
    assert (single.archive, single.member) == (f"file://{tmp_path}", "talk.mp3")
    assert opened([(single.archive, single.member)])[single.archive, "talk.mp3"] == b"1"


def test_missing_collection_is_a_configuration_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere: no such archive"):
        list_files(str(tmp_path / "nowhere"))


def test_empty_files_are_rejected_without_being_opened(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.wav": b"", "b.zip": b"", "c.wav": b"1"})
    found = list(list_files(str(tmp_path)))
    assert [f.uri for f in found if isinstance(f, File)] == [f"file://{tmp_path}!/c.wav"]
    rejections = [f for f in found if isinstance(f, Rejection)]
    assert {r.reason for r in rejections} == {Reason.EMPTY_FILE}
    assert {r.uri for r in rejections} == {f"file://{tmp_path}!/a.wav", f"file://{tmp_path}/b.zip"}
    assert all(r.version for r in rejections)


def test_links_are_followed_inside_the_archive_only(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", {"a.wav": b"1", "sub/b.wav": b"2"})
    outside = write_tree(tmp_path / "out", {"secret.wav": b"3"})
    (root / "inside.wav").symlink_to(root / "sub" / "b.wav")
    (root / "outside.wav").symlink_to(outside / "secret.wav")
    (root / "nowhere.wav").symlink_to(root / "gone.wav")
    (root / "sub" / "loop").symlink_to(root)
    (root / "sub" / "loop.wav").symlink_to(root)
    os.mkfifo(root / "pipe.wav")
    found = list(list_files(str(root)))
    members = {f.member for f in found if isinstance(f, File)}
    assert members == {"a.wav", "inside.wav", "sub/b.wav"}
    rejected = reasons(f for f in found if isinstance(f, Rejection))
    assert rejected == dict.fromkeys(
        ["outside.wav", "nowhere.wav", "pipe.wav", "sub/loop", "sub/loop.wav"], Reason.LINK_MEMBER
    )
    archive = canonical_uri(str(root))
    answers = opened([(archive, name) for name in ("inside.wav", "outside.wav", "pipe.wav")])
    assert answers[archive, "inside.wav"] == b"2"
    assert {a.reason for a in answers.values() if isinstance(a, Rejection)} == {Reason.LINK_MEMBER}
    assert sum(isinstance(a, Rejection) for a in answers.values()) == 2


_LIST_AND_OPEN = """
import sys
from nightscribe.archives.entries import File
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.errors import ConfigurationError
from nightscribe.settings import ArchiveLimits
sources = []
try:
    for found in list_files(sys.argv[1]):
        print(type(found).__name__, found.uri.partition("!/")[2], getattr(found, "reason", ""))
        if isinstance(found, File):
            sources.append((found.archive, found.member))
except ConfigurationError as error:
    print("ConfigurationError", error)
for (_, member), answer in open_sources(sources, ArchiveLimits()):
    print("opened", member, getattr(answer, "reason", "") or answer.read().decode())
"""


def test_unreadable_folder_and_file_are_rejected_and_the_rest_is_used(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/x.wav": b"ax", "locked/y.wav": b"y", "z/f.wav": b"f", "z/g.wav": b"g"})
    locked = [tmp_path / "locked", tmp_path / "z" / "f.wav"]
    for path in locked:
        path.chmod(0)
    try:
        lines = unprivileged(_LIST_AND_OPEN, str(tmp_path))
        root_lines = unprivileged(_LIST_AND_OPEN, str(tmp_path / "locked"))
    finally:
        for path in locked:
            path.chmod(0o700)
    assert lines == [
        "File a/x.wav ",
        "Rejection locked unreadable",
        "File z/f.wav ",
        "File z/g.wav ",
        "opened a/x.wav ax",
        "opened z/f.wav unreadable",
        "opened z/g.wav g",
    ]
    assert root_lines[0].startswith("ConfigurationError")
    assert "cannot be read" in root_lines[0]


def test_ten_thousand_files_are_listed_in_about_a_second_and_little_memory(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / str(folder)).mkdir()
        for file in range(100):
            (tmp_path / str(folder) / f"{file}.wav").write_bytes(b"1")
    started = time.process_time()
    assert sum(1 for _ in list_files(str(tmp_path))) == 10_000
    # Of the processor, so that a busy machine does not count; a tenth of a second here.
    assert time.process_time() - started < 2
    tracemalloc.start()
    try:
        for _ in list_files(str(tmp_path)):
            pass
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_file_right_below_the_root_is_a_member_of_the_root() -> None:
    if not os.access("/", os.W_OK):
        pytest.skip("only root may write to /")
    path = Path(tempfile.mkstemp(suffix=".wav", dir="/")[1])
    try:
        path.write_bytes(b"content")
        [found] = list_files(str(path))
        assert isinstance(found, File)
        assert (found.archive, found.member) == ("file:///", path.name)
        assert opened([(found.archive, found.member)]) == {
            (found.archive, found.member): b"content"
        }
    finally:
        path.unlink()


def test_every_file_of_a_folder_has_one_answer(tmp_path: Path) -> None:
    audio = [
        "b.wave",
        "c.bwf",
        "d.m4b",
        "e.3gpp",
        "f.ogv",
        "g.rm",
        "h.gsm",
        "i.dts",
        "j.wav.1",
        "k.wav?download=1",
    ]
    containers = ["a.wav.gz", "b.mp3.zst", "c.FLAC.bz2", "d.ogg.xz", "e.tar.zst", "f.tzst"]
    containers += ["g.wav.1.gz"]
    rejected = ["a.7z", "b.rar", "c.tar.lz4", "d.wav.lz", "f.zip.001", "g.iso", "h.zip.gz"]
    rejected += ["i.wav.gz.gz", "j.tar.gz.gz", "k.wav.gz.1", "manifest.csv.gz"]
    passed = ["a.txt", "b.txt.gz", "c.log.1", "README", "d.wav~", "e.wav.part"]
    root = write_tree(
        tmp_path / "a", dict.fromkeys([*audio, *containers, *rejected, *passed], b"1")
    )
    write_tree(tmp_path / "nas", {"x.wav": b"1"})
    (root / "outside").symlink_to(tmp_path / "nas")
    (root / "linked.wav").symlink_to(tmp_path / "nas")
    (root / "inside").symlink_to(root)
    found = list(list_files(str(root)))
    files = [f for f in found if isinstance(f, File)]
    assert sorted(f.member for f in files if f.kind is Kind.AUDIO) == sorted(audio)
    packed = [f.archive.rpartition("/")[2] for f in files if f.kind is Kind.CONTAINER]
    assert sorted(packed) == sorted(containers)
    told = reasons(f for f in found if isinstance(f, Rejection))
    assert told == dict.fromkeys(rejected, Reason.UNSUPPORTED_ARCHIVE) | dict.fromkeys(
        ["outside", "linked.wav", "inside"], Reason.LINK_MEMBER
    )
    assert len([f for f in found if isinstance(f, PassedOver)]) == len(passed)
