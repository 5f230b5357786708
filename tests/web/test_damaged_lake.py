"""A page over a lake that is damaged says what it lacks, with 503."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from nightscribe.errors import Reason
from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rejected_row, rows_of
from tests.web.conftest import Pages


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lake = open_lake(str(tmp_path / "lake"))
    rows = [rejected_row("a.wav", Reason.EMPTY_FILE, "no bytes")]
    lake.append("rejected", rows_of("rejected", rows, "run"))
    return tmp_path / "lake"


def newest(lake: Path) -> Path:
    [uri] = DeltaTable(str(lake / "rejected")).file_uris()
    return lake / "rejected" / uri.rpartition("/")[2]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda lake: newest(lake).unlink(), "is missing"),
        (lambda lake: newest(lake).write_bytes(bytes(newest(lake).stat().st_size)), "is damaged"),
        (
            lambda lake: max((lake / "rejected" / "_delta_log").glob("*.json")).write_bytes(b""),
            "is empty",
        ),
        (lambda lake: shutil.rmtree(lake / "transcripts" / "_delta_log"), "transcripts"),
    ],
)
def test_a_page_says_what_the_lake_lacks(
    spoil: Callable[[Path], object], what: str, lake: Path, tmp_path: Path
) -> None:
    spoil(lake)
    answer = Pages(tmp_path, str(lake)).client.get("/")
    assert answer.status_code == 503
    assert what in answer.text
    assert "Traceback" not in answer.text
