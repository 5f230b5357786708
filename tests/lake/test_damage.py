"""A damaged lake is reported, with what can be recovered; it never answers with fewer rows."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from nightscribe.errors import LakeError, Reason
from nightscribe.lake.opening import open_lake
from nightscribe.lake.published import PUBLISHED
from nightscribe.lake.reading import count_rows, read
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.schema import ADDED_LATER, SCHEMAS
from nightscribe.stages.publish import publish

TABLE = "rejected"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published lake whose table `rejected` has three commits of two rows each."""
    folder = tmp_path_factory.mktemp("lakes") / "whole"
    lake = open_lake(str(folder))
    for commit in range(3):
        rows = [rejected_row(f"{commit}-{n}.wav", Reason.EMPTY_FILE, "none") for n in range(2)]
        lake.append(TABLE, rows_of(TABLE, rows, "run"))
    publish(lake)
    return folder


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def log(lake: Path, version: int) -> Path:
    return lake / TABLE / "_delta_log" / f"{version:020d}.json"


def newest_file(lake: Path) -> Path:
    before, now = (set(DeltaTable(str(lake / TABLE), version=v).file_uris()) for v in (2, 3))
    [added] = now - before
    return lake / TABLE / added.rpartition("/")[2]


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def spoil_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:400] = bytes(392)
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "file missing": (lambda lake: newest_file(lake).unlink(), "is missing", "version 2 of 2"),
    "file cut": (lambda lake: halve(newest_file(lake)), "bytes instead of", "version 2 of 2"),
    "file empty": (
        lambda lake: newest_file(lake).write_bytes(b""),
        "has 0 bytes instead of",
        "version 2 of 2",
    ),
    "file of zeros": (
        lambda lake: fill_with_zeros(newest_file(lake)),
        "is damaged",
        "version 2 of 2",
    ),
    "pages spoilt": (lambda lake: spoil_pages(newest_file(lake)), "is damaged", "version 2 of 2"),
    "entry missing": (lambda lake: log(lake, 2).unlink(), "log entry 2 is missing", "version 1 of"),
    "first entry missing": (
        lambda lake: log(lake, 0).unlink(),
        "log entry 0 is missing",
        "no older version is whole",
    ),
    "entry cut": (lambda lake: halve(log(lake, 3)), "log entry 3 is cut", "version 2 of 2"),
    "entry empty": (
        lambda lake: log(lake, 2).write_bytes(b""),
        "log entry 2 is empty",
        "version 1 of 2",
    ),
    "newest entry empty": (
        lambda lake: log(lake, 3).write_bytes(b""),
        "log entry 3 is empty",
        "version 2 of 2",
    ),
    "newest entry missing": (
        lambda lake: log(lake, 3).unlink(),
        "it is at version 2, and was at 3: log entries 3 to 3 are missing",
        PUBLISHED,
    ),
    "log missing": (
        lambda lake: shutil.rmtree(lake / TABLE / "_delta_log"),
        "table rejected",
        "from a backup",
    ),
    "table missing": (lambda lake: shutil.rmtree(lake / TABLE), "table rejected", "from a backup"),
    "log and note missing": (
        lambda lake: (shutil.rmtree(lake / TABLE / "_delta_log"), (lake / PUBLISHED).unlink()),
        "table rejected is lost",
        "from a backup",
    ),
    "table and note missing": (
        lambda lake: (shutil.rmtree(lake / TABLE), (lake / PUBLISHED).unlink()),
        "table rejected is lost",
        "from a backup",
    ),
    "late table missing": (
        lambda lake: shutil.rmtree(lake / "reviews"),
        "table reviews",
        "from a backup",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_lake_lacks_is_said_and_nothing_is_answered(damage: str, lake: Path) -> None:
    spoil, what, remedy = DAMAGES[damage]
    spoil(lake)
    with pytest.raises(LakeError) as raised:
        read(open_lake(str(lake)), f"SELECT uri, detail FROM {TABLE}")
    message = str(raised.value)
    assert message.startswith(f"lake {lake}: table re"), message
    assert what in message
    assert remedy in message
    assert "\n" not in message


def test_a_whole_lake_answers_with_all_rows(lake: Path) -> None:
    assert count_rows(open_lake(str(lake)), [TABLE]) == {TABLE: 6}


@pytest.mark.parametrize("damage", ["file missing", "file of zeros", "newest entry missing"])
def test_the_older_version_that_is_named_can_be_restored(damage: str, lake: Path) -> None:
    DAMAGES[damage][0](lake)
    if damage == "newest entry missing":
        (lake / PUBLISHED).unlink()
    else:
        DeltaTable(str(lake / TABLE)).restore(2)
    assert count_rows(open_lake(str(lake)), [TABLE]) == {TABLE: 4}
    late = rows_of(TABLE, [rejected_row("late.wav", Reason.EMPTY_FILE, "none")], "run")
    assert open_lake(str(lake)).insert_new(TABLE, late, ("uri",)).num_rows == 1
    publish(open_lake(str(lake)))
    assert count_rows(open_lake(str(lake)), [TABLE]) == {TABLE: 5}


@pytest.mark.parametrize("damage", ["file cut", "entry empty", "newest entry empty"])
def test_the_documented_way_back_leads_to_a_lake_that_works(
    damage: str, lake: Path, repository: Path
) -> None:
    moment = DeltaTable(str(lake / TABLE)).history()[-2]["timestamp"] / 1000  # of version 1
    DAMAGES[damage][0](lake)
    for entry in (log(lake, 2), log(lake, 3)):
        if "entry" in damage:
            entry.unlink()
    text = (repository / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    program = textwrap.dedent(program).replace("/data/lake", str(lake))
    stamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    program = re.sub(r'fromisoformat\("[^"]+"\)', f'fromisoformat("{stamp}")', program)
    exec(program, {})
    assert count_rows(open_lake(str(lake)), [TABLE]) == {TABLE: 2}
    publish(open_lake(str(lake)))


def test_nothing_is_committed_on_top_of_a_damaged_log(lake: Path) -> None:
    log(lake, 2).write_bytes(b"")
    late = rows_of(TABLE, [rejected_row("late.wav", Reason.EMPTY_FILE, "none")], "run")
    with pytest.raises(LakeError, match="log entry 2 is empty"):
        open_lake(str(lake)).append(TABLE, late)
    assert not log(lake, 4).exists()


def test_a_lake_whose_creation_was_stopped_is_completed(tmp_path: Path) -> None:
    open_lake(str(tmp_path / "lake"))
    made = [name for name in SCHEMAS if name not in ADDED_LATER]
    for name in made[3:]:
        shutil.rmtree(tmp_path / "lake" / name)
    assert count_rows(open_lake(str(tmp_path / "lake")), [made[5]]) == {made[5]: 0}


@pytest.mark.parametrize("content", [b"", b'{"rejected": ', b'["rejected"]'])
def test_a_damaged_note_of_the_versions_is_named(content: bytes, lake: Path) -> None:
    (lake / PUBLISHED).write_bytes(content)
    with pytest.raises(LakeError, match=f"{lake}/{PUBLISHED} is damaged: .* run again"):
        count_rows(open_lake(str(lake)), [TABLE])
    (lake / PUBLISHED).unlink()
    assert count_rows(open_lake(str(lake)), [TABLE]) == {TABLE: 6}
