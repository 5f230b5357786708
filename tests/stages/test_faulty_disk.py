"""Ingestion from a disk that fails: nothing is lost, cut short or given up for good."""

from __future__ import annotations

import os
import random
import re
import tarfile
import zipfile
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nightscribe import storage
from nightscribe.archives.entries import Member, Rejection
from nightscribe.archives.reading import read_container
from nightscribe.errors import NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.account import Account
from nightscribe.stages.ingest import ingest
from nightscribe.stages.scan import scan
from nightscribe.uris import canonical_uri, join_uri
from tests.faulty_disk import FILE_FAULTS, Fault, FaultyDisk, failing
from tests.stages.test_account import Tree, run_night, wav
from tests.unprivileged import unprivileged

TREES = 20
SEEDS = (1, 2)
CONTENTS = {
    "recordings": "SELECT * EXCLUDE (run_id, created_at) FROM recordings",
    # A file that is listed a night later gets another position.
    "sources": "SELECT * EXCLUDE (run_id, created_at, position) FROM present_sources",
    "scans": "SELECT uri, size_bytes, version, kind FROM scans",
    "reference_texts": "SELECT * EXCLUDE (run_id, created_at) FROM reference_texts",
    "warnings": "SELECT * EXCLUDE (run_id, created_at) FROM warnings",
}


def contents(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {
        name: read(lake, f"SELECT * FROM ({query}) ORDER BY ALL").to_pylist()
        for name, query in CONTENTS.items()
    }


def long_wav(seed: int) -> bytes:
    """A WAV that does not fit into a message: a decoder process reads it in place."""
    short = wav(seed)
    data = random.Random(seed).randbytes(80_000 + 2 * seed)
    sizes = [len(data).to_bytes(4, "little"), (36 + len(data)).to_bytes(4, "little")]
    return b"RIFF" + sizes[1] + short[8:40] + sizes[0] + data


def add_long_recordings(root: Path, seed: int) -> None:
    """Add recordings that are read in place, in the folder, a zip and a tar, and a manifest."""
    (root / "long.wav").write_bytes(long_wav(3 * seed))
    with zipfile.ZipFile(root / "long.zip", "w") as archive:
        archive.writestr("a.wav", long_wav(3 * seed + 1))
        archive.writestr("manifest.csv", "path,text,language\na.wav,in a zip,en\n")
    (root / "c.wav").write_bytes(long_wav(3 * seed + 2))
    with tarfile.open(root / "long.tar", "w") as tar:
        tar.add(root / "c.wav", "c.wav")
    (root / "c.wav").unlink()
    (root / "manifest.csv").write_text("path,text,language\nlong.wav,long,en\n")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random trees."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.wav").write_bytes(wav(7))
    folder = tmp_path_factory.mktemp("trees")
    for seed in range(TREES):
        Tree(folder / f"tree{seed}", outside, seed)
        if seed % 4 == 0:
            add_long_recordings(folder / f"tree{seed}", seed)
    return folder


@pytest.fixture(scope="module")
def clean(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that never saw a fault."""
    lake = open_lake(str(tmp_path_factory.mktemp("clean") / "lake"))
    run_night(lake, roots(trees), "clean")
    return lake


def roots(trees: Path) -> list[str]:
    return sorted(map(str, trees.iterdir()))


def random_faults(trees: Path, seed: int) -> dict[str, Fault]:
    """Faults by path, for half of the files and a tenth of the folders below a tree."""
    chance = random.Random(seed)
    faults = {}
    for folder, folders, files in os.walk(trees):
        folders.sort()
        for name in [] if folder == str(trees) else folders:
            if chance.random() < 0.1 and not os.path.islink(os.path.join(folder, name)):
                faults[os.path.join(folder, name)] = Fault("list")
        for name in sorted(files):
            path = os.path.join(folder, name)
            size = os.lstat(path).st_size
            kind = chance.choice(["read", "end", *FILE_FAULTS])
            # Files are read once or twice, zips are read at several places.
            fault = Fault(kind, int(size * chance.uniform(0, 2)), once=chance.random() < 0.5)
            if chance.random() < 0.5:
                faults[path] = fault
    return faults


def disk_with(faults: dict[str, Fault], away: Path) -> FaultyDisk:
    away.mkdir(exist_ok=True)
    return FaultyDisk({os.lstat(path).st_ino: fault for path, fault in faults.items()}, away)


class Fails:
    """Arranges nights with a disk that fails."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        monkeypatch.syspath_prepend(folder / "path")

    def night(
        self, lake: Lake, trees: Path, faults: dict[str, Fault], run_id: str
    ) -> dict[str, Account]:
        disk = disk_with(faults, self.folder / "away")
        context: AbstractContextManager[Any] = failing(
            trees, disk, storage.LocalFile, self.folder / "path"
        )
        with context as library_file, self.monkeypatch.context() as patch:
            patch.setattr(storage, "LocalFile", library_file)
            return run_night(lake, roots(trees), run_id)[1]


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fails:
    return Fails(tmp_path, monkeypatch)


def assert_accounts(lake: Lake, accounts: dict[str, Account], run_id: str) -> None:
    """Every file that the account calls rejected has a row, and no other; none is left."""
    rows = read(
        lake,
        """SELECT DISTINCT uri FROM rejected WHERE run_id = $run_id
           AND reason NOT IN ('manifest_missing_file', 'manifest_bad_row')""",
        run_id=run_id,
    )
    by_tree = Counter(tree_of(row["uri"]) for row in rows.to_pylist())
    for uri, account in accounts.items():
        assert account.new == 0, uri
        assert account.rejected == by_tree[uri.rpartition("/")[2]], uri
        assert account.found == (
            account.known + account.used + account.rejected + account.passed_over
        )


def tree_of(uri: str) -> str:
    return next(part for part in uri.replace("!", "/").split("/") if re.fullmatch(r"tree\d+", part))


def covering(archive: str, member: str, collection: str) -> set[str]:
    """The URIs that the rejection of a source, its container or a folder above it may have."""
    path = member if archive == collection else archive.removeprefix(f"{collection}/")
    parts = path.split("/")
    above = {join_uri(collection, "/".join(parts[:n])) for n in range(1, len(parts) + 1)}
    return above | {archive, join_uri(archive, member)}


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_cost_a_night_and_nothing_else(
    seed: int, trees: Path, clean: Lake, fails: Fails, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    faults = random_faults(trees, seed)
    expected = contents(clean)

    accounts = fails.night(lake, trees, faults, "faulty")
    assert_accounts(lake, accounts, "faulty")
    found = contents(lake)
    # A recording is the whole file, or none.
    recordings = {row["recording_id"]: row for row in expected["recordings"]}
    for row in found["recordings"]:
        assert row == recordings[row["recording_id"]]
    rejected = set(read(lake, "SELECT uri FROM rejected")["uri"].to_pylist())
    ids = {(row["archive"], row["member"]): row["recording_id"] for row in found["sources"]}
    lost = 0
    for row in expected["sources"]:
        place = row["archive"], row["member"]
        if place in ids:
            assert ids[place] == row["recording_id"], place
        else:
            lost += 1
            assert rejected & covering(*place, row["collection"]), place
    assert lost > 5

    accounts = run_night(lake, roots(trees), "repaired")[1]
    for uri, account in accounts.items():
        assert account.new == 0, uri
    found = contents(lake)
    for name, rows in expected.items():
        assert found[name] == rows, name
    assert read(lake, "FROM disappeared").num_rows == 0
    assert run_night(lake, roots(trees), "after")[0].new_files == 0


def test_known_files_are_not_lost_when_the_disk_fails(
    trees: Path, clean: Lake, fails: Fails, tmp_path: Path
) -> None:
    expected = contents(clean)
    faults = random_faults(trees, 4)
    gone = {path for path, fault in faults.items() if fault.kind == "gone"}
    fails.night(clean, trees, faults, "faulty")
    assert gone
    assert read(clean, "FROM disappeared").num_rows == 0
    assert contents(clean) == expected
    run_night(clean, roots(trees), "repaired")
    assert contents(clean) == expected


@pytest.mark.parametrize("kind", ["list", "stat"])
def test_a_fault_of_the_whole_archive_names_it(kind: str, tmp_path: Path, fails: Fails) -> None:
    root = tmp_path / "trees" / "tree0"
    root.mkdir(parents=True)
    (root / "a.wav").write_bytes(wav(1))
    lake = open_lake(str(tmp_path / "lake"))
    uri = canonical_uri(str(root))
    with pytest.raises(NightscribeError, match=f"{uri}: .* cannot be read: .*Input/output error"):
        fails.night(lake, tmp_path / "trees", {str(root): Fault(kind)}, "faulty")
    run_night(lake, [str(root)], "repaired")
    assert read(lake, "FROM recordings").num_rows == 1


@pytest.mark.parametrize("pack", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, "tar"])
def test_a_bad_sector_costs_one_member(pack: int | str, tmp_path: Path, fails: Fails) -> None:
    root = tmp_path / "trees" / "tree0"
    root.mkdir(parents=True)
    if isinstance(pack, int):
        with zipfile.ZipFile(path := root / "a.zip", "w", pack) as archive:
            for number in range(3):
                archive.writestr(f"{number}.wav", long_wav(number))
    else:
        with tarfile.open(path := root / "a.tar", "w") as tar:
            for number in range(3):
                (tmp_path / "a.wav").write_bytes(long_wav(number))
                tar.add(tmp_path / "a.wav", f"{number}.wav")
    lake = open_lake(str(tmp_path / "lake"))
    faults = {str(path): Fault("sector", path.stat().st_size // 2)}
    for night in "12":
        accounts = fails.night(lake, tmp_path / "trees", faults, night)
        assert [account.rejected for account in accounts.values()] == [1]
        rows = read(lake, "SELECT uri, reason FROM rejected").to_pylist()
        assert rows == [{"uri": f"file://{path}!/1.wav", "reason": "unreadable"}]
        assert read(lake, "FROM recordings").num_rows == 2
    run_night(lake, [str(root)], "repaired")
    assert read(lake, "FROM recordings").num_rows == 3
    assert run_night(lake, [str(root)], "after")[0].new_files == 0


def test_a_link_to_a_file_that_cannot_be_reached_has_not_disappeared(
    tmp_path: Path, fails: Fails
) -> None:
    root = tmp_path / "trees" / "tree0"
    root.mkdir(parents=True)
    (root / "a.wav").write_bytes(wav(1))
    (root / "link.wav").symlink_to(root / "a.wav")
    lake = open_lake(str(tmp_path / "lake"))
    run_night(lake, [str(root)], "before")
    fails.night(lake, tmp_path / "trees", {str(root / "a.wav"): Fault("stat")}, "faulty")
    rows = read(lake, "SELECT DISTINCT reason FROM rejected").to_pylist()
    assert rows == [{"reason": "unreadable"}]
    assert read(lake, "FROM disappeared").num_rows == 0


def test_a_manifest_in_a_tar_is_read_when_the_disk_gives_it(tmp_path: Path, fails: Fails) -> None:
    root = tmp_path / "trees" / "tree0"
    root.mkdir(parents=True)
    (tmp_path / "manifest.csv").write_text("path,text\na.wav,hello\n")
    (tmp_path / "a.wav").write_bytes(long_wav(1))
    with tarfile.open(root / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.wav", "a.wav")
        tar.add(tmp_path / "manifest.csv", "manifest.csv")
    with tarfile.open(root / "a.tar") as tar:
        at = tar.getmember("manifest.csv").offset_data
    lake = open_lake(str(tmp_path / "lake"))
    faults = {str(root / "a.tar"): Fault("sector", at + 1)}
    [account] = fails.night(lake, tmp_path / "trees", faults, "1").values()
    assert (account.used, account.rejected) == (2, 1)
    run_night(lake, [str(root)], "repaired")
    assert read(lake, "SELECT text FROM reference_texts").to_pylist() == [{"text": "hello"}]


@pytest.mark.parametrize("kind", ["read", "moved"])
def test_a_manifest_is_read_when_the_disk_gives_it(kind: str, tmp_path: Path, fails: Fails) -> None:
    root = tmp_path / "trees" / "tree0"
    root.mkdir(parents=True)
    (root / "a.wav").write_bytes(wav(1))
    (root / "manifest.csv").write_text("path,text\na.wav,hello\n")
    lake = open_lake(str(tmp_path / "lake"))
    faults = {str(root / "manifest.csv"): Fault(kind)}
    for night, known in (("1", 0), ("2", 1)):
        [account] = fails.night(lake, tmp_path / "trees", faults, night).values()
        assert (account.known, account.used, account.rejected) == (known, 1 - known, 1)
        assert read(lake, "FROM reference_texts").num_rows == 0
    run_night(lake, [str(root)], "repaired")
    assert read(lake, "SELECT text FROM reference_texts").to_pylist() == [{"text": "hello"}]


@pytest.mark.parametrize("name", ["stored.zip", "deflated.zip", "plain.tar", "packed.tar.gz"])
@pytest.mark.parametrize("kind", ["read", "end"])
@pytest.mark.parametrize("once", [False, True])
def test_a_fault_at_any_byte_of_a_container_is_no_damage(
    name: str, kind: str, once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, members = tmp_path / name, {f"{number}.wav": wav(number) for number in range(2)}
    if name.endswith("zip"):
        pack = zipfile.ZIP_STORED if name == "stored.zip" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", pack) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
    else:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as tar:
            for member, content in members.items():
                (tmp_path / member).write_bytes(content)
                tar.add(tmp_path / member, member)
    size, faulty = path.stat().st_size, 0
    # The reads of the lists at a zip's end are short, those of its members are long. A local header
    # of 30 bytes comes between them.
    places = [*range(250), *range(250, 2 * size, 29 if name == "stored.zip" else 499)]
    for after in places:
        disk = disk_with({str(path): Fault(kind, after, once)}, tmp_path / "away")
        context = failing(tmp_path, disk, storage.LocalFile, tmp_path / "path")
        with context as library_file, monkeypatch.context() as patch:
            patch.setattr(storage, "LocalFile", library_file)
            faulty += not_read(str(path), members)
    assert faulty > 20


def not_read(path: str, members: dict[str, bytes]) -> bool:
    """Whether a member is not read; all that is read is right, and all else is tried again."""
    left = dict(members)
    for found in read_container(canonical_uri(path), Settings().limits):
        if isinstance(found, Rejection):
            assert found.again, found
            continue
        assert isinstance(found, Member)
        try:
            assert found.file.read() == left.pop(found.member)
        except OSError:
            return True
    return bool(left)


NIGHTS_WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from tests.stages.test_account import run_night
root, lake = Path(sys.argv[1]), open_lake(sys.argv[2])
closed = [root / "a.wav", root / "z.zip", root / "folder", root / "manifest.csv"]
for number, mode in enumerate((0, 0o755, 0)):
    for path in closed:
        path.chmod(mode)
    _, accounts = run_night(lake, [str(root)], str(number))
    [account] = accounts.values()
    print(account.known, account.used, account.rejected)
for path in closed:
    path.chmod(0o755)
print(*sorted(read(lake, "SELECT DISTINCT reason FROM rejected")["reason"].to_pylist()))
print(read(lake, "FROM disappeared").num_rows, read(lake, "FROM reference_texts").num_rows)
"""


def test_files_that_may_not_be_read_are_read_when_they_may_be(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    (root / "folder").mkdir(parents=True)
    for number, name in enumerate(("a.wav", "b.wav", "folder/c.wav")):
        (root / name).write_bytes(wav(number))
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr("inside.wav", wav(9))
    (root / "manifest.csv").write_text("path,text\nb.wav,hello\n")
    lines = unprivileged(NIGHTS_WITHOUT_RIGHTS, str(root), str(tmp_path / "lake"))
    # At first only b.wav can be read. Then a, c, the zip, its member and the manifest can, too.
    # What is known is not opened again; only the folder cannot be listed.
    assert lines == ["0 1 4", "1 5 0", "4 0 1", "unreadable", "0 1"]


def test_a_file_that_grows_after_it_was_listed_is_read_the_next_night(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    (root / "a.wav").write_bytes(wav(1)[:1500])
    lake, settings = open_lake(str(tmp_path / "lake")), Settings()
    scanned = scan(lake, [str(root)], "1", settings=settings, folder="1")
    (root / "a.wav").write_bytes(wav(1))
    [spec] = scanned.specs
    done = ingest(lake, spec, "1", settings=settings)
    assert (done.recordings, done.rejected) == (0, 1)
    [row] = read(lake, "SELECT reason, detail FROM rejected").to_pylist()
    assert row["reason"] == "changed"
    assert row["detail"] == f"1500 bytes when it was listed, and now {len(wav(1))}"
    run_night(lake, [str(root)], "2")
    assert read(lake, "SELECT warning FROM recordings").to_pylist() == [{"warning": None}]
