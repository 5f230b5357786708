"""An index is what the lake says, in whatever steps it was built."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightscribe.errors import SearchError
from nightscribe.lake.location import LakeLocation
from nightscribe.lake.opening import open_lake
from nightscribe.search.building import build
from nightscribe.search.generations import index_folder, read_state
from nightscribe.search.reading import Hit, SearchIndex
from nightscribe.settings import Settings
from nightscribe.stages.index import index_published, summary
from tests.search.dying import die_while_building
from tests.search.said import say
from tests.unprivileged import unprivileged

START = datetime(2026, 11, 27, tzinfo=UTC)


def hits(folder: Path) -> list[Hit]:
    """All hits of a word that every segment of these tests has."""
    found = SearchIndex(lambda: folder).search("said", limit=1000)
    assert found.count == len(found.hits) == found.state.segments
    return list(found.hits)


def by_place(folder: Path) -> list[Hit]:
    return sorted(hits(folder), key=lambda hit: (hit.transcript_id, hit.index))


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 4),  # recording
        st.sampled_from(["transcribe", "translate"]),
        st.integers(0, 3),  # segments
        st.booleans(),  # build afterwards
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=6)
@given(CHANGES)
def test_building_in_steps_equals_building_anew(
    changes: list[tuple[int, str, int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = open_lake(str(folder / "lake"))
        for step, (recording, task, segments, builds) in enumerate(changes):
            texts = [f" said {step} {number}" for number in range(segments)]
            at = START + timedelta(minutes=step)
            say(lake, f"recording {recording}", *texts, task=task, at=at)
            if builds:
                build(lake, folder / "steps")
        stepped = build(lake, folder / "steps")
        anew = build(lake, folder / "anew")
        assert by_place(folder / "steps") == by_place(folder / "anew")
        assert [(h.recording_id, h.task) for h in hits(folder / "steps")] == [
            (h.recording_id, h.task) for h in hits(folder / "anew")
        ]
        without = {"generation"}
        assert stepped.state.model_dump(exclude=without) == anew.state.model_dump(exclude=without)
        assert build(lake, folder / "steps").added == 0


def test_a_replaced_transcript_is_removed(tmp_path: Path) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    say(lake, "r", " said wrong", " said twice", at=START)
    assert build(lake, folder).added == 2
    say(lake, "r", " said right", at=START + timedelta(minutes=1))
    built = build(lake, folder)
    assert (built.added, built.removed, built.is_new) == (1, 2, False)
    assert [hit.text for hit in hits(folder)] == [" said right"]
    assert "1 segments added, 2 removed" in summary(built)
    assert "up to 2026-11-27 00:01:00 UTC" in summary(built)


def test_newest_first_and_recordings_together(tmp_path: Path) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    say(lake, "old", " said a", " said b", at=START)
    for name in ("x", "y"):  # of one batch
        say(lake, name, " said c", " said d", at=START + timedelta(hours=1))
    build(lake, folder)
    order = [(hit.recording_id, hit.index) for hit in hits(folder)]
    assert order[4:] == [("old", 0), ("old", 1)]
    assert order[:4] in (
        [("x", 0), ("x", 1), ("y", 0), ("y", 1)],
        [("y", 0), ("y", 1), ("x", 0), ("x", 1)],
    )
    index = SearchIndex(lambda: folder)
    pages = [index.search("said", limit=2, offset=offset).hits for offset in (0, 2, 4)]
    assert [(hit.recording_id, hit.index) for page in pages for hit in page] == order


def test_filters_choose_among_the_hits(tmp_path: Path) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    say(lake, "a", " said", language="de", model="turbo")
    say(lake, "b", " said", language="fr")
    say(lake, "b", " said", language="fr", task="translate")
    build(lake, folder)
    index = SearchIndex(lambda: folder)
    assert index.search("said", language="fr").count == 2
    assert index.search("said", language="fr", task="translate").count == 1
    assert index.search("said", model="turbo", language="").count == 1
    assert index.search("said", model='turbo" OR 1').count == 0
    with pytest.raises(TypeError, match="no filter"):
        index.search("said", colour="red")


@pytest.mark.parametrize("moment", ["_document", "write_state"])
def test_a_killed_build_leaves_the_old_index(
    tmp_path: Path, nights: ForkServerContext, moment: str
) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    say(lake, "r", " said before", at=START)
    build(lake, folder)
    reader = SearchIndex(lambda: folder)
    say(lake, "s", " said after", at=START + timedelta(days=1))
    process = nights.Process(
        target=die_while_building, args=(lake.uri, str(folder), moment), daemon=True
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (
        len(list(folder.glob("generation-*"))) == 2
    )  # amid the segments, or before readers see it
    for index in (reader, SearchIndex(lambda: folder)):
        assert [hit.text for hit in index.search("said").hits] == [" said before"]
    state = reader.state()
    assert state is not None
    assert state.known_until == START  # it says up to when it knows
    assert build(lake, folder).added == 1
    assert [hit.text for hit in reader.search("said").hits] == [" said after", " said before"]
    assert len(list(folder.glob("generation-*"))) == 1


def lose_all(folder: Path) -> None:
    shutil.rmtree(folder)


def lose_generation(folder: Path) -> None:
    for path in folder.glob("generation-*"):
        shutil.rmtree(path)


def lose_ids(folder: Path) -> None:
    for path in folder.glob("generation-*/*.parquet"):
        path.write_bytes(b"PAR1")


def damage_state(folder: Path) -> None:
    (folder / "current.json").write_bytes(b'{"format": 1')


def other_format(folder: Path) -> None:
    state = json.loads((folder / "current.json").read_bytes())
    (folder / "current.json").write_text(json.dumps(state | {"format": 0}))


def other_lake(folder: Path) -> None:
    state = json.loads((folder / "current.json").read_bytes())
    (folder / "current.json").write_text(json.dumps(state | {"lake": "/elsewhere"}))


@pytest.mark.parametrize(
    "lose", [lose_all, lose_generation, lose_ids, damage_state, other_format, other_lake]
)
def test_an_index_that_cannot_be_used_is_made_anew(tmp_path: Path, lose: object) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    say(lake, "r", " said")
    build(lake, folder)
    before = hits(folder)
    assert callable(lose)
    lose(folder)
    built = build(lake, folder)
    assert (built.is_new, built.added, built.removed) == (True, 1, 0)
    assert hits(folder) == before


def test_without_an_index_search_says_what_makes_one(tmp_path: Path) -> None:
    index = SearchIndex(lambda: tmp_path / "index")
    assert index.state() is None
    with pytest.raises(SearchError, match="`nightscribe index` makes it"):
        index.search("said")


def test_an_empty_lake_has_an_empty_index(tmp_path: Path) -> None:
    lake, folder = open_lake(str(tmp_path / "lake")), tmp_path / "index"
    built = build(lake, folder)
    assert (built.added, built.state.known_until) == (0, None)
    assert SearchIndex(lambda: folder).search("said").count == 0
    assert build(lake, folder).state == built.state


def test_a_build_that_fails_changes_nothing_and_fails_no_publication(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    say(lake, "r", " said")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(SearchError, match="could not be built"):
        build(lake, blocked)
    said = index_published(lake, Settings(index=str(blocked)))
    assert "not brought up to date, run `nightscribe index`" in said
    assert read_state(blocked) is None


def test_the_place_of_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    local, remote = LakeLocation("/data/lake"), LakeLocation("s3://bucket/lake")
    assert index_folder(local) == Path("/data/lake/index")
    assert index_folder(remote, "/data/index") == Path("/data/index")
    places = {index_folder(remote), index_folder(LakeLocation("s3://bucket/other"))}
    assert len(places) == 2
    assert {place.parent for place in places} == {tmp_path / "nightscribe" / "index"}


_SEARCH = """
import sys
from pathlib import Path
from nightscribe.search.reading import SearchIndex
index = SearchIndex(lambda: Path(sys.argv[1]))
print(index.search("word", limit=9, offset=0, language="", task="", model="").count)
"""


def test_who_may_only_read_the_index_can_search(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    say(lake, "r", " a word", " another word")
    folder = tmp_path / "index"
    build(lake, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert unprivileged(_SEARCH, str(folder)) == ["2"]
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
