"""A recording has one name on all pages: that of its place in the view `places`."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.search.building import build
from tests.search.said import say
from tests.web.conftest import Pages

MOVED, WHOLE, LOST = "a" * 64, "b" * 64, "c" * 64
NAMES = {
    MOVED: "moved.wav",  # the first place has disappeared
    WHOLE: "/archives/talk.wav.zst",  # so has this one's; the second is an archive of its own
    LOST: LOST,  # lies nowhere any more
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The three recordings with a warning each; two have a transcript and two places."""
    lake = open_lake(str(tmp_path_factory.mktemp("places") / "lake"))
    for recording_id in (MOVED, WHOLE):
        say(lake, recording_id, " hello")
    place = {"collection": "/archives", "position": 0, "size_bytes": 1, "version": "1"}
    now = [
        {"archive": "/archives/talk.wav.zst", "member": "", "recording_id": WHOLE, **place},
        {"archive": "/archives/tv", "member": "moved.wav", "recording_id": MOVED, **place},
    ]
    lake.append("sources", rows_of("sources", now, "run"))
    gone = [
        {"archive": "/archives/radio", "member": f"{one[:8]}.wav", "missing": "member"}
        for one in (MOVED, WHOLE)
    ]
    lake.append("source_states", rows_of("source_states", gone, "run"))
    codec = {"container": "wav", "codec": "pcm_s16le", "sample_rate": 8000, "channels": 1}
    found = [{"recording_id": one, "duration_s": 4.0, "size_bytes": 1, **codec} for one in NAMES]
    lake.append("recordings", rows_of("recordings", found, "run"))
    flaws = [{"recording_id": one, "kind": "gap", "detail": "a gap"} for one in NAMES]
    lake.append("warnings", rows_of("warnings", flaws, "run"))
    build(lake, Path(lake.uri, "index"))
    return lake


def test_a_place_that_has_not_disappeared_comes_first(lake: Lake) -> None:
    rows = read(lake, "SELECT recording_id, name, place_count FROM places").to_pylist()
    assert {row["recording_id"]: row["name"] for row in rows} == {
        one: NAMES[one] for one in (MOVED, WHOLE)
    }
    assert {row["place_count"] for row in rows} == {2}
    rows = read(lake, "SELECT archive, member FROM search ORDER BY archive").to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("/archives/talk.wav.zst", ""),
        ("/archives/tv", "moved.wav"),
    ]


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("/recordings", NAMES),
        ("/warnings", NAMES),
        ("/runs/dag/run", (MOVED, WHOLE)),
        ("/search?q=hello", (MOVED, WHOLE)),
        ("/review", (MOVED, WHOLE)),
        *((f"/recordings/{one}", [one]) for one in NAMES),
    ],
)
def test_every_page_calls_a_recording_by_its_place(
    page: str, shown: list[str], lake: Lake, pages_over: Callable[[str], Pages]
) -> None:
    answer = pages_over(lake.uri).client.get(page)
    assert answer.status_code == 200
    for one in shown:
        assert f"<bdi>{NAMES[one]}</bdi></" in html.unescape(answer.text)
    assert "<bdi>aaaaaaaa.wav</bdi></a>" not in answer.text
