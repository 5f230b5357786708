"""What `SELECT` sees: every view, only what was committed, and never a broken catalog."""

from __future__ import annotations

import time
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.lake.views import VIEWS
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.stages.publish import publish
from tests.lake.made_up import attempt, segment, transcript
from tests.nights import archive_of

# By a night, that is: by an evaluation, by a person, or by what is wrong with an archive.
NOT_FILLED = {"rejected", "scores", "latest_scores", "baselines", "latest_baselines"}
NOT_FILLED |= {"doubtful", "forgotten", "warnings", "source_states", "disappeared"}
NOT_FILLED |= {"corrections", "latest_corrections", "reviews", "latest_reviews"}
NOT_FILLED |= {"verdicts", "gates", "utterance_errors"}


@pytest.fixture(scope="module")
def full_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake after a night over two clips, in both tasks, with a manifest."""
    folder = tmp_path_factory.mktemp("catalog")
    archive = archive_of(folder / "archive", ["english/en-01.flac", "german/de-01.flac"])
    (archive / "manifest.csv").write_text("path,language,text\nde-01.flac,de,Das Mädchen\n")
    lake = open_lake(str(folder / "lake"))
    order = Order((str(archive),), "demo", "both")
    run(lake, order, Settings(device="cpu"))
    return lake


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read_from_a_fresh_read_only_connection(
    full_lake: Lake, view: str
) -> None:
    with duckdb.connect(f"{full_lake.uri}/catalog.duckdb", read_only=True) as fresh:
        rows = fresh.sql(f'SELECT * FROM "{view}" ORDER BY ALL').fetchall()
        with connect(full_lake) as current:
            assert current.sql(f'SELECT * FROM "{view}" ORDER BY ALL').fetchall() == rows
    assert rows or view in NOT_FILLED


def test_a_connection_has_the_views_that_are_asked_for_and_what_they_read(full_lake: Lake) -> None:
    with connect(full_lake) as every:
        expected = every.sql("FROM search ORDER BY ALL").fetchall()
    with connect(full_lake, views=["search"]) as some:
        assert some.sql("FROM search ORDER BY ALL").fetchall() == expected != []
        with pytest.raises(duckdb.CatalogException):
            some.execute("FROM gates")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_what_it_is(full_lake: Lake, view: str) -> None:
    with duckdb.connect(f"{full_lake.uri}/catalog.duckdb", read_only=True) as fresh:
        [(comment,)] = fresh.execute(
            "SELECT comment FROM duckdb_views() WHERE view_name = ? AND schema_name = 'main'",
            [view],
        ).fetchall()
    assert comment == VIEWS[view][0]


def test_empty_tables_have_the_columns_and_types_of_full_ones(
    full_lake: Lake, tmp_path: Path
) -> None:
    with connect(open_lake(str(tmp_path / "lake"))) as empty, connect(full_lake) as full:
        for table, schema in SCHEMAS.items():
            describe = f"DESCRIBE SELECT * FROM {table}"
            columns = empty.execute(describe).fetchall()
            assert empty.execute(f"SELECT * FROM {table}").fetchall() == []
            assert [column[0] for column in columns] == schema.names
            if full.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall():
                assert full.execute(describe).fetchall() == columns, table


def test_search_says_where_every_segment_can_be_heard(full_lake: Lake) -> None:
    rows = read(
        full_lake, "SELECT text, start_s, member FROM search WHERE text LIKE '%Fenster%'"
    ).to_pylist()
    assert [row["member"] for row in rows] == ["de-01.flac"]
    assert rows[0]["start_s"] >= 0


def test_times_are_utc(full_lake: Lake) -> None:
    table = read(full_lake, "SELECT created_at FROM transcripts")
    assert table.schema.field("created_at").type == pa.timestamp("us", tz="UTC")


def test_words_are_kept_as_they_were_given(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    words = [{"word": " hm", "start": 0.1, "end": 0.30000000000000004, "probability": 0.5}]
    given = [{**segment("t", 0), "words": words}, {**segment("t", 1), "words": []}, segment("t", 2)]
    lake.append("segments", rows_of("segments", given))
    lake.insert_new(
        "transcripts", rows_of("transcripts", [transcript("t")], "run"), KEYS["transcripts"]
    )
    rows = read(lake, 'SELECT words FROM segments ORDER BY "index"').to_pylist()
    assert [row["words"] for row in rows] == [words, [], None]


def test_rows_of_attempts_that_never_committed_are_seen_by_nobody(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    lake.append("segments", rows_of("segments", [segment("lost"), segment("kept")]))
    lake.append(
        "batches",
        rows_of(
            "batches",
            [attempt("attempt of lost", 1), attempt("attempt of kept", 1), attempt("empty", 0)],
            "run",
        ),
    )
    lake.insert_new(
        "transcripts", rows_of("transcripts", [transcript("kept")], "run"), KEYS["transcripts"]
    )
    publish(lake)
    catalog = duckdb.connect(f"{lake.uri}/catalog.duckdb", read_only=True)
    with catalog, connect(lake) as current:
        for connection in (catalog, current):
            found = connection.execute("SELECT transcript_id FROM segments").fetchall()
            assert found == [("kept",)]
            attempts = connection.execute("SELECT attempt_id FROM batches ORDER BY 1").fetchall()
            assert attempts == [("attempt of kept",), ("empty",)]


def test_latest_transcript_of_a_recording_is_the_newest_whatever_its_model(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    place = {"archive": "file:///a", "member": "a.wav", "collection": "file:///a", "position": 0}
    place |= {"recording_id": transcript("old")["recording_id"], "size_bytes": 1, "version": "1"}
    lake.append("sources", rows_of("sources", [place], "run"))
    for name, changes in (
        ("old", {"model_id": "large"}),
        ("new", {"model_id": "tiny"}),
        ("english", {"task": "translate"}),
        ("superseded", {"recording_id": "no source holds it any more"}),
    ):
        rows = rows_of("transcripts", [transcript(name, **changes)], "run")
        lake.insert_new("transcripts", rows, KEYS["transcripts"])
    rows = read(lake, "SELECT text FROM latest_transcripts ORDER BY text").to_pylist()
    assert [row["text"] for row in rows] == ["english", "new"]


def test_connection_sees_the_moment_at_which_it_was_made(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    with connect(lake) as before:
        lake.insert_new(
            "transcripts", rows_of("transcripts", [transcript("t")], "run"), KEYS["transcripts"]
        )
        assert before.execute("SELECT count(*) FROM transcripts").fetchall() == [(0,)]


def publish_often(lake: str, times: int, begun: Event) -> None:
    opened = open_lake(lake)
    for number in range(times):
        rows = [transcript(f"{number}", f"recording {number}")]
        opened.append("segments", rows_of("segments", [segment(f"{number}")]))
        opened.insert_new("transcripts", rows_of("transcripts", rows, "r"), KEYS["transcripts"])
        publish(opened)
        begun.set()


def test_reader_never_finds_the_catalog_missing_or_broken_while_it_is_published(
    nights: ForkServerContext, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    begun = nights.Event()
    publisher = nights.Process(target=publish_often, args=(lake.uri, 8, begun), daemon=True)
    publisher.start()
    assert begun.wait(60)
    seen = []
    while publisher.exitcode is None:
        with duckdb.connect(f"{lake.uri}/catalog.duckdb", read_only=True) as reader:
            [(transcripts,)] = reader.execute("SELECT count(*) FROM transcripts").fetchall()
            [(segments,)] = reader.execute("SELECT count(*) FROM segments").fetchall()
        assert transcripts == segments
        seen.append(transcripts)
        time.sleep(0.01)
    assert publisher.exitcode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3, "the reader never looked in between"
    assert list(Path(lake.uri).glob("*.tmp")) == []
