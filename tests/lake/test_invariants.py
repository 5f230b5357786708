"""Whatever contradicts an invariant is found, and nothing in a lake that is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nightscribe.lake.invariants import INVARIANTS, check, unpublished
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.stages.publish import publish
from tests.lake.made_up import add, attempt, commit, filled, segment, transcript


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = open_lake(str(tmp_path_factory.mktemp("whole") / "lake"))
    add(lake, "recordings", *(filled("recordings", recording_id=one) for one in "abcr"))
    commit(lake, "first", "abc")
    for name in KEYS:
        if name not in ("recordings", "transcripts"):
            add(lake, name, _row(name))
    publish(lake)
    return Path(lake.uri)


def _row(name: str) -> dict[str, object]:
    """A row that says something of a recording that is there, or of a forgotten one."""
    if "recording_id" not in SCHEMAS[name].names:
        return filled(name)
    return filled(name, recording_id="forgotten" if name == "forgotten" else "a")


def break_segments(lake: Lake) -> None:
    add(lake, "batches", attempt("second", 1))
    add(lake, "transcripts", transcript("lost", "r", attempt_id="second", segment_count=2))
    add(lake, "segments", segment("lost"))


BREAKS: dict[str, Callable[[Lake], None]] = {
    "every transcript has its segments": break_segments,
    "every segment is of its transcript's recording": lambda lake: add(
        lake, "segments", segment("a-first") | {"recording_id": "b"}
    ),
    "no id is twice in transcripts": lambda lake: add(
        lake, "transcripts", transcript("a-first", "r", attempt_id="first", segment_count=2)
    ),
    "every row of sources has its row of recordings": lambda lake: add(
        lake, "sources", filled("sources", recording_id="unknown", member="x")
    ),
    "every row of transcripts has its row of recordings": lambda lake: add(
        lake, "transcripts", transcript("x", "unknown", attempt_id="first", segment_count=0)
    ),
    "every row of transcripts has its row of batches": lambda lake: add(
        lake, "transcripts", transcript("x", "r", segment_count=0)
    ),
    "no attempt has more transcripts than it wrote": lambda lake: (
        add(lake, "batches", attempt("small", 0)),
        add(lake, "transcripts", transcript("x", "r", attempt_id="small", segment_count=0)),
    )[0],
    **{
        f"no key is twice in {name}": (
            lambda lake, name=name: add(lake, name, _row(name))  # type: ignore[misc]
        )
        for name in KEYS
        if name not in ("recordings", "transcripts")
    },
    "no key is twice in recordings": lambda lake: add(
        lake, "recordings", filled("recordings", recording_id="a")
    ),
    "no key is twice in transcripts": lambda lake: add(
        lake, "transcripts", transcript("x", "a", attempt_id="first", segment_count=0)
    ),
}


def test_nothing_is_wrong_with_a_whole_lake(whole: Path) -> None:
    lake = open_lake(str(whole))
    assert check(lake) == []
    assert unpublished(lake) == []
    assert {one.name for one in INVARIANTS} == set(BREAKS)


def test_what_contradicts_an_invariant_is_found(whole: Path, tmp_path: Path) -> None:
    for invariant in ("every transcript has its segments", "no key is twice in sources"):
        lake = open_lake(str(shutil.copytree(whole, tmp_path / invariant)))
        BREAKS[invariant](lake)
        assert [one.invariant for one in check(lake)] == [invariant]
        assert unpublished(lake)
    lake = open_lake(str(shutil.copytree(whole, tmp_path / "lake")))
    for broken in BREAKS.values():
        broken(lake)
    found = {one.invariant: one for one in check(lake)}
    assert set(found) == set(BREAKS)
    assert all(one.rows and one.remedy for one in found.values())


def test_a_missing_file_is_found_before_the_tables_are_compared(
    whole: Path, tmp_path: Path
) -> None:
    lake = open_lake(str(shutil.copytree(whole, tmp_path / "lake")))
    next((tmp_path / "lake" / "segments").glob("*.parquet")).unlink()
    [finding] = check(lake)
    assert finding.invariant == "every file is there and whole"
    assert "is missing" in finding.example
