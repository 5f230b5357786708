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
    assert read(lake, "SELECT $text AS said", text="hello").to_pylist() == [{"said": "hello"}]


@pytest.mark.parametrize(
    "text",
    [
        "FROM read_text('{outside}')",
        "FROM read_csv('{outside}')",
        "FROM read_blob('{lake}/../outside.txt')",
        "FROM read_text('{lake}/link')",
        "FROM glob('{parent}/*')",
        "FROM read_text('{lake}2/file')",
        "ATTACH '{parent}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
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
        query(connection, text)


@pytest.mark.parametrize(
    "text", ["COPY (SELECT 1) TO '{lake}/new.csv'", "EXPORT DATABASE '{lake}'"]
)
def test_queries_write_no_file_even_into_the_lake(lake: Lake, text: str) -> None:
    before = sorted(Path(lake.uri).rglob("*"))
    with pytest.raises(ConfigurationError, match="writes files"):
        read(lake, text.format(lake=lake.uri.replace("'", "''")))
    assert sorted(Path(lake.uri).rglob("*")) == before


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
