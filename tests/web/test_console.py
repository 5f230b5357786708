"""The SQL page: what a query may do, what it may use, and how its rows are shown."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.web.access import Person, Right
from nightscribe.web.app import create_app
from nightscribe.web.console.answers import QueryFailed
from nightscribe.web.console.console import Console
from nightscribe.web.console.environment import environment_for
from nightscribe.web.console.limits import QueryLimits
from nightscribe.web.site import Site

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
HEAVY = "SELECT sum(sqrt(a.i * b.i)) FROM range(1_000_000) AS a(i), range(1_000_000) AS b(i)"
SECRET = "b4f1c0de"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake, files beside it that nobody may read, and a temporary folder."""
    folder = tmp_path_factory.mktemp("console")
    lake = open_lake(str(folder / "the lake's"))
    rows = [
        {
            "uri": f"/archive/{number:04}.wav",
            "version": "",
            "reason": "not_audio",
            "detail": "<script>alert(1)</script>" if number == 0 else "no header",
        }
        for number in range(250)
    ]
    lake.append("rejected", rows_of("rejected", rows, "run"))
    (folder / "outside.txt").write_text(SECRET)
    (folder / "outside.csv").write_text(f"a,b\n1,{SECRET}\n")
    (folder / "the lake's2").mkdir()
    (folder / "the lake's2" / "file").write_text(SECRET)
    os.symlink(folder / "outside.txt", Path(lake.uri) / "link")
    (folder / "temporary").mkdir()
    return folder


def pages(folder: Path, limits: QueryLimits) -> TestClient:
    lake = Lake(str(folder / "the lake's"))

    async def anybody(request: Request) -> Person:
        return Person("somebody", frozenset({Right.READ}))

    site = Site(
        settings=Settings(lake=lake.uri),
        lake=lambda: lake,
        access=anybody,
        runs=None,  # type: ignore[arg-type]
        prefix="",
        query_limits=limits,
    )
    return TestClient(create_app(site), headers={"accept": "text/html"})


@pytest.fixture(scope="module", autouse=True)
def temporary(place: Path) -> Iterator[Path]:
    """The temporary folder of the server."""
    former, tempfile.tempdir = tempfile.tempdir, str(place / "temporary")
    yield place / "temporary"
    tempfile.tempdir = former


@pytest.fixture(scope="module")
def client(place: Path) -> TestClient:
    return pages(place, QueryLimits())


@pytest.fixture(scope="module")
def narrow(place: Path) -> TestClient:
    """Pages with narrow limits."""
    return pages(place, QueryLimits(memory_mib=100, spill_mib=20, file_rows=1_000))


def answer(client: TestClient, text: str, status: int = 200, **values: Any) -> str:
    found = client.get("/sql", params={"q": text, **values})
    assert found.status_code == status, message_of(found.text)
    return found.text


def message_of(html: str) -> str:
    """The message of an error; nothing if there is none."""
    found = re.search(r'(?:role="alert"|class="lead")>(.*?)</p>', html, re.DOTALL)
    return unescape(found[1]) if found else ""


def cells(html: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", html)


def contents(folder: Path) -> dict[str, str]:
    """Digest by path of all files below a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_page_shows_the_editor_the_views_and_examples(client: TestClient) -> None:
    found = client.get("/sql")
    assert found.status_code == 200
    assert '<textarea id="q"' in found.text
    for name in ("latest_transcripts", "avg_logprob", "Timed segments", "Hours by language"):
        assert name in found.text
    assert " style=" not in found.text
    assert not re.search(r"<script(?![^>]* src=)", found.text)


def test_values_are_shown_as_duckdb_writes_them(client: TestClient) -> None:
    html = answer(
        client, "SELECT -1.50::DECIMAL(9, 2) AS a, NULL AS b, TIMESTAMPTZ '2026-01-02 03:04Z' AS a"
    )
    assert "-1.50" in cells(html)[0]
    assert '<td class="number"' in html
    assert ">NULL<" in cells(html)[1]
    assert "2026-01-02 03:04:00+00" in cells(html)[2]
    assert "<strong>1</strong> row" in html


@pytest.mark.parametrize("text", ["SHOW TABLES", "DESCRIBE segments", "SUMMARIZE rejected"])
def test_other_forms_of_queries_give_tables(client: TestClient, text: str) -> None:
    assert len(cells(answer(client, text))) > 5


def test_a_plan_is_shown_whole(client: TestClient) -> None:
    html = answer(client, "EXPLAIN ANALYZE FROM rejected")
    assert "<pre" in html
    assert "READ_PARQUET" in html or "TABLE_SCAN" in html


def test_hostile_values_and_names_are_text(client: TestClient) -> None:
    html = answer(client, 'SELECT detail AS "<b>x</b>" FROM rejected ORDER BY uri LIMIT 1')
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html


def test_a_long_value_is_cut_with_its_beginning_as_title(client: TestClient) -> None:
    html = answer(client, "SELECT repeat('ä', 5000)")
    assert f"{'ä' * 200}…" in html
    assert "ä" * 2000 in html
    assert "ä" * 2001 not in html


def test_rows_come_by_pages(client: TestClient) -> None:
    text = "SELECT uri FROM rejected ORDER BY uri"
    first = answer(client, text)
    assert "<strong>250</strong> rows" in first
    assert len(cells(first)) == 100
    assert "after=100" in first
    last = answer(client, text, after=200)
    assert len(cells(last)) == 50
    assert "/archive/0249.wav" in last
    assert "More rows" not in last
    assert "There are no rows from row 301" in answer(client, text, after=300)


def test_ten_thousand_rows_are_shown_and_no_more(client: TestClient) -> None:
    html = answer(client, "FROM range(20_000)", after=9_950)
    assert "more than <strong>10,000" in html.replace("<strong>more than ", "more than <strong>")
    assert len(cells(html)) == 50
    assert cells(html)[-1] == "<bdi>9999</bdi>"
    assert "More rows" not in html


def test_a_csv_has_no_cell_that_a_spreadsheet_runs(client: TestClient) -> None:
    text = """SELECT * FROM (VALUES ('=1+1', -1, NULL), ('a "b", c', 2, ''), (' @x', 3, '+'),
      (chr(9) || 'x', 4, '-')) AS t("=name", n, z)"""
    found = client.get("/sql/result.csv", params={"q": text})
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in found.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(found.text)))
    assert rows == [
        ["'=name", "n", "z"],
        ["'=1+1", "-1", ""],
        ['a "b", c', "2", ""],
        ["' @x", "3", "'+"],
        ["'\tx", "4", "'-"],
    ]


def test_parquet_keeps_types_and_equal_names(client: TestClient) -> None:
    text = """SELECT i AS a, i::HUGEINT AS b, INTERVAL 1 DAY AS c, [i] AS d, {'x': '=1'} AS e,
      'y' AS A FROM range(3000) AS t(i)"""
    found = client.get("/sql/result.parquet", params={"q": text})
    assert found.status_code == 200, message_of(found.text)
    table = pq.read_table(io.BytesIO(found.content))
    assert table.column_names == ["a", "b", "c", "d", "e", "A_1"]
    assert table.num_rows == 3000
    assert table["e"][0].as_py() == {"x": "=1"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_download_with_too_many_rows_is_refused(narrow: TestClient, form: str) -> None:
    found = narrow.get(f"/sql/result.{form}", params={"q": "FROM range(1001)"})
    assert found.status_code == 400
    assert "more than 1,000 rows" in message_of(found.text)
    assert narrow.get(f"/sql/result.{form}", params={"q": "FROM range(1000)"}).status_code == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nothing FROM rejected", "nothing"),
        ("SELECT 1; SELECT 2", "This is 2 statements"),
        ("-- nothing", "statements: give one"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
        ("SELECT error('no traceback')", "no traceback"),
        (f"SELECT {'(' * 4000}1{')' * 4000}", ""),
    ],
)
def test_errors_are_told_without_a_traceback(client: TestClient, text: str, message: str) -> None:
    said = message_of(answer(client, text, 400))
    assert message in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said
    assert str(Path(__file__).parents[2]) not in said


def test_a_query_is_stopped_in_time(place: Path, temporary: Path) -> None:
    hurried = pages(place, QueryLimits(wall_s=2))
    start = time.monotonic()
    assert "stopped after 2 seconds" in message_of(answer(hurried, HEAVY, 400))
    assert time.monotonic() - start < 4
    assert not list(temporary.iterdir())


def test_a_query_beyond_its_memory_fails(narrow: TestClient, temporary: Path) -> None:
    text = "SELECT list(i::VARCHAR || repeat('x', 200)) FROM range(3_000_000) AS t(i)"
    said = message_of(answer(narrow, text, 400))
    assert "memory" in said
    assert not list(temporary.iterdir())


async def two_heavy_queries(folder: Path) -> None:
    """In one event loop, as a server has it."""
    app = pages(folder, QueryLimits(wall_s=5)).app
    server = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=server, base_url="http://testserver", headers={"accept": "text/html"}, timeout=60
    ) as client:
        await client.get("/")
        heavy = [
            asyncio.create_task(client.get("/sql", params={"q": HEAVY})),
            asyncio.create_task(client.get("/sql/result.csv", params={"q": HEAVY})),
        ]
        await asyncio.sleep(1)
        refused = await client.get("/sql", params={"q": "SELECT 1"})
        assert refused.status_code == 503
        assert "try again" in message_of(refused.text)
        seconds = []
        for path in ("/", "/recordings", "/sql"):
            start = time.monotonic()
            assert (await client.get(path)).status_code == 200
            seconds.append(time.monotonic() - start)
        assert not any(one.done() for one in heavy)
        assert statistics.median(seconds) < 1
        for one in heavy:
            assert "stopped after 5 seconds" in message_of((await one).text)
        assert (await client.get("/sql", params={"q": "SELECT 1"})).status_code == 200


def test_a_third_query_is_refused_and_pages_answer_meanwhile(place: Path) -> None:
    asyncio.run(two_heavy_queries(place))


def test_a_query_ends_when_nobody_waits_for_it(place: Path, temporary: Path) -> None:
    lake = Lake(str(place / "the lake's"))
    console = Console(lambda: lake, QueryLimits())

    async def closes_the_page() -> None:
        await asyncio.sleep(1)

    start = time.monotonic()
    with pytest.raises(QueryFailed, match="Nobody waits"):
        asyncio.run(console.rows(HEAVY, 0, closes_the_page))
    assert time.monotonic() - start < 5
    assert not list(temporary.iterdir())


def test_the_environment_has_no_credentials(place: Path) -> None:
    given = {"AWS_SECRET_ACCESS_KEY": SECRET, "AIRFLOW__CORE__FERNET_KEY": SECRET, "LANG": "C"}
    local = environment_for(Lake(str(place)), given, ["/x"])
    assert SECRET not in local.values()
    assert local["LANG"] == "C"
    remote = environment_for(Lake("s3://bucket/lake"), given, ["/x"])
    assert remote["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert "AIRFLOW__CORE__FERNET_KEY" not in remote
    known = Lake("s3://bucket/lake", {"aws_access_key_id": "x"})
    assert SECRET not in environment_for(known, given, ["/x"]).values()


REFUSED = {
    "read text": "FROM read_text('{outside}.txt')",
    "read csv": "FROM read_csv('{outside}.csv')",
    "a file as a table": "FROM '{outside}.csv'",
    "the users": "FROM read_csv('/etc/passwd', sep = ':')",
    "this process": "FROM read_blob('/proc/self/environ')",
    "the server": f"FROM read_blob('/proc/{os.getpid()}/environ')",
    "up from the lake": "FROM read_blob('{lake}/../outside.txt')",
    "up from spilled files": "FROM read_blob('spill/../../../outside.txt')",
    "a link in the lake": "FROM read_text('{lake}/link')",
    "a folder with the lake's name in front": "FROM read_text('{lake}2/file')",
    "a list of files": "FROM glob('{parent}/*')",
    "a URL of a file": "FROM read_text('file://{outside}.txt')",
    "http": "FROM read_csv('http://127.0.0.1:1/x.csv')",
    "s3": "FROM read_parquet('s3://bucket/x.parquet')",
    "a pipe": "FROM read_csv('/dev/stdin')",
    "another database": "FROM read_duckdb('{outside}.db')",
    "sniffing": "FROM sniff_csv('{outside}.csv')",
    "Parquet's metadata": "FROM parquet_metadata('{outside}.csv')",
    "json": "FROM read_json('{outside}.txt')",
    "in a plan": "EXPLAIN ANALYZE FROM read_text('{outside}.txt')",
    "in a subquery": "SELECT (SELECT content FROM read_text('{outside}.txt'))",
    "through query()": "FROM query('FROM read_text(''{outside2}.txt'')')",
    "through a path as a table": "FROM query_table('{outside}.csv')",
    "serialized": "FROM json_execute_serialized_sql(json_serialize_sql("
    "'FROM read_text(''{outside2}.txt'')'))",
    "copy": "COPY (SELECT 1) TO '{lake}/new.csv'",
    "copy to the outside": "COPY (SELECT 1) TO '{outside}.new'",
    "copy in a plan": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/new.csv'",
    "copy behind a comment": "EXPLAIN /* SELECT */ ANALYZE -- (\n COPY (FROM t) TO '{lake}/n'",
    "copy behind options": "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{lake}/new.csv'",
    "copy behind unicode spaces": "EXPLAIN\u00a0ANALYZE\u2003COPY (SELECT 1) TO '{lake}/new.csv'",
    "copy behind a byte order mark": "\ufeffCOPY (SELECT 1) TO '{lake}/new.csv'",
    "copy of a pivot": "COPY (PIVOT (SELECT 1 AS a) ON a) TO '{lake}/new.csv'",
    "copy through query()": "FROM query('COPY (SELECT 1) TO ''{outside2}.new''')",
    "copy in a with": "WITH a AS (COPY (SELECT 1) TO '{lake}/new.csv') FROM a",
    "copy in a with and zero width": "WITH a AS (\u200bCOPY (SELECT 1) TO '{lake}/new.csv') FROM a",
    "copy in a with of a pivot": "WITH a AS (COPY (SELECT 1) TO '{lake}/new.csv') "
    "PIVOT (SELECT 1 AS x) ON x",
    "copy in a with in a plan": "EXPLAIN ANALYZE WITH a AS (COPY (SELECT 1) TO '{lake}/n') FROM a",
    "copy in a serialized with": "FROM json_execute_serialized_sql(json_serialize_sql("
    "'WITH a AS (COPY (SELECT 1) TO ''{lake2}/new.csv'') FROM a'))",
    "serialized through query()": "FROM query('FROM json_exec' || 'ute_serialized_sql(''{}'')')",
    "serialized by its name": "FROM destroy_external_resource('json_exec' || "
    "'ute_serialized_sql', json_serialize_sql("
    "'WITH a AS (COPY (SELECT 1) TO ''{lake2}/new.csv'') FROM a'))",
    "prepare": "PREPARE p AS COPY (SELECT 1) TO '{lake}/new.csv'",
    "two statements": "SELECT 1; COPY (SELECT 1) TO '{lake}/new.csv'",
    "attach": "ATTACH '{lake}/new.db'",
    "attach in memory": "ATTACH ':memory:' AS other",
    "export": "EXPORT DATABASE '{lake}/out'",
    "import": "IMPORT DATABASE '{parent}'",
    "import as a function": "FROM import_database('{parent}')",
    "install": "INSTALL httpfs",
    "load": "LOAD '{outside}.so'",
    "settings": "SET enable_external_access = true",
    "reset": "RESET allowed_directories",
    "pragma": "PRAGMA enable_profiling",
    "pragma as a function": "FROM enable_profiling(format = 'json', save_location = '{outside}.p')",
    "logging to a file": "FROM enable_logging(storage = 'file', storage_path = '{parent}/logs')",
    "call": "CALL enable_logging()",
    "secrets": "CREATE SECRET s (TYPE s3)",
    "stored secrets": "FROM duckdb_secrets()",
    "getenv": "SELECT getenv('PATH')",
    "variables of Python": "FROM job",
    "a table": "CREATE TABLE t AS SELECT 1",
    "a macro": "CREATE MACRO m() AS TABLE SELECT 1",
    "an insert": "WITH a AS (SELECT 1) INSERT INTO rejected FROM a",
    "an update": "UPDATE rejected SET detail = 'x'",
    "a drop": "DROP VIEW rejected",
    "addresses in memory": "FROM arrow_scan(1::POINTER, 1::POINTER, 1::POINTER)",
    "endless recursion": ENDLESS,
    "a cross join": HEAVY,
    "a huge string": "SELECT repeat('x', 10_000_000_000)",
    "a large string": "SELECT length(repeat('x', 4_000_000_000))",
    "a huge list": "SELECT range(2_000_000_000)",
    "an exploding list": "SELECT list_transform(range(100_000), lambda x: range(100_000))",
    "a huge sort": "SELECT count(r) FROM (SELECT row_number() OVER (ORDER BY hash(i)) AS r "
    "FROM range(50_000_000) AS t(i))",
    "many columns": f"SELECT {', '.join(['1'] * 600)}",
    "a large page": "SELECT " + ", ".join(["repeat('x', 9000)"] * 50) + " FROM range(100)",
    "too long": "SELECT " + "1 + " * 6_000 + "1",
}


@pytest.fixture(scope="module")
def ways_out(place: Path) -> dict[str, tuple[int, str]]:
    """What came of each way out, tried two at a time."""
    client = pages(place, QueryLimits(wall_s=2.5, memory_mib=100, spill_mib=20, page_mib=4))
    lake = str(place / "the lake's").replace("'", "''")
    twice = lake.replace("'", "''")
    parent = str(place)
    free = threading.Semaphore(2)

    def tried(text: str) -> tuple[int, str]:
        for mark, value in (
            ("{outside2}", f"{parent}/outside"),
            ("{outside}", f"{parent}/outside"),
            ("{lake2}", twice),
            ("{lake}", lake),
            ("{parent}", parent),
        ):
            text = text.replace(mark, value)
        with free:
            found = client.get("/sql", params={"q": text})
        return found.status_code, found.text

    with ThreadPoolExecutor(2) as both:
        return dict(zip(REFUSED, both.map(tried, REFUSED.values()), strict=True))


@pytest.fixture(scope="module")
def untouched(place: Path) -> dict[str, str]:
    return contents(place)


@pytest.mark.parametrize("way", REFUSED)
def test_no_way_leads_out(
    way: str, untouched: dict[str, str], ways_out: dict[str, tuple[int, str]], place: Path
) -> None:
    status, html = ways_out[way]
    assert status == 400, cells(html)
    assert SECRET not in html
    assert "root:" not in html
    assert contents(place) == untouched
