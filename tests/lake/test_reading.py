"""Queries see the lake and nothing else of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export.files import export
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, query, read
from nightscribe.lake.tables import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "the lake's"))


def test_rows_come_as_arrow_with_parameters(lake: Lake) -> None:
    assert read(lake, "SELECT $text AS copy", text="copy").to_pylist() == [{"copy": "copy"}]
    assert read(lake, "SELECT $text AS said", text="hello").to_pylist() == [{"said": "hello"}]


def test_a_parameter_may_be_called_like_a_view_which_is_then_not_opened(lake: Lake) -> None:
    opened = "SELECT view_name FROM duckdb_views() WHERE view_name = $runs"
    assert read(lake, opened, runs="runs").to_pylist() == []
    assert read(lake, f"{opened} -- runs", runs="runs").num_rows == 1


@pytest.mark.parametrize(
    "text",
    [
        "FROM read_text('{outside}')",
        "FROM read_csv('{outside}')",
        "FROM read_blob('{lake}/../outside.txt')",
        "FROM read_text('{lake}/link')",
        "FROM glob('{parent}/*')",
        "FROM read_text('{lake}2/file')",
        "EXPLAIN ANALYZE FROM read_text('{outside}')",
    ],
)
def test_no_other_file_of_the_machine_can_be_read(lake: Lake, text: str) -> None:
    parent = Path(lake.uri).parent
    (parent / "outside.txt").write_text("secret")
    os.symlink(parent / "outside.txt", Path(lake.uri) / "link")
    Path(f"{lake.uri}2").mkdir()
    Path(f"{lake.uri}2/file").write_text("secret")
    asked = text.format(
        outside=parent / "outside.txt",
        lake=lake.uri.replace("'", "''"),
        parent=str(parent).replace("'", "''"),
    )
    with pytest.raises(duckdb.PermissionException):
        read(lake, asked)


@pytest.mark.parametrize("where", ["(SELECT count(*) FROM read_text('/etc/hostname')) > 0"])
def test_conditions_of_an_export_can_read_no_file(lake: Lake, tmp_path: Path, where: str) -> None:
    with pytest.raises(NightscribeError, match="disabled by configuration"):
        list(export(lake, "txt", tmp_path / "out", where))


@pytest.mark.parametrize(
    "text",
    ["SET enable_external_access = true", "SET allowed_directories = ['/']", "RESET threads"],
)
def test_configuration_is_locked(lake: Lake, text: str) -> None:
    with connect(lake) as connection, pytest.raises(duckdb.InvalidInputException, match="locked"):
        connection.execute(text)


NOT_QUERIES = [
    "COPY (SELECT 1) TO '{lake}/new.csv'",
    "COPY (PIVOT (SELECT 1 AS a) ON a) TO '{lake}/new.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/new.csv'",
    "explain(analyze)copy (SELECT 1) TO '{lake}/new.csv'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (PIVOT (SELECT 1 AS a) ON a) TO '{lake}/new.csv'",
    "/* ü */ EXPLAIN /* /* */ SELECT 1 -- */ ANALYZE COPY (SELECT 1) TO '{lake}/new.csv'",
    "EXPLAIN ANALYZE -- ä\n COPY (SELECT 1) TO '{lake}/new.csv'",
    "PREPARE p AS COPY (SELECT 1) TO '{lake}/new.csv'",
    "EXPORT DATABASE '{lake}'",
    "IMPORT DATABASE '{lake}'",
    "ATTACH '{lake}/new.db'",
    "CREATE TABLE t AS SELECT 1",
    "WITH one AS (SELECT 1) INSERT INTO t FROM one",
    "PRAGMA version",
    "CALL pragma_version()",
    "CHECKPOINT",
    "WITH a AS (COPY (SELECT 1) TO '{lake}/new.csv') FROM a",
    "WITH a AS (\u200bCOPY (SELECT 1) TO '{lake}/new.csv') FROM a;",
    "((WITH a AS (/* ) */ copy (SELECT 1) TO '{lake}/new.csv') FROM a)) -- end",
    "WITH a AS (COPY (SELECT 1) TO '{lake}/new.csv') PIVOT (SELECT 1 AS x) ON x",
    "EXPLAIN ANALYZE WITH a AS (\ufeffCOPY (SELECT 1) TO '{lake}/new.csv') FROM a",
    "FROM JSON_execute_serialized_sql(json_serialize_sql("
    "'WITH a AS (CO' || 'PY (SELECT 1) TO ''{lake}/new.csv'') FROM a'))",
    "FROM query('FROM json_exec' || 'ute_serialized_sql(''{{}}'')')",
    "FROM \"destroy_External_resource\"('json_exec' || 'ute_serialized_sql', '{{}}')",
    "FROM \"query\" /* */ ('SELECT 1')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 3",
]


@pytest.mark.parametrize("text", NOT_QUERIES)
def test_only_queries_are_run_so_nothing_is_written(lake: Lake, text: str) -> None:
    before = sorted(Path(lake.uri).rglob("*"))
    with pytest.raises(ConfigurationError, match="is not a query"):
        read(lake, text.format(lake=lake.uri.replace("'", "''")))
    assert sorted(Path(lake.uri).rglob("*")) == before


def test_a_query_with_bytes_that_are_no_text_is_told(lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        read(lake, os.fsdecode(b"SELECT '\xff'"))


QUERIES = [
    "SELECT 1",
    "(SELECT 1)",
    "FROM recordings",
    "WITH one AS (SELECT 1) FROM one",
    "VALUES (1)",
    "TABLE recordings",
    "PIVOT (SELECT 1 AS a, 2 AS b) ON a",
    "WITH one AS (SELECT 1 AS a) PIVOT one ON a",
    "FROM (PIVOT (SELECT 1 AS a) ON a)",
    "UNPIVOT (SELECT 1 AS a) ON a",
    "DESCRIBE recordings",
    "SHOW TABLES",
    "SUMMARIZE recordings",
    "EXPLAIN SELECT 'ü'",
    "EXPLAIN (SELECT 1)",
    "EXPLAIN ANALYZE (SELECT 1)",
    "EXPLAIN (FORMAT json) SELECT 1",
    "EXPLAIN (ANALYZE, FORMAT json) (SELECT 1)",
    "SELECT 'copy (COPY' AS copy",
    "SELECT count(copy) FROM (SELECT 1 AS copy) -- copy",
    "PIVOT (SELECT 'a copy' AS copy) ON copy",
    "SELECT 'a query (SELECT 1)' AS query",
    "-- why\nEXPLAIN /* /* a */ comment */ ANALYZE FROM recordings",
]


@pytest.mark.parametrize("text", QUERIES)
def test_every_form_of_a_query_returns_a_table(lake: Lake, text: str) -> None:
    assert read(lake, text).num_columns >= 1


@pytest.mark.parametrize("text", ["SELECT 1; COPY (SELECT 1) TO 'x.csv'", "", "-- nothing"])
def test_one_statement_is_needed(lake: Lake, text: str) -> None:
    with pytest.raises(ConfigurationError, match="give one"):
        read(lake, text)


def test_a_query_beyond_its_memory_spills_into_the_given_folder(lake: Lake, tmp_path: Path) -> None:
    spilled = tmp_path / "spilled"
    sort = "SELECT repeat('x', 50) || i AS text FROM range(2_000_000) AS t(i) ORDER BY text"
    with connect(lake, memory_limit="60MB", spill_to=spilled) as connection:
        rows = query(connection, sort)
        assert rows is not None
        reader = rows.to_arrow_reader(10_000)
        assert len(reader.read_next_batch()) == 10_000
        assert list(spilled.iterdir())
        del reader, rows


def test_spilling_leaves_the_working_folder_alone(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with connect(lake, memory_limit="60MB") as connection:
        sort = "SELECT repeat('x', 50) || i AS text FROM range(2_000_000) AS t(i) ORDER BY text"
        rows = query(connection, sort)
        assert rows is not None
        reader = rows.to_arrow_reader(10_000)
        reader.read_next_batch()
        assert set(tmp_path.iterdir()) == before
        del reader, rows


def test_nothing_but_rows_is_printed_while_a_query_runs(lake: Lake) -> None:
    with connect(lake) as connection:
        [(shown,)] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    assert not shown
