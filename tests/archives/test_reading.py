"""Containers of every packing give the same members, in bounded memory."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightscribe.archives.entries import File, Member, PassedOver, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.archives.reading import read_container
from nightscribe.errors import NightscribeError, Reason
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import canonical_uri, decode_path
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


_ENTRY = st.tuples(
    st.lists(st.sampled_from(["a", "b.wav", ".c", "__MACOSX", "d.zip"]), max_size=2),
    st.sampled_from(["x", "y", ".z"]),
    st.sampled_from([".wav", ".txt", "", ".zip", ".7z", ".tar.gz", "/manifest.csv"]),
).map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=st.dictionaries(_ENTRY, st.sampled_from([b"", b"1"]), max_size=8).filter(_is_tree),
    links=st.sets(st.sampled_from(["l.wav", "l.txt", "a/l", ".l"])),
    target=st.sampled_from(["gone", ".", "/etc/passwd", "x.wav"]),
)
def test_every_file_has_one_answer_however_it_is_packed(
    tmp_path_factory: pytest.TempPathFactory,
    tree: dict[str, bytes],
    links: set[str],
    target: str,
) -> None:
    work = tmp_path_factory.mktemp("tree")
    root = write_tree(work / "root", tree)
    for link in links:
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    root.mkdir(exist_ok=True)
    expected = 0
    for folder, folders, files in os.walk(root):
        hidden = [f for f in folders if f.startswith(".") or f == "__MACOSX"]
        linked = [f for f in folders if f not in hidden and os.path.islink(f"{folder}/{f}")]
        folders[:] = [f for f in folders if f not in hidden and f not in linked]
        expected += len(files) + len(hidden) + len(linked)
    assert len(list(list_files(str(root)))) == expected

    tars = [work / "a.tar", work / "a.tar.gz"]
    for path, mode in zip(tars, ("w", "w:gz"), strict=True):
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            archive.add(root, ".")
    zipped = write_zip(work / "a.zip", [*tree.items(), ("empty.wav/", b""), ("a/", b"")])
    for path, count in ((tars[0], None), (tars[1], None), (zipped, len(tree))):
        if count is None:
            with tarfile.open(path) as archive:
                count = sum(not info.isdir() for info in archive)
        answers = list(read_container(str(path), LIMITS))
        assert len(answers) == count
        assert all(isinstance(a, PassedOver) or "!/" in a.uri for a in answers)


def test_a_folders_name_with_bytes_is_told(tmp_path: Path) -> None:
    tree = [("x.wav/", b"1"), ("y/", b"2"), ("z/", b""), ("fine.wav", b"3")]
    old = write_tar(tmp_path / "old.tar", tree)
    data = bytearray(old.read_bytes())
    for block in (0, 1024):  # the oldest format has no type: a zero byte
        data[block + 156] = 0
        data[block + 148 : block + 156] = b" " * 8
        data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
    old.write_bytes(data)
    for path in (
        old,
        write_tar(tmp_path / "a.tar", tree),
        write_tar(tmp_path / "a.tgz", tree, "w:gz"),
        write_zip(tmp_path / "a.zip", tree),
    ):
        contents, rejections = read_all(path)
        assert contents == {"fine.wav": b"3"}
        assert reasons(rejections) == dict.fromkeys(["x.wav", "y"], Reason.UNSAFE_MEMBER_NAME)
