"""Promises of `nightscribe.archives`: what is found, how it opens, what bad input becomes."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightscribe.archives.entries import File, Member, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.errors import ConfigurationError, NightscribeError, Reason
from nightscribe.settings import ArchiveLimits
from nightscribe.storage import locate
from nightscribe.uris import canonical_uri, decode_path, encode_path, join_uri

LIMITS = ArchiveLimits()
MIB = 1024 * 1024


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def write_tree(root: Path, tree: dict[str, bytes]) -> Path:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(
    path: Path, tree: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in tree:
            # A ZipInfo of one's own keeps the name as given.
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = method
            archive.writestr(info, content)
    return path


def write_tar(path: Path, tree: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in tree:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def read_all(
    path: Path, limits: ArchiveLimits = LIMITS
) -> tuple[dict[str, bytes], list[Rejection]]:
    """Contents by member, and rejections, of a container read front to back."""
    contents: dict[str, bytes] = {}
    rejections = []
    for item in read_container(str(path), limits):
        if isinstance(item, Member):
            contents[item.member] = item.file.read()
        else:
            rejections.append(item)
    return contents, rejections


def opened(
    sources: list[tuple[str, str]], limits: ArchiveLimits = LIMITS
) -> dict[tuple[str, str], bytes | Rejection]:
    answers: dict[tuple[str, str], bytes | Rejection] = {}
    for source, answer in open_sources(sources, limits):
        assert source not in answers, "answered twice"
        answers[source] = answer if isinstance(answer, Rejection) else answer.read()
    return answers


def reasons(rejections: Iterable[Rejection]) -> dict[str, Reason]:
    return {rejection.uri.partition("!/")[2]: rejection.reason for rejection in rejections}


# ----------------------------------------------------------------------------- listing


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
    assert all(isinstance(file, File) and file.collection == collection for file in found)
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
    assert rejected == dict.fromkeys(["outside.wav", "nowhere.wav", "pipe.wav"], Reason.LINK_MEMBER)
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


def unprivileged(script: str, *arguments: str) -> list[str]:
    """Lines that a script prints when run where permission bits bind, root or not."""
    command = [sys.executable, "-c", script, *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("running as root, and setpriv is not installed to give that up")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout.splitlines()


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
    started = time.perf_counter()
    assert sum(1 for _ in list_files(str(tmp_path))) == 10_000
    # Takes a tenth of a second here; the margin is for busy machines.
    assert time.perf_counter() - started < 2
    tracemalloc.start()
    try:
        for _ in list_files(str(tmp_path)):
            pass
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


# ----------------------------------------------------------------------------- names

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


# ----------------------------------------------------------------------------- containers

TREE = {
    "one.wav": noise(3000, 1),
    "sub/two.flac": noise(5, 2),
    "sub/deep/three.mp3": b"3" * 2000,
    "manifest.csv": b"path\none.wav\n",
}
PACKINGS: dict[str, Callable[[Path], Path]] = {
    "deflated.zip": lambda p: write_zip(p, TREE.items()),
    "stored.zip": lambda p: write_zip(p, TREE.items(), zipfile.ZIP_STORED),
    "plain.tar": lambda p: write_tar(p, TREE.items()),
    "gzip.tar.gz": lambda p: write_tar(p, TREE.items(), "w:gz"),
    "gzip.tgz": lambda p: write_tar(p, TREE.items(), "w:gz"),
    "bzip.tar.bz2": lambda p: write_tar(p, TREE.items(), "w:bz2"),
    "bzip.tbz2": lambda p: write_tar(p, TREE.items(), "w:bz2"),
    "xz.tar.xz": lambda p: write_tar(p, TREE.items(), "w:xz"),
    "xz.txz": lambda p: write_tar(p, TREE.items(), "w:xz"),
    # Downloads often arrive already decompressed, under their old name.
    "really-plain.tar.gz": lambda p: write_tar(p, TREE.items()),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_every_packing_gives_the_same_members_in_order(tmp_path: Path, name: str) -> None:
    path = PACKINGS[name](tmp_path / name)
    before = hashlib.sha256(path.read_bytes()).digest()
    members = []
    for item in read_container(str(path), LIMITS):
        assert isinstance(item, Member)
        content = item.file.read()
        item.file.seek(-1, os.SEEK_END)
        assert item.file.read() == content[-1:]
        item.file.seek(1)
        assert item.file.read(2) == content[1:3]
        assert item.size_bytes == len(content)
        assert item.uri == f"file://{path}!/{item.member}"
        members.append((item.position, item.member, item.kind, content))
    assert [m[:3] for m in members] == [
        (0, "one.wav", Kind.AUDIO),
        (1, "sub/two.flac", Kind.AUDIO),
        (2, "sub/deep/three.mp3", Kind.AUDIO),
        (3, "manifest.csv", Kind.MANIFEST),
    ]
    assert {m[1]: m[3] for m in members} == TREE
    assert hashlib.sha256(path.read_bytes()).digest() == before


@pytest.mark.parametrize("name", PACKINGS)
def test_sources_of_every_packing_open_by_name(tmp_path: Path, name: str) -> None:
    path = PACKINGS[name](tmp_path / name)
    archive = canonical_uri(str(path))
    wanted = [(archive, "sub/deep/three.mp3"), (archive, "gone.wav"), (archive, "one.wav")]
    answers = opened(wanted)
    assert set(answers) == set(wanted)
    assert answers[archive, "one.wav"] == TREE["one.wav"]
    assert answers[archive, "sub/deep/three.mp3"] == TREE["sub/deep/three.mp3"]
    gone = answers[archive, "gone.wav"]
    assert isinstance(gone, Rejection)
    assert gone.reason is Reason.CHANGED


def test_many_archives_are_answered_together_each_once(tmp_path: Path) -> None:
    write_tree(tmp_path, TREE)
    folder = canonical_uri(str(tmp_path))
    zipped = write_zip(tmp_path / "a.zip", TREE.items())
    tarred = write_tar(tmp_path / "b.tar.gz", TREE.items(), "w:gz")
    archives = [folder, canonical_uri(str(zipped)), canonical_uri(str(tarred))]
    sources = [(archive, member) for member in TREE for archive in archives]
    sources += [(f"{folder}/gone.tar", "x.wav"), (folder, "gone.wav"), sources[0]]
    answers = opened(sources)
    assert set(answers) == set(sources)
    for (_, member), answer in answers.items():
        if isinstance(answer, Rejection):
            assert answer.reason is Reason.CHANGED
        else:
            assert answer == TREE[member]
    assert sum(isinstance(answer, Rejection) for answer in answers.values()) == 2


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


def test_members_are_read_in_place_or_spooled_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    tree = {"big.wav": noise(3 * MIB), "small.wav": noise(10)}
    limits = ArchiveLimits(spool_bytes=MIB)
    for path in (
        write_zip(tmp_path / "a.zip", tree.items()),
        write_zip(tmp_path / "b.zip", tree.items(), zipfile.ZIP_STORED),
        write_tar(tmp_path / "c.tar", tree.items()),
        write_tar(tmp_path / "d.tgz", tree.items(), "w:gz"),
    ):
        assert read_all(path, limits) == (tree, [])
        assert list(temporary.iterdir()) == []
        # A reader that stops early leaves nothing either.
        reader = read_container(str(path), limits)
        first = next(reader)
        assert isinstance(first, Member)
        reader.close()  # type: ignore[attr-defined]
        assert first.file.closed
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar"])
def test_memory_is_bounded_by_the_spool_not_by_the_member(tmp_path: Path, name: str) -> None:
    tree = [("big.wav", noise(32 * MIB))]
    path = tmp_path / name
    write_zip(path, tree) if name == "a.zip" else write_tar(
        path, tree, "w:gz" if name == "a.tgz" else "w"
    )
    del tree
    tracemalloc.start()
    try:
        for item in read_container(str(path), ArchiveLimits(spool_bytes=MIB)):
            assert isinstance(item, Member)
            while item.file.read(MIB):
                pass
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_members_of_no_interest_are_passed_by(tmp_path: Path) -> None:
    tree = [
        ("./a.wav", b"1"),
        ("sub//./b.wav", b"2"),
        ("readme.txt", b"x"),
        ("../readme.txt", b"x"),
        ("._a.wav", b"x"),
        ("__MACOSX/._a.wav", b"x"),
        ("__MACOSX/a.wav", b"x"),
        (".git/a.wav", b"x"),
    ]
    for path in (write_zip(tmp_path / "a.zip", tree), write_tar(tmp_path / "a.tar", tree)):
        assert read_all(path) == ({"a.wav": b"1", "sub/b.wav": b"2"}, [])


def test_a_folder_named_like_a_recording_or_an_archive_is_a_folder(tmp_path: Path) -> None:
    write_tree(tmp_path, {"x.zip/a.wav": b"1", "y.wav/b.wav": b"2"})
    folder = canonical_uri(str(tmp_path))
    found = [(f.archive, f.member) for f in list_files(folder) if isinstance(f, File)]
    assert found == [(folder, "x.zip/a.wav"), (folder, "y.wav/b.wav")]
    assert list(opened([*found, (f"{folder}/x.zip", "a.wav")]).values()) == [b"1", b"2", b"1"]
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        archive.add(tmp_path / "y.wav", "y.wav")
    assert read_all(tmp_path / "t.tar") == ({"y.wav/b.wav": b"2"}, [])


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


# ----------------------------------------------------------------------------- bad containers


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


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.zip"])
def test_text_or_nothing_named_like_an_archive_is_one_rejection(tmp_path: Path, name: str) -> None:
    for content, reason in ((b"hello " * 500, Reason.CORRUPT_ARCHIVE), (b"", Reason.EMPTY_FILE)):
        (tmp_path / name).write_bytes(content)
        contents, rejections = read_all(tmp_path / name)
        assert contents == {}
        assert [r.reason for r in rejections] == [reason]


def test_noise_in_place_of_an_archive_never_raises(tmp_path: Path) -> None:
    whole = {p.suffix: p.read_bytes() for p in (make(tmp_path / n) for n, make in PACKINGS.items())}
    dice = random.Random(7)
    for round_ in range(200):
        suffix = dice.choice(sorted(whole))
        data = bytearray(whole[suffix])
        for _ in range(dice.randrange(1, 30)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path = tmp_path / f"broken{suffix if suffix not in ('.gz', '.bz2', '.xz') else '.tar'}"
        path.write_bytes(data)
        contents, rejections = read_all(path)
        assert contents or rejections, f"round {round_}"


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


def test_archive_in_an_archive_is_rejected(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", TREE.items()).read_bytes()
    tree = [("inner.zip", inner), ("x.tar.gz", b"?"), ("fine.wav", b"1")]
    for path in (write_zip(tmp_path / "a.zip", tree), write_tar(tmp_path / "a.tar", tree)):
        contents, rejections = read_all(path)
        assert contents == {"fine.wav": b"1"}
        assert reasons(rejections) == dict.fromkeys(
            ["inner.zip", "x.tar.gz"], Reason.NESTED_ARCHIVE
        )


def test_empty_members_are_rejected(tmp_path: Path) -> None:
    tree = [("empty.wav", b""), ("fine.wav", b"1")]
    for path in (write_zip(tmp_path / "a.zip", tree), write_tar(tmp_path / "a.tar", tree)):
        contents, rejections = read_all(path)
        assert contents == {"fine.wav": b"1"}
        assert reasons(rejections) == {"empty.wav": Reason.EMPTY_FILE}


# ----------------------------------------------------------------------------- bombs


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


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_limits_on_members_and_bytes_hold(tmp_path: Path, name: str) -> None:
    tree = [(f"{i}.wav", noise(1000, i)) for i in range(10)]
    path = tmp_path / name
    write_zip(path, tree) if name == "a.zip" else write_tar(
        path, tree, "w:gz" if name == "a.tgz" else "w"
    )
    contents, (rejection,) = read_all(path, ArchiveLimits(max_members=4))
    assert list(contents) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert (rejection.uri, rejection.reason) == (f"file://{path}", Reason.ARCHIVE_LIMIT)
    contents, rejections = read_all(path, ArchiveLimits(max_member_bytes=999))
    assert contents == {}
    assert list(reasons(rejections).values()) == [Reason.ARCHIVE_LIMIT] * 10
    contents, rejections = read_all(path, ArchiveLimits(max_expanded_bytes=5000))
    if name == "a.tar":
        assert len(contents) == 10, "a plain tar expands to nothing more than it is"
    else:
        assert 0 < len(contents) <= 5
        assert [(r.uri, r.reason) for r in rejections] == [(f"file://{path}", Reason.ARCHIVE_LIMIT)]


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


def test_full_temporary_folder_is_told_to_the_person_not_blamed_on_the_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.wav", noise(3 * MIB))])

    def no_room(*_: object, **__: object) -> io.BufferedRandom:
        # A device that is always full, as the system's own error says.
        return open("/dev/full", "w+b", buffering=0)  # type: ignore[return-value]

    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    monkeypatch.setattr("tempfile.TemporaryFile", no_room)
    with pytest.raises(NightscribeError, match=r"temporary folder .* is full.*TMPDIR") as caught:
        read_all(path, ArchiveLimits(spool_bytes=MIB))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


# ----------------------------------------------------------------------------- any tree

_PART = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"), min_size=1, max_size=12
).filter(lambda part: not part.startswith(".") and part != "__MACOSX" and ":" not in part)
_NAME = st.tuples(
    st.lists(_PART, max_size=2), _PART, st.sampled_from([".wav", ".MP3", ".txt", ".m4a"])
).map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]]))


def _is_tree(names: Iterable[str]) -> bool:
    """Whether no name is also the folder of another, and all fit a file system."""
    names = list(names)
    folders = {name[:i] for name in names for i, c in enumerate(name) if c == "/"}
    return not folders & set(names) and all(
        len(part.encode()) < 200 for name in names for part in name.split("/")
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=st.dictionaries(_NAME, st.binary(max_size=300), max_size=6).filter(_is_tree))
def test_any_tree_gives_the_same_members_however_it_is_packed(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    write_tree(root / "folder", tree).mkdir(exist_ok=True)
    containers = [
        write_zip(root / "a.zip", tree.items()),
        write_zip(root / "stored.zip", tree.items(), zipfile.ZIP_STORED),
        write_tar(root / "a.tar", tree.items()),
        write_tar(root / "a.tar.gz", tree.items(), "w:gz"),
    ]
    listed = list(list_files(str(root / "folder")))
    sources = [(f.archive, f.member) for f in listed if isinstance(f, File)]
    expected = {
        (member, hashlib.sha256(content).hexdigest())
        for (_, member), content in opened(sources).items()
        if isinstance(content, bytes)
    }
    heard = [name for name, content in tree.items() if content and not name.endswith(".txt")]
    assert {decode_path(member) for member, _ in expected} == set(heard)
    assert len(expected) == len(heard)
    for path in containers:
        contents, rejections = read_all(path)
        found = {(name, hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
        assert found == expected
        empty = [name for name, content in tree.items() if not content and name[-4:] != ".txt"]
        assert set(reasons(rejections).values()) <= {Reason.EMPTY_FILE}
        assert len(rejections) == len(empty)
        archive = canonical_uri(str(path))
        again = opened([(archive, member) for member, _ in expected])
        assert {member: content for (_, member), content in again.items()} == contents


def test_source_uri_is_the_archive_then_the_member() -> None:
    assert join_uri("s3://b/x.zip", "sub/a.wav") == "s3://b/x.zip!/sub/a.wav"
    assert join_uri("s3://b/x.zip", "") == "s3://b/x.zip"
