"""The account of a run adds up: every file is known, used, rejected or passed over."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
import wave
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import finish_manifests
from nightscribe.settings import Settings
from nightscribe.stages.account import Account, accounts_of
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.scan import Scanned, scan
from nightscribe.uris import canonical_uri

TREES = 500


def wav(seed: int) -> bytes:
    """A WAV of 0.15 s; another seed gives other samples."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(random.Random(seed).randbytes(2400))
    return content.getvalue()


@dataclass
class Expected:
    """What the account of a tree must say, as its maker knows it."""

    used: int = 0
    rejected: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    listed: int = 0  # of these, files that a listing sees; the others are members
    listed_rejected: int = 0


class Tree:
    """A random folder archive."""

    def __init__(self, root: Path, outside: Path, seed: int) -> None:
        self.root, self.outside = root, outside
        self.random = random.Random(seed)
        self.expected = Expected()
        root.mkdir()
        folders = [root]
        for number in range(self.random.randint(0, 7)):
            folder = self.random.choice(folders)
            make = self.random.choice(MAKERS)
            made = make(self, folder, f"{number}")
            if made is not None:
                folders.append(made)

    def _listed(self, outcome: str, suffix: str = "") -> None:
        self.expected.listed += 1
        if outcome == "passed_over":
            self.expected.passed_over[suffix] += 1
        else:
            setattr(self.expected, outcome, getattr(self.expected, outcome) + 1)
            self.expected.listed_rejected += outcome == "rejected"

    def recording(self, folder: Path, name: str) -> None:
        (folder / f"{name}.wav").write_bytes(wav(self.random.randint(0, 50)))
        self._listed("used")

    def no_audio(self, folder: Path, name: str) -> None:
        (folder / f"{name}.mp3").write_text("no sound " * 20)
        self._listed("rejected")

    def empty(self, folder: Path, name: str) -> None:
        (folder / f"{name}.flac").touch()
        self._listed("rejected")

    def junk(self, folder: Path, name: str) -> None:
        suffix = self.random.choice([".txt", ".pdf", ""])
        (folder / f"{name}{suffix}").write_text("x")
        self._listed("passed_over", suffix or "(none)")

    def hidden(self, folder: Path, name: str) -> None:
        (folder / f".{name}.wav").write_bytes(wav(0))
        self._listed("passed_over", "(hidden)")

    def hidden_folder(self, folder: Path, name: str) -> None:
        (folder / f".{name}").mkdir()
        (folder / f".{name}" / "a.wav").write_bytes(wav(0))
        self._listed("passed_over", "(hidden)")

    def folder(self, folder: Path, name: str) -> Path:
        made = folder / name
        made.mkdir()
        return made

    def link_outside(self, folder: Path, name: str) -> None:
        (folder / f"{name}.wav").symlink_to(self.outside / "a.wav")
        self._listed("rejected")

    def broken_link(self, folder: Path, name: str) -> None:
        (folder / f"{name}.wav").symlink_to(folder / "nothing.wav")
        self._listed("rejected")

    def linked_folder(self, folder: Path, name: str) -> None:
        (folder / name).symlink_to(self.outside)
        self._listed("rejected")

    def pipe(self, folder: Path, name: str) -> None:
        os.mkfifo(folder / f"{name}.wav")
        self._listed("rejected")

    def other_archive(self, folder: Path, name: str) -> None:
        (folder / f"{name}.rar").write_bytes(b"Rar!\x1a\x07")
        self._listed("rejected")

    def broken_zip(self, folder: Path, name: str) -> None:
        (folder / f"{name}.zip").write_bytes(b"PK no zip")
        self._listed("rejected")

    def members(self) -> dict[str, bytes]:
        """Members of a container, which are counted as expected."""
        found: dict[str, bytes] = {}
        for number in range(self.random.randint(0, 4)):
            kind = self.random.randrange(5)
            if kind == 0:
                found[f"sub/{number}.wav"] = wav(self.random.randint(0, 50))
                self.expected.used += 1
            elif kind == 1:
                found[f"{number}.ogg"] = b"no sound"
                self.expected.rejected += 1
            elif kind == 2:
                found[f"{number}.txt"] = b"x"
                self.expected.passed_over[".txt"] += 1
            elif kind == 3:
                found[f".{number}.wav"] = wav(1)
                self.expected.passed_over["(hidden)"] += 1
            else:
                found[f"{number}.zip"] = b"PK"
                self.expected.rejected += 1
        return found

    def zip(self, folder: Path, name: str) -> None:
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.mkdir("sub")
            for member, content in self.members().items():
                archive.writestr(member, content)
        self._listed("used")

    def tar(self, folder: Path, name: str) -> None:
        suffix, mode = self.random.choice([("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz")])
        with tarfile.open(folder / f"{name}.{suffix}", mode) as archive:
            for member, content in self.members().items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        self._listed("used")

    def manifest(self, folder: Path, name: str) -> None:
        if (folder / "manifest.csv").exists():
            return
        if self.random.random() < 0.3:
            (folder / "manifest.csv").write_bytes(b"path,text\na.wav,\xff\xfe\n")
            self._listed("rejected")
            return
        (folder / "manifest.csv").write_text(f"path,text\n{name}.wav,hello\nnone.wav,nothing\n")
        self._listed("used")


MAKERS: list[Callable[[Tree, Path, str], Path | None]] = [
    *(Tree.recording, Tree.recording, Tree.recording, Tree.no_audio, Tree.empty, Tree.junk),
    *(Tree.hidden, Tree.hidden_folder, Tree.folder, Tree.link_outside, Tree.broken_link),
    *(Tree.linked_folder, Tree.pipe, Tree.other_archive, Tree.broken_zip, Tree.zip, Tree.tar),
    Tree.manifest,
]


def run_night(lake: Lake, archives: list[str], run_id: str) -> tuple[Scanned, dict[str, Account]]:
    """Scan and ingest; returns the scan and the accounts by collection."""
    settings = Settings()
    scanned = scan(lake, archives, run_id, settings=settings, folder=f"_plans/{run_id}")
    for spec in scanned.specs:
        ingest_scanned(lake, spec, run_id, settings=settings)
    finish_manifests(lake, f"_plans/{run_id}", run_id)
    with connect(lake) as connection:
        found = accounts_of(connection, run_id)
    return scanned, {account.collection: account for account in found}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def test_account_adds_up_for_500_random_trees_in_the_first_and_the_second_night(
    lake: Lake, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.wav").write_bytes(wav(7))
    trees = [Tree(tmp_path / f"tree{seed}", outside, seed) for seed in range(TREES)]
    uris = [str(tree.root) for tree in trees]

    _, accounts = run_night(lake, uris, "first")
    for tree in trees:
        account, expected = accounts[canonical_uri(str(tree.root))], tree.expected
        assert (account.used, account.rejected) == (expected.used, expected.rejected), tree.root
        assert account.suffixes == expected.passed_over, tree.root
        assert (account.known, account.new) == (0, 0), tree.root

    _, accounts = run_night(lake, uris, "second")
    for tree in trees:
        account, expected = accounts[canonical_uri(str(tree.root))], tree.expected
        assert account.found == expected.listed, tree.root
        assert account.rejected == expected.listed_rejected, tree.root
        assert (account.new, account.used) == (0, 0), tree.root
        assert account.known + account.rejected + account.passed_over == account.found

    rows = read(lake, "SELECT count(*) AS n FROM accounts").to_pylist()
    assert rows == [{"n": 2 * TREES}]


def test_every_rejected_file_has_a_row_with_its_reason(lake: Lake, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.wav").write_bytes(wav(7))
    trees = [Tree(tmp_path / f"tree{seed}", outside, seed) for seed in range(40)]
    _, accounts = run_night(lake, [str(tree.root) for tree in trees], "first")
    [row] = read(
        lake,
        """SELECT count(DISTINCT uri) AS uris FROM rejected
           WHERE reason NOT IN ('manifest_missing_file', 'manifest_bad_row')""",
    ).to_pylist()
    assert row["uris"] == sum(account.rejected for account in accounts.values()) > 20


def test_disappeared_source_is_noted_once_and_is_back_when_it_returns(
    lake: Lake, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    for number in range(3):
        (root / f"{number}.wav").write_bytes(wav(number))
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("inside.wav", wav(9))
    run_night(lake, [str(root)], "1")
    shutil.move(root / "0.wav", tmp_path / "0.wav")
    shutil.move(root / "more.zip", tmp_path / "more.zip")

    scanned, accounts = run_night(lake, [str(root)], "2")
    assert (scanned.changes.gone, scanned.changes.back) == (2, 0)
    assert accounts[canonical_uri(str(root))].found == 2
    query = "SELECT member, run_id FROM disappeared ORDER BY member"
    gone = read(lake, query).to_pylist()
    assert gone == [{"member": "0.wav", "run_id": "2"}, {"member": "inside.wav", "run_id": "2"}]
    assert read(lake, "SELECT count(*) AS n FROM present_sources").to_pylist() == [{"n": 2}]

    scanned, _ = run_night(lake, [str(root)], "3")
    assert scanned.changes.gone == 0
    assert read(lake, query).to_pylist() == gone

    shutil.move(tmp_path / "0.wav", root / "0.wav")
    shutil.move(tmp_path / "more.zip", root / "more.zip")
    scanned, _ = run_night(lake, [str(root)], "4")
    assert (scanned.changes.back, scanned.new_files) == (2, 0)
    assert read(lake, query).num_rows == 0


def test_file_replaced_by_garbage_or_lost_from_a_zip_has_disappeared(
    lake: Lake, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    (root / "a.wav").write_bytes(wav(1))
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("kept.wav", wav(2))
        archive.writestr("lost.wav", wav(3))
    run_night(lake, [str(root)], "1")
    (root / "a.wav").write_text("garbage, no audio at all")
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("kept.wav", wav(2))
    run_night(lake, [str(root)], "2")
    gone = "SELECT member FROM disappeared ORDER BY member"
    assert read(lake, gone)["member"].to_pylist() == ["a.wav", "lost.wav"]
    run_night(lake, [str(root)], "3")
    assert read(lake, gone)["member"].to_pylist() == ["a.wav", "lost.wav"]
    (root / "a.wav").write_bytes(wav(4))
    run_night(lake, [str(root)], "4")
    assert read(lake, gone)["member"].to_pylist() == ["lost.wav"]


def test_collections_without_a_recording_say_so() -> None:
    over = Account("file:///a", suffixes=Counter({".pdf": 3}))
    assert "ALL 3 files were passed over" in str(over.remark())
    assert "it is empty" in str(Account("file:///a").remark())
    assert "none of its 2 files" in str(Account("file:///a", rejected=2).remark())
    assert Account("file:///a", known=1, rejected=2).remark() is None


def test_hostile_suffixes_do_not_fill_the_account() -> None:
    from nightscribe.archives.entries import PassedOver

    account = Account("file:///a")
    for number in range(1000):
        account.pass_over(PassedOver("file:///a", f".{number}"))
    account.pass_over(PassedOver("file:///a", "." + "x" * 1000))
    assert len(account.suffixes) == 51
    assert account.passed_over == 1001
