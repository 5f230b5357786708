"""What is there, and what cannot be seen: a failure is not a "no"."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe.lake.location import LakeLocation
from nightscribe.lake.specs import has_spec
from tests.unprivileged import unprivileged


@pytest.fixture
def lake(tmp_path: Path) -> LakeLocation:
    (tmp_path / "lake" / "specs" / "one").mkdir(parents=True)
    (tmp_path / "lake" / "specs" / "one" / "a.parquet").write_bytes(b"a")
    return LakeLocation(str(tmp_path / "lake"))


def test_files_and_folders_exist_or_do_not(lake: LakeLocation) -> None:
    assert lake.exists("specs/one/a.parquet")
    assert lake.exists("specs")
    assert not lake.exists("specs/two")
    assert not lake.exists("specs/one/a.parquet/b")


def test_files_below_a_folder_are_found_at_every_depth(lake: LakeLocation) -> None:
    assert [path.rpartition("/")[2] for path in lake.files_below("specs")] == ["a.parquet"]
    assert lake.files_below("specs/two") == {}


@pytest.mark.parametrize(
    "ask",
    [
        f"lake.exists({'specs/one/a.parquet'!r})",
        f"{has_spec.__name__}(lake, {'specs/one/a.parquet'!r})",
        f"lake.files_below({'specs'!r})",
    ],
)
def test_what_cannot_be_seen_is_no_answer(lake: LakeLocation, ask: str) -> None:
    folder = Path(lake.uri) / "specs" / "one"
    folder.chmod(0)
    script = f"""
from nightscribe.lake.location import LakeLocation
from nightscribe.lake.specs import has_spec
lake = LakeLocation({lake.uri!r})
try:
    print({ask})
except PermissionError as error:
    print("not permitted")
"""
    try:
        assert unprivileged(script) == ["not permitted"]
    finally:
        folder.chmod(0o755)
