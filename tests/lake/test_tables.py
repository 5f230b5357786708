"""Rows are committed exactly once, whoever else writes, and a lake says clearly what ails it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightscribe.errors import ConfigurationError, LakeError, Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import lake_exists, open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.schema import LAKE_FORMAT, SCHEMAS
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.attempt import Attempt
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.nights import archive_of, assert_same_tables, contents

KEY = KEYS["reference_texts"]


def references(*rows: tuple[str, str], run_id: str = "run") -> pa.Table:
    """Rows of `reference_texts`: (recording_id, text); the first is what tells them apart."""
    return rows_of(
        "reference_texts",
        [
            {
                "recording_id": recording,
                "task": "transcribe",
                "dataset": "d",
                "language": "en",
                "text": text,
            }
            for recording, text in rows
        ],
        run_id,
    )


def stored(lake: Lake) -> list[tuple[str, str]]:
    rows = read(lake, "SELECT recording_id, text FROM reference_texts ORDER BY ALL").to_pylist()
    return [(row["recording_id"], row["text"]) for row in rows]


def version(lake: Lake, table: str = "reference_texts") -> int:
    return int(lake.table(table).version())


@pytest.fixture(scope="module")
def module_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(str(tmp_path_factory.mktemp("lake") / "lake"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


# Writing


def test_insert_new_keeps_the_first_row_of_a_key_and_returns_what_it_added(lake: Lake) -> None:
    added = lake.insert_new("reference_texts", references(("a", "1"), ("b", "2"), ("a", "3")), KEY)
    assert added["text"].to_pylist() == ["1", "2"]
    added = lake.insert_new("reference_texts", references(("b", "4"), ("c", "5")), KEY)
    assert added["text"].to_pylist() == ["5"]
    assert stored(lake) == [("a", "1"), ("b", "2"), ("c", "5")]


def test_insert_new_of_known_rows_makes_no_commit(lake: Lake) -> None:
    lake.insert_new("reference_texts", references(("a", "1")), KEY)
    before = version(lake)
    assert lake.insert_new("reference_texts", references(("a", "2")), KEY).num_rows == 0
    assert lake.insert_new("reference_texts", references(), KEY).num_rows == 0
    assert version(lake) == before


def reworded(field: pa.Field) -> pa.Field:
    """The field with other comments, also inside it."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct([reworded(inner) for inner in kind])
    elif pa.types.is_list(kind):
        kind = pa.list_(reworded(kind.value_field))
    return pa.field(field.name, kind, field.nullable, {"comment": "in other words"})


def test_rows_are_written_to_tables_whose_columns_have_other_comments(tmp_path: Path) -> None:
    for name, schema in SCHEMAS.items():
        others = pa.schema([reworded(field) for field in schema])
        DeltaTable.create(str(tmp_path / "lake" / name), others, name=name)
    lake = open_lake(str(tmp_path / "lake"))
    assert lake.table("segments").schema().fields[0].metadata == {"comment": "in other words"}
    lake.upsert("reference_texts", references(("a", "1"), ("b", "2")), KEY)
    lake.upsert("reference_texts", references(("a", "3")), KEY)
    lake.insert_new("reference_texts", references(("b", "4"), ("c", "5")), KEY)
    assert stored(lake) == [("a", "3"), ("b", "2"), ("c", "5")]
    word = {"word": " one", "start": 0.0, "end": 0.5, "probability": 0.9}
    numbers = ("seek", "start_s", "end_s", "temperature", "avg_logprob", "compression_ratio")
    segment = {
        "transcript_id": "t",
        "recording_id": "a",
        "index": 0,
        "text": " one",
        "tokens": [1],
        **dict.fromkeys((*numbers, "no_speech_prob"), 0),
        "words": [word],
    }
    lake.append("segments", pa.Table.from_pylist([segment], schema=SCHEMAS["segments"]))
    assert lake.table("segments").version() == 1


def test_null_in_a_key_is_a_value_like_any_other(lake: Lake) -> None:
    row = rejected_row("file:///a.wav", Reason.NOT_AUDIO, "text", version="1")
    for _ in range(2):
        lake.insert_new("rejected", rows_of("rejected", [row, row], "run"), KEYS["rejected"])
    assert read(lake, "SELECT uri FROM rejected").num_rows == 1


def test_upsert_keeps_the_last_row_of_a_key(lake: Lake) -> None:
    lake.upsert("reference_texts", references(("a", "1"), ("b", "2"), ("a", "3")), KEY)
    lake.upsert("reference_texts", references(("b", "4"), ("c", "5")), KEY)
    assert stored(lake) == [("a", "3"), ("b", "4"), ("c", "5")]


def test_upsert_of_equal_rows_leaves_them_as_they_are(lake: Lake) -> None:
    lake.upsert("reference_texts", references(("a", "1"), run_id="first"), KEY)
    files = lake.table("reference_texts").file_uris()
    lake.upsert("reference_texts", references(("a", "1"), run_id="second"), KEY)
    assert lake.table("reference_texts").file_uris() == files
    rows = read(lake, "SELECT run_id FROM reference_texts").to_pylist()
    assert rows == [{"run_id": "first"}]


def test_transaction_is_found_after_its_commit_and_not_before(lake: Lake) -> None:
    assert not lake.was_committed("reference_texts", "batch:1")
    lake.insert_new("reference_texts", references(), KEY, ["batch:1"])
    assert lake.was_committed("reference_texts", "batch:1")
    assert not lake.was_committed("reference_texts", "batch:2")
    lake.upsert("reference_texts", references(("a", "1")), KEY, ["batch:2"])
    assert lake.was_committed("reference_texts", "batch:2")


calls = st.lists(
    st.tuples(
        st.sampled_from(["insert_new", "upsert"]),
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123")), max_size=5),
    ),
    max_size=4,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=calls)
def test_any_sequence_of_calls_leaves_what_a_dictionary_would_hold(
    module_lake: Lake, calls: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    module_lake.table("reference_texts").delete()
    expected: dict[str, str] = {}
    for method, rows in calls:
        getattr(module_lake, method)("reference_texts", references(*rows), KEY)
        if method == "insert_new":
            expected = {**dict(reversed(rows)), **expected}
        else:
            expected.update(rows)
    assert stored(module_lake) == sorted(expected.items())


# Racing


def insert_overlapping(lake: str, start: int) -> None:
    opened = open_lake(lake)
    for first in range(start, start + 30, 6):
        rows = references(*[(f"{key:03}", str(start)) for key in range(first, first + 12)])
        opened.insert_new("reference_texts", rows, KEY)


def test_four_processes_that_insert_the_same_keys_leave_each_once_and_lose_none(
    nights: ForkServerContext, tmp_path: Path
) -> None:
    lake = str(tmp_path / "lake")  # which all four find missing, and make
    starts = (0, 3, 6, 9)
    run_together(nights, [(insert_overlapping, (lake, start)) for start in starts])
    keys = [key for key, _ in stored(open_lake(lake))]
    assert keys == [f"{key:03}" for key in range(9 + 24 + 12)]


def upsert_own(lake: str, name: str) -> None:
    opened = open_lake(lake)
    for number in range(5):
        opened.upsert("reference_texts", references(("shared", name), (name, str(number))), KEY)


def test_four_processes_that_upsert_leave_each_key_once_with_a_last_value(
    nights: ForkServerContext, lake: Lake
) -> None:
    run_together(nights, [(upsert_own, (lake.uri, name)) for name in "abcd"])
    rows = stored(lake)
    assert rows[:4] == [(name, "4") for name in "abcd"]
    assert [key for key, _ in rows[4:]] == ["shared"]


def open_only(lake: str) -> None:
    open_lake(lake)


def test_processes_that_open_a_new_lake_together_make_one_good_lake(
    nights: ForkServerContext, tmp_path: Path
) -> None:
    for number in range(3):
        uri = str(tmp_path / f"lake-{number}")
        run_together(nights, [(open_only, (uri,))] * 4)
        lake = open_lake(uri)
        assert json.loads((Path(uri) / "lake.json").read_text()) == {"format": LAKE_FORMAT}
        assert {version(lake, name) for name in SCHEMAS} == {0}


def run_together(
    nights: ForkServerContext, calls: list[tuple[Any, tuple[Any, ...]]], exit_code: int = 0
) -> None:
    processes = [nights.Process(target=call, args=args, daemon=True) for call, args in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == exit_code


# Opening


def die_after_tables(lake: str, count: int) -> None:
    create = DeltaTable.create
    made = 0

    def create_and_die(*arguments: Any, **options: Any) -> DeltaTable:
        nonlocal made
        if made == count:
            os.kill(os.getpid(), signal.SIGKILL)
        made += 1
        return create(*arguments, **options)

    DeltaTable.create = create_and_die  # type: ignore[method-assign]
    open_lake(lake)


def test_lake_half_made_by_a_killed_process_is_finished_by_the_next(
    nights: ForkServerContext, tmp_path: Path
) -> None:
    uri = str(tmp_path / "lake")
    for count in (0, 4, 2):
        run_together(nights, [(die_after_tables, (uri, count))], exit_code=-signal.SIGKILL)
    lake = open_lake(uri)
    assert {version(lake, name) for name in SCHEMAS} == {0}


def test_lake_of_a_newer_format_is_refused_and_both_versions_are_named(lake: Lake) -> None:
    (Path(lake.uri) / "lake.json").write_text(json.dumps({"format": LAKE_FORMAT + 6}))
    with pytest.raises(LakeError) as caught:
        open_lake(lake.uri)
    assert f"format {LAKE_FORMAT + 6}" in str(caught.value)
    assert f"up to {LAKE_FORMAT}" in str(caught.value)
    assert lake.uri in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "new"}', "null"])
def test_damaged_lake_json_is_named(lake: Lake, content: str) -> None:
    (Path(lake.uri) / "lake.json").write_text(content)
    with pytest.raises(LakeError, match=r"lake\.json is damaged"):
        open_lake(lake.uri)


@pytest.mark.parametrize("character", list("*?[]{}"))
def test_lake_whose_path_duckdb_would_take_for_a_pattern_is_refused(
    tmp_path: Path, character: str
) -> None:
    with pytest.raises(ConfigurationError, match="patterns"):
        open_lake(str(tmp_path / f"la{character}ke"))
    assert list(tmp_path.iterdir()) == []


def test_lake_may_have_spaces_quotes_and_accents_in_its_path(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / 'l\'été à "Paris" 100%'))
    lake.insert_new("reference_texts", references(("a", "1")), KEY)
    lake.insert_new("reference_texts", references(("a", "1"), ("b", "2")), KEY)
    assert stored(lake) == [("a", "1"), ("b", "2")]


def test_lake_whose_path_delta_would_decode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="%20"):
        open_lake(str(tmp_path / "my%20lake"))
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_place_of_a_lake_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("x")
    with pytest.raises(LakeError, match="cannot be opened"):
        open_lake(str(tmp_path / "lake"))


def test_folder_that_is_no_lake_does_not_exist_as_one(tmp_path: Path, lake: Lake) -> None:
    assert lake_exists(lake.uri)
    assert not lake_exists(str(tmp_path))
    assert not lake_exists(str(tmp_path / "nothing"))


def test_missing_table_and_missing_spec_say_what_to_do(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(LakeError, match="has no table 'recordings'"):
        Lake(str(tmp_path / "nothing")).table("recordings")
    with pytest.raises(LakeError, match="start a new run"):
        read_spec(lake, "_plans/gone/batch-00000.parquet")


# A disk that fills while committing

DISK_BYTES = 3 << 20


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Order, dict[str, pa.Table]]:
    """An order for two clips, and the tables of a lake in which it is done."""
    folder = tmp_path_factory.mktemp("two clips")
    archive = archive_of(folder / "archive", ["english/en-01.flac", "english/en-03.ogg"])
    order = Order((str(archive),), "demo", language="en")
    lake = open_lake(str(folder / "lake"))
    run(lake, order, Settings(device="cpu"))
    return order, contents(lake.uri)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a file system here: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def test_an_older_lake_on_a_disk_that_is_read_only_can_be_read(small_disk: Path) -> None:
    lake = open_lake(str(small_disk / "lake"))
    shutil.rmtree(f"{lake.uri}/baselines")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    opened = open_lake(lake.uri)
    assert read(opened, "SELECT * FROM latest_baselines").num_rows == 0
    assert read(opened, "SELECT * FROM transcripts").num_rows == 0
    with pytest.raises(LakeError, match="has no table 'baselines'"):
        opened.table("baselines")


@pytest.mark.parametrize("free_bytes", [0, 12 << 10, 28 << 10])
def test_disk_that_fills_during_a_commit_is_one_clear_error_and_the_next_run_finishes(
    small_disk: Path, two_clips: tuple[Order, dict[str, pa.Table]], free_bytes: int
) -> None:
    order, expected = two_clips
    given = Settings(device="cpu")
    lake = open_lake(str(small_disk / "lake"))
    for name in ("recordings", "sources", "rejected", "scans"):
        assert version(lake, name) == 0
    ballast = small_disk / "ballast"
    real_commit = Attempt.commit

    def fill_and_commit(*arguments: Any, **options: Any) -> None:
        fill(ballast, free_bytes)
        real_commit(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attempt, "commit", fill_and_commit)
        with pytest.raises(LakeError) as caught:
            run(lake, order, given)
    assert "writing to" in str(caught.value)
    assert "No space left" in str(caught.value)
    assert "run again" in str(caught.value)
    with connect(lake) as connection:
        for table in ("transcripts", "segments", "batches"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]

    ballast.unlink()
    night = run(lake, order, given)
    assert [done.transcripts for done in night.transcribed] == [2]
    assert_same_tables(contents(lake.uri), expected)


def fill(ballast: Path, free_bytes: int) -> None:
    """Leave so many bytes free on the disk."""
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(file.tell() - free_bytes, 0))
