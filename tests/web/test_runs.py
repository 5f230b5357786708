"""The page of a run says how far it is, and on which workers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from tests.lake.made_up import add_batch, add_plan
from tests.web.conftest import Pages

BEGUN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture
def half_done(tmp_path: Path) -> Lake:
    """A lake in which a run of four batches has done two, on two workers."""
    lake = open_lake(str(tmp_path / "lake"))
    values = {"model": "demo", "transcripts": 4, "audio_s": 7_200.0, "batches": 4, "workers": 2}
    add_plan(lake, BEGUN, **values, rtfx=1.0)
    for worker in ("first", "second"):
        took = {"audio_s": 1_800.0, "wall_s": 900.0}
        add_batch(lake, worker, BEGUN + timedelta(seconds=900), worker=f"{worker}:17", **took)
    return lake


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_run_that_goes_on(half_done: Lake, tmp_path: Path) -> None:
    client = Pages(tmp_path, half_done.uri).client
    answer = client.get("/runs/transcribe_archives/run").text
    assert '<progress max="4" value="2">' in answer
    assert "static/refresh.js" in answer
    said = text_of(answer)
    # 3600 s are left for two workers that do 2 s a second each.
    assert "2 of 4 batches, done at about 2026-11-28 02:30 UTC" in said
    assert "2 of 4 transcripts, 1.0 h of 2.0 h of audio by demo" in said
    assert "for 2 workers at RTFx 1.0 each" in said
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", answer)
    assert [text_of(row).split()[:2] for row in rows] == [["first", "cpu"], ["second", "cpu"]]


def test_a_run_that_is_done(pages: Pages, lake: Lake) -> None:
    [run] = read(lake, "FROM runs").to_pylist()
    answer = pages.client.get(f"/runs/transcribe_archives/{run['run_id']}").text
    assert "static/refresh.js" not in answer
    assert f"{run['batches']} of {run['batches']} batches, done at" in text_of(answer)


def test_a_run_without_a_plan(pages: Pages) -> None:
    assert 'id="progress"' not in pages.client.get("/runs/transcribe_archives/nothing").text
