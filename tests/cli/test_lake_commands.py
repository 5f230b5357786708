"""The commands that work on a lake: what they print, write and exit with."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
import torch

from nightscribe import cli
from nightscribe.export.formats import FORMATS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from tests.lake.made_up import segment, transcript
from tests.nights import SAMPLES, archive_of, write_noise

MANIFEST = """path,language,text,translation
en-01.flac,en,The doctor is looking for a red window at the station.,
de-02.mp3,de,Morgen wird mein Freund meinen Bruder unterstützen.,Tomorrow my friend will help.
"""
PLACES = {
    "en-01.flac",
    "again/copy.flac",
    "de-02.mp3",
}  # of three recordings' sources, two are one recording


class Ran(NamedTuple):
    """What a command came to."""

    code: int | str | None
    bytes: bytes
    err: str

    @property
    def out(self) -> str:
        return self.bytes.decode()


def nightscribe(*arguments: object) -> Ran:
    """Run a command in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: int | str | None = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
    content = out.buffer
    assert isinstance(content, io.BytesIO)
    return Ran(code, content.getvalue(), err.getvalue())


def command(*arguments: object) -> list[str]:
    """The same in a process of its own, which Ctrl-C interrupts even where it was ignored."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from nightscribe.cli import command; command()"
    )
    return [sys.executable, "-c", program, *map(str, arguments)]


@pytest.fixture(scope="module", autouse=True)
def importable(no_settings: None, repository: Path) -> object:
    """Processes of their own find the package as this one does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(repository / "plugins"), str(repository)]))
        yield


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one of them seen twice, and their references."""
    folder = archive_of(
        tmp_path_factory.mktemp("archive"), ["english/en-01.flac", "german/de-02.mp3"]
    )
    (folder / "again").mkdir()
    shutil.copyfile(folder / "en-01.flac", folder / "again" / "copy.flac")
    (folder / "manifest.csv").write_text(MANIFEST, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def first_run(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A lake and what the run that made it said; the engine is the `transcribe` command's."""
    lake = tmp_path_factory.mktemp("lakes") / "lake"
    flags = ("--archives", archive, "--lake", lake, "--model", "demo", "--task", "both")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSCRIBE_ENGINE", "reference")
        return lake, nightscribe("run", *flags)


@pytest.fixture(scope="module")
def lake(first_run: tuple[Path, Ran]) -> Path:
    """A lake with both transcripts of two recordings."""
    return first_run[0]


@pytest.fixture
def bad_archive(tmp_path: Path) -> Path:
    """Nothing in it can be used."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "empty.wav").touch()
    (folder / "notes.mp3").write_text("Buy milk.")
    return folder


# run


def test_run_transcribes_an_archive(first_run: tuple[Path, Ran]) -> None:
    lake, ran = first_run
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert [re.split(r"\W", line)[0] for line in lines] == (
        ["scan", "", "ingest", "plan", "batch", "account", "index", "catalog"]
    )
    assert "3 files new or changed" in lines[0]
    assert "2 new recordings" in lines[2]
    assert "4 transcripts" in lines[3]
    assert lines[-1] == f"catalog: {lake / 'catalog.duckdb'}"
    assert (lake / "catalog.duckdb").is_file()


def test_a_second_run_transcribes_nothing_and_says_so(
    lake: Path, archive: Path, first_run: tuple[Path, Ran]
) -> None:
    before = nightscribe("sql", "--lake", lake, "--format", "csv", "FROM transcripts ORDER BY ALL")
    flags = ("--archives", archive, "--lake", lake, "--model", "demo", "--task", "both")
    ran = nightscribe("run", *flags)
    assert ran.code == 0
    assert "nothing was transcribed: no transcript is pending" in ran.out
    after = nightscribe("sql", "--lake", lake, "--format", "csv", "FROM transcripts ORDER BY ALL")
    assert after.out == before.out


def test_settings_stand_in_for_flags_and_a_limit_is_kept(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVES", str(archive))
    monkeypatch.setenv("NIGHTSCRIBE_MODEL", "demo")
    monkeypatch.setenv("NIGHTSCRIBE_LANGUAGE", "Spanish")
    options = ("--option", "initial_prompt=Hola", "--option", "beam_size=2")
    assert nightscribe("run", "--limit", 1, *options).code == 0
    query = "SELECT language, options->>'initial_prompt' AS prompt FROM transcripts"
    assert json.loads(nightscribe("sql", "--format", "json", query).out) == [
        {"language": "es", "prompt": "Hola"}
    ]


def test_rejected_inputs_of_this_run_exit_1(bad_archive: Path, tmp_path: Path) -> None:
    flags = ("--archives", bad_archive, "--lake", tmp_path / "lake", "--model", "demo")
    ran = nightscribe("run", *flags)
    assert ran.code == 1
    query = "SELECT reason FROM rejected ORDER BY ALL"
    found = nightscribe("sql", "--lake", tmp_path / "lake", "--format", "csv", query)
    assert found.out.split() == ["reason", "empty_file", "not_audio"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("", "no archive to transcribe"),
        ("--archives missing", "missing"),
        ("--archives . --model gigantic", "no model 'gigantic'"),
        ("--archives . --language Klingon", "language 'Klingon'"),
        ("--archives . --limit 0", "limit 0"),
        ("--archives . --option beam_size", "--option 'beam_size': expected NAME=VALUE"),
        ("--archives . --option beam_size=0", "option beam_size is 0"),
        ("--archives . --option length_penalty=2", "option length_penalty 2.0: must be"),
        ("--archives . --option clip_timestamps=soon", "option clip_timestamps 'soon'"),
        ("--archives . --option volume=11", "unknown option 'volume'"),
        ("--archives . --option language=de", "the run's `language`"),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    flags: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = () if "--model" in flags else ("--model", "demo")
    ran = nightscribe("run", "--lake", "lake", *model, *shlex.split(flags))
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line
    if "missing" not in flags:  # that shows only when the archive is listed
        assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("flags", ["--task sing", "--limit many", "--volume 11"])
def test_wrong_usage_names_the_flag(flags: str) -> None:
    ran = nightscribe("run", "--archives", ".", *flags.split())
    assert ran.code == 2
    assert flags.split()[0] in ran.err.splitlines()[-1]


def test_a_setting_that_cannot_be_used_is_named(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_THREADS", "few")
    ran = nightscribe("run", "--archives", archive)
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert line.startswith("error: NIGHTSCRIBE_THREADS=few: ")
    monkeypatch.delenv("NIGHTSCRIBE_THREADS")
    monkeypatch.setenv("NIGHTSCRIBE_PRECISION", "bfloat16")
    monkeypatch.setenv("NIGHTSCRIBE_ENGINE", "reference")
    ran = nightscribe("run", "--archives", archive)
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert line.startswith("error: NIGHTSCRIBE_ENGINE=reference: ")
    assert "no bfloat16; set NIGHTSCRIBE_PRECISION=auto" in line
    monkeypatch.delenv("NIGHTSCRIBE_PRECISION")
    monkeypatch.delenv("NIGHTSCRIBE_ENGINE")
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_RATIO", "0")
    ran = nightscribe("run", "--archives", archive, "--model", "demo", "--lake", archive / "none")
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert line.startswith("error: NIGHTSCRIBE_ARCHIVE_MAX_RATIO=0: ")


@pytest.mark.parametrize("command", ["run", "scan", "bench"])
def test_an_unknown_engine_stops_a_command_before_it_reads_an_archive(
    command: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ENGINE", "batchd")
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    ran = nightscribe(command, "--archives", archive)
    assert ran.code == 2
    assert ran.out == ""
    [line] = ran.err.splitlines()
    assert line.startswith("error: NIGHTSCRIBE_ENGINE=batchd: ")
    assert "'batched' or 'reference'" in line
    assert not (tmp_path / "lake").exists()


def test_a_lake_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("sql", "SELECT 1"),
        ("export", "--format", "srt", "--out", tmp_path / "out"),
        ("evaluate",),
    ):
        ran = nightscribe(*arguments)
        assert ran.code == 2
        assert ran.err.startswith(f"error: there is no lake at {tmp_path / 'lake'}: ")
        assert "--lake" in ran.err
        assert os.listdir(tmp_path) == []


# scan


def test_scan_counts_what_is_new_and_writes_nothing(
    archive: Path, bad_archive: Path, lake: Path, tmp_path: Path
) -> None:
    fresh = nightscribe("scan", "--archives", archive, bad_archive, "--lake", tmp_path / "none")
    assert fresh.code == 0
    good, empty, bad = fresh.out.splitlines()
    assert good.startswith(f"file://{archive}: found 4 = 4 new + 0 rejected + 0 passed over")
    assert empty.endswith("empty_file: the file has no bytes")
    assert bad.startswith(f"file://{bad_archive}: found 2 = 1 new + 1 rejected + 0 passed over")
    assert not (tmp_path / "none").exists()

    there = sorted(lake.rglob("*"))
    known = nightscribe("scan", "--archives", archive, "--lake", lake)
    assert known.code == 0
    assert "found 4 = 4 known + 0 rejected" in known.out
    assert sorted(lake.rglob("*")) == there


def test_scan_refuses_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = nightscribe("scan")
    assert (nothing.code, nothing.out) == (2, "")
    assert "--archives" in nothing.err
    missing = nightscribe("scan", "--archives", "missing")
    assert (missing.code, missing.out) == (2, "")
    assert "missing" in missing.err
    assert os.listdir(tmp_path) == []


# sql


def test_every_format_of_sql_parses_back_to_the_same_rows(lake: Path, tmp_path: Path) -> None:
    def ask(fmt: str, *more: object) -> Ran:
        ran = nightscribe("sql", "--lake", lake, "--format", fmt, *more, SOURCES)
        assert ran.code == 0, ran.err
        return ran

    rows = json.loads(ask("json").out)
    assert {(row["member"], row["language"]) for row in rows} == {
        ("en-01.flac", "en"),
        ("again/copy.flac", "en"),
        ("de-02.mp3", "de"),
    }
    assert all(row["duration_s"] > 3 for row in rows)
    as_text = [{name: str(value) for name, value in row.items()} for row in rows]
    assert list(csv.DictReader(io.StringIO(ask("csv").out))) == as_text
    assert pq.read_table(io.BytesIO(ask("parquet").bytes)).to_pylist() == rows

    for fmt in ("json", "csv", "parquet"):
        path = tmp_path / f"it's {fmt}"
        assert ask(fmt, "--output", path).out == ""
        if fmt != "parquet":
            assert path.read_bytes() == ask(fmt).bytes
        else:
            assert pq.read_table(path).to_pylist() == rows


SOURCES = """SELECT member, language, duration_s FROM sources JOIN latest_transcripts
    USING (recording_id) WHERE task = 'transcribe' ORDER BY ALL"""


def test_sql_prints_a_table_of_every_row_and_column(lake: Path) -> None:
    ran = nightscribe("sql", "--lake", lake, "SELECT range AS n, n * 2 AS m FROM range(2000)")
    assert ran.code == 0
    assert "1234" in ran.out
    assert "3998" in ran.out
    wide = nightscribe("sql", "--lake", lake, "FROM transcripts LIMIT 1")
    assert "attempt_id" in wide.out
    assert "language_probability" in wide.out


def test_sql_shows_the_tables(lake: Path) -> None:
    ran = nightscribe("sql", "--lake", lake, "--format", "csv", "SHOW TABLES")
    assert ran.code == 0
    names = set(ran.out.split())
    assert {"transcripts", "segments", "rejected", "latest_transcripts", "search"} <= names
    assert "search" in nightscribe("sql", "--lake", lake, "SHOW TABLES").out


@pytest.mark.parametrize(
    "query", ["SELEC 1", "SELECT no_such_column FROM transcripts", "FROM no_such_table"]
)
@pytest.mark.parametrize("fmt", ["table", "csv"])
def test_bad_sql_is_told_without_a_traceback(query: str, fmt: str, lake: Path) -> None:
    ran = nightscribe("sql", "--lake", lake, "--format", fmt, query)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: the query failed: ")
    assert "Traceback" not in ran.err


def test_an_error_while_rows_are_made_is_told_too(lake: Path) -> None:
    ran = nightscribe("sql", "--lake", lake, "SELECT error('stop') FROM transcripts")
    assert ran.code == 2
    assert "the query failed" in ran.err


def test_results_go_to_files_only_in_file_formats(lake: Path, tmp_path: Path) -> None:
    ran = nightscribe("sql", "--lake", lake, "-o", tmp_path / "rows.txt", "SELECT 1")
    assert ran.code == 2
    assert "--format csv" in ran.err
    gone = tmp_path / "gone" / "rows.csv"
    ran = nightscribe("sql", "--lake", lake, "--format", "csv", "-o", gone, "SELECT 1")
    assert ran.code == 2
    assert str(gone) in ran.err


def test_parquet_is_not_printed_on_a_terminal(lake: Path) -> None:
    main, terminal = pty.openpty()
    done = subprocess.run(
        command("sql", "--lake", lake, "--format", "parquet", "SELECT 1"),
        stdout=terminal,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(terminal)
    os.close(main)
    assert done.returncode == 2
    assert b"--output" in done.stderr


@pytest.mark.parametrize("rows", [1, 200_000])
@pytest.mark.parametrize("fmt", ["table", "csv"])
def test_a_reader_that_goes_away_gets_no_traceback(rows: int, fmt: str, lake: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    query = f"SELECT * FROM range({rows})"
    done = subprocess.run(
        command("sql", "--lake", lake, "--format", fmt, query),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


AWKWARD = """SELECT 'nan'::DOUBLE AS nan, '-inf'::FLOAT AS inf, ['nan'::DOUBLE, 1.5] AS list,
    {'x': 'inf'::DOUBLE} AS struct, map {'k': 'nan'::DOUBLE} AS map,
    'NaN, "Infinity" \\ -Infinity' AS text, '\\xAB\\x00'::BLOB AS blob,
    DATE '2026-01-02' AS date, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS moment,
    170141183460469231731687303715884105727 AS huge, 18446744073709551615::UBIGINT AS big,
    INTERVAL 3 DAY AS span, NULL AS nothing, [1, NULL] AS holes, 5e-324 AS small"""


def test_json_is_json_whatever_the_values_are(lake: Path, tmp_path: Path) -> None:
    def no_constant(text: str) -> object:
        raise AssertionError(f"{text} is no JSON")

    for query, rows in ((AWKWARD, 1), (f"{AWKWARD} FROM range(3)", 3), ("FROM rejected", 0)):
        ran = nightscribe("sql", "--lake", lake, "--format", "json", query)
        assert ran.code == 0, ran.err
        found = json.loads(ran.out, parse_constant=no_constant)
        assert len(found) == rows
        path = tmp_path / "rows.json"
        nightscribe("sql", "--lake", lake, "--format", "json", "-o", path, query)
        assert path.read_text(encoding="utf-8") == ran.out
    [row] = json.loads(nightscribe("sql", "--lake", lake, "--format", "json", AWKWARD).out)
    assert (row["nan"], row["inf"], row["list"]) == (None, None, [None, 1.5])
    assert (row["struct"], row["map"]) == ({"x": None}, {"k": None})
    assert row["text"] == 'NaN, "Infinity" \\ -Infinity'
    assert (row["date"], row["blob"]) == ("2026-01-02", "\\xAB\\x00")
    assert (row["huge"], row["big"]) == (2**127 - 1, 2**64 - 1)
    assert (row["holes"], row["small"]) == ([1, None], 5e-324)


def test_a_long_query_draws_no_bar_among_the_rows(lake: Path) -> None:
    # DuckDB would after two seconds, on standard output.
    query = "SELECT current_setting('enable_progress_bar') AS bar"
    ran = nightscribe("sql", "--lake", lake, "--format", "json", query)
    assert json.loads(ran.out) == [{"bar": False}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("sql", "--help"),
        ("warnings",),
        ("export", "--format", "srt", "--out", "OUT"),
        ("baseline", "set"),
        ("sql", "FROM range(100_000)"),
    ],
)
def test_a_pipe_that_is_closed_is_no_error(
    arguments: tuple[str, ...], lake: Path, tmp_path: Path
) -> None:
    words = [str(tmp_path) if word == "OUT" else word for word in arguments]
    own = shutil.copytree(lake, tmp_path / "lake")  # `baseline set` writes
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            command(*words),
            stdout=pipe,
            stderr=subprocess.PIPE,
            env={**os.environ, "NIGHTSCRIBE_LAKE": str(own)},
            timeout=60,
            check=False,
        )
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
    assert done.returncode == 0 if "--help" in arguments else 128 + signal.SIGPIPE


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("gone/x.csv", "gone/x.csv: No such file or directory: "),
        ("file/x.csv", "file/x.csv: Not a directory: a part of this path is a file"),
        ("folder", "folder"),
        ("/dev/full", "/dev/full"),
    ],
)
def test_a_file_of_rows_that_cannot_be_written_is_named_with_what_to_do(
    place: str, what: str, lake: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    rows = "FROM range(100_000)"
    ran = nightscribe("sql", "--lake", lake, "--format", "csv", "-o", tmp_path / place, rows)
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert what in line
    assert line.endswith(", then run again")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_an_empty_variable_writes_no_lake_into_the_working_folder(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", "")
    monkeypatch.setenv("NIGHTSCRIBE_INDEX", " ")
    monkeypatch.setenv("NIGHTSCRIBE_SLOTS", "")
    ran = nightscribe("run", "--archives", archive, "--model", "demo", "--limit", "1")
    assert ran.code == 0, ran.err
    assert os.listdir(tmp_path) == ["lake"]


# export


def exported(folder: Path) -> dict[str, bytes]:
    """Path below the folder → content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def below_collections(files: Iterable[str]) -> set[str]:
    """The paths of exported files without the folder of their collection."""
    return {path.partition("/")[2] for path in files}


def test_export_gives_the_files_that_transcribe_writes(
    lake: Path, archive: Path, tmp_path: Path
) -> None:
    ran = nightscribe("export", "--lake", lake, "--format", "all", "--out", tmp_path / "out")
    assert ran.code == 0
    found = exported(tmp_path / "out")
    assert below_collections(found) == {
        f"{place}{task}.{fmt}" for place in PLACES for task in ("", ".translate") for fmt in FORMATS
    }
    assert set(ran.out.splitlines()) == {str(tmp_path / "out" / name) for name in found}
    [collection] = {path.partition("/")[0] for path in found}

    recordings = [archive / "en-01.flac", archive / "again" / "copy.flac", archive / "de-02.mp3"]
    flags = ("--model", "demo", "--beam_size", "None", "--best_of", "None", "--verbose", "False")
    for task in ("transcribe", "translate"):
        folder = tmp_path / task
        assert (
            nightscribe("transcribe", *recordings, *flags, "--task", task, "-o", folder).code == 0
        )
        suffix = ".translate" if task == "translate" else ""
        for place in PLACES:
            for fmt in FORMATS:
                written = (folder / f"{Path(place).stem}.{fmt}").read_bytes()
                assert found[f"{collection}/{place}{suffix}.{fmt}"] == written, (
                    f"{place}{suffix}.{fmt}"
                )


def test_export_takes_a_condition(lake: Path, tmp_path: Path) -> None:
    def export(where: str) -> set[str]:
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        ran = nightscribe(
            "export", "--lake", lake, "--format", "srt", "--out", folder, "--where", where
        )
        assert ran.code == 0, ran.err
        return below_collections(exported(folder))

    assert export("task = 'translate' AND language = 'de'") == {"de-02.mp3.translate.srt"}
    assert export("member LIKE 'again/%' AND task = 'transcribe'") == {"again/copy.flac.srt"}
    assert export("language_hint = 'en' AND task = 'transcribe'") == {"en-01.flac.srt"}


@pytest.mark.parametrize(
    "flags", ["--format srt --format txt", "--format srt txt", "--format txt,srt"]
)
def test_export_writes_every_format_that_is_named(lake: Path, tmp_path: Path, flags: str) -> None:
    ran = nightscribe("export", "--lake", lake, *flags.split(), "--out", tmp_path)
    assert ran.code == 0, ran.err
    written = exported(tmp_path)
    assert {Path(path).suffix for path in written} == {".srt", ".txt"}
    assert len(written) == 12


def test_export_names_what_it_cannot_write_and_writes_the_rest(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", ["english/en-01.flac", "german/de-02.mp3"])
    long = "録音" * 40 + ".flac"  # 245 bytes: its translation has none that a file can have
    (archive / "en-01.flac").rename(archive / long)
    flags = ("--lake", tmp_path / "lake", "--model", "demo", "--task", "both")
    assert nightscribe("run", "--archives", archive, *flags).code == 0
    ran = nightscribe(
        "export", "--lake", tmp_path / "lake", "--format", "all", "--out", tmp_path / "out"
    )
    assert ran.code == 1
    assert f"file://{archive}!/{long}: no file can have its name" in ran.err
    assert "5 files were not written, 15 were" in ran.err
    assert len(exported(tmp_path / "out")) == len(ran.out.splitlines()) == 15


def test_exports_of_two_archives_do_not_overwrite_each_other(tmp_path: Path) -> None:
    archives = [tmp_path / name / "talks" for name in ("monday", "tuesday")]
    for folder, clip in zip(archives, ("english/en-01.flac", "english/en-03.ogg"), strict=True):
        folder.mkdir(parents=True)
        shutil.copyfile(SAMPLES / clip, folder / "talk.flac")
    lake, out = tmp_path / "lake", tmp_path / "out"
    flags = ("--lake", lake, "--model", "demo", "--language", "en")
    assert nightscribe("run", "--archives", *archives, *flags).code == 0
    ran = nightscribe("export", "--lake", lake, "--format", "txt", "--out", out)
    assert ran.code == 0
    written = exported(out)
    assert set(written.values()) == {
        b"The doctor is looking for a red window at the station.\n",
        b"My brother repairs a new letter at the market.\n",
    }
    assert len(written) == len(set(ran.out.splitlines())) == 2
    again = nightscribe("export", "--lake", lake, "--format", "txt", "--out", out)
    assert (again.out, exported(out)) == (ran.out, written)


def test_export_of_nothing_exits_1(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ("--lake", lake, "--format", "srt", "--out", out)
    ran = nightscribe("export", *flags, "--where", "language = 'la'")
    assert ran.code == 1
    assert "no transcript matches" in ran.out
    assert not out.exists()


def test_a_lake_is_maintained_and_checked(lake: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(lake, tmp_path / "lake")
    ran = nightscribe("lake", "maintain", "--lake", copy)
    assert ran.code == 0, ran.err
    assert re.search(r"^segments: \d+ files .* are now 1 ", ran.out, re.M), ran.out
    assert "maintained: " in ran.out
    ran = nightscribe("lake", "check", "--lake", copy)
    assert ran.code == 0, ran.out
    assert ran.out.endswith("nothing is wrong\n")
    assert "left by" not in ran.out
    assert "does not show" not in ran.out
    lost = open_lake(str(copy))
    lost.append("segments", rows_of("segments", [segment("lost")]))
    ran = nightscribe("lake", "check", "--lake", copy)
    assert ran.code == 0
    assert "left by attempts that did not end, or are still at work: 1 in segments" in ran.out
    assert "does not show the newest rows of segments" in ran.out
    twice = read(lost, "FROM sources LIMIT 1")
    lost.append("sources", twice)
    ran = nightscribe("lake", "check", "--lake", copy)
    assert ran.code == 1
    said = "wrong: it does not hold that no key is twice in sources: 1 rows, such as file:///"
    assert ran.out.startswith(said)


@pytest.mark.parametrize("where", ["no_such_column = 1", "language =", "true); DROP TABLE x; --"])
def test_a_condition_that_is_none_is_named(where: str, lake: Path, tmp_path: Path) -> None:
    ran = nightscribe(
        "export", "--lake", lake, "--format", "srt", "--out", tmp_path / "out", "--where", where
    )
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: --where {where!r} is not a condition")


def test_an_export_folder_that_is_a_file_is_one_clear_sentence(lake: Path, tmp_path: Path) -> None:
    there = tmp_path / "out"
    there.write_text("mine")
    ran = nightscribe("export", "--lake", lake, "--format", "srt", "--out", there)
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert f"--out {there}" in line
    assert there.read_text() == "mine"


# evaluate


def test_evaluate_scores_against_the_manifests_references(lake: Path, tmp_path: Path) -> None:
    ran = nightscribe("evaluate", "--lake", lake, "--out", tmp_path / "report")
    assert ran.code == 0
    assert "WER" in ran.out
    assert "BLEU" in ran.out
    assert set(os.listdir(tmp_path / "report")) == {
        *("report.html", "report.md", "scores.json", "averages.json"),
    }
    *_, html, _, _, _ = ran.out.splitlines()
    assert Path(html).read_text() == (tmp_path / "report" / "report.html").read_text()
    query = "SELECT DISTINCT language, task FROM latest_scores WHERE metric = 'wer' ORDER BY ALL"
    found = json.loads(nightscribe("sql", "--lake", lake, "--format", "json", query).out)
    assert {"language": "en", "task": "transcribe"} in found
    assert {"language": "de", "task": "transcribe"} in found


def test_evaluate_without_references_exits_1(bad_archive: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert (
        nightscribe("run", "--archives", bad_archive, "--lake", lake, "--model", "demo").code == 1
    )
    ran = nightscribe("evaluate", "--lake", lake, "--out", tmp_path / "report")
    assert ran.code == 1
    assert "no transcript in this lake has a reference" in ran.out
    assert not (tmp_path / "report").exists()


def test_a_report_folder_that_is_a_file_is_one_clear_sentence(lake: Path, tmp_path: Path) -> None:
    there = tmp_path / "out"
    there.write_text("mine")
    ran = nightscribe("evaluate", "--lake", lake, "--out", there)
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert f"--out {there}" in line


# models


def test_models_are_listed_and_verified(
    tmp_path: Path, demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = nightscribe("models", "list", "--model_dir", tmp_path)
    assert listed.code == 0
    lines = {line.split()[0]: line for line in listed.out.splitlines()}
    assert "not fetched" in lines["turbo"]
    assert str(demo_checkpoint) in lines["demo"]

    verified = nightscribe("models", "verify", "demo", demo_checkpoint)
    assert verified.code == 0
    assert len(re.findall(r"SHA-256 [0-9a-f]{64}$", verified.out, re.MULTILINE)) == 2

    mixed = nightscribe("models", "verify", "tiny", "demo", "--model_dir", tmp_path)
    assert mixed.code == 1
    missing, there = mixed.out.splitlines()
    assert "models fetch tiny" in missing
    assert there.startswith("demo: ")

    assert nightscribe("models", "fetch").code == 2
    assert nightscribe("models", "burn").code == 2


# Help, progress, interrupts


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_has_examples_that_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    helped = nightscribe(name, "--help")
    assert helped.code == 0
    _, _, after = helped.out.partition("examples:\n")
    examples = [line.strip() for line in after.splitlines() if line.startswith("  nightscribe ")]
    assert examples
    module = importlib.import_module(f"nightscribe.cli.{name}")
    monkeypatch.setattr(module, "execute", lambda arguments: 77)
    for example in examples:
        program, *arguments = shlex.split(example.partition(" > ")[0])
        assert (program, arguments[0]) == ("nightscribe", name)
        assert nightscribe(*arguments).code == 77, example


def test_help_of_the_program_lists_commands_and_exit_codes() -> None:
    helped = nightscribe("--help")
    assert helped.code == 0
    assert all(name in helped.out for name in cli.COMMANDS)
    assert all(re.search(rf"\b{code} ", helped.out) for code in (0, 1, 2, 130))


def run_of_noise(tmp_path: Path) -> list[str]:
    """A run that ingests and then fails to find its model's weights: quick, with progress."""
    write_noise(tmp_path / "noise" / "noise.wav", seed=1, seconds=0.05)
    return command(
        *("run", "--archives", tmp_path / "noise", "--lake", tmp_path / "lake", "--model", "demo")
    )


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        run_of_noise(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert re.search(r"^ingest: 1/1, .* MB/s, .* elapsed$", done.stderr, re.MULTILINE)
    assert "\x1b" not in done.stderr + done.stdout
    assert "\r" not in done.stderr + done.stdout


def test_progress_is_a_bar_on_a_terminal(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        run_of_noise(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's way to say that nobody writes any more
        while piece := os.read(main, 65_536):
            shown += piece
    os.close(main)
    assert process.wait(60) == 1
    assert "━" in shown.decode()
    assert b"\x1b[" in shown


def interrupt(arguments: Sequence[str], after: str) -> tuple[int, str]:
    """Press Ctrl-C when a line of output starts with `after`; exit code and standard error."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(after):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_ends_a_run_without_a_traceback_and_the_next_one_goes_on(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", ["long/long-es.mp3"])
    flags = ("--archives", archive, "--lake", tmp_path / "lake", "--model", "demo")
    code, err = interrupt(command("run", *flags), after="plan:")
    assert code == 130, err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    query = "SELECT (SELECT count(*) FROM recordings), (SELECT count(*) FROM transcripts)"
    found = nightscribe("sql", "--lake", tmp_path / "lake", "--format", "csv", query)
    assert found.out.splitlines()[1] == "1,0"
    next_run = nightscribe("scan", "--archives", archive, "--lake", tmp_path / "lake")
    assert " = 1 known + 0 rejected" in next_run.out


def test_ctrl_c_ends_transcribe_without_a_traceback(tmp_path: Path) -> None:
    talk = SAMPLES / "long" / "long-es.mp3"
    flags = ("--model", "demo", "--output_dir", tmp_path)
    code, err = interrupt(command("transcribe", talk, *flags), after="Detected language")
    assert code == 130, err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--device", "cuda"), "device 'cuda'"),
        (("--device", "tpu"), "device 'tpu'"),
        (("--precision", "float16", "--device", "cpu"), "float16"),
        (("--engine", "reference", "--precision", "bfloat16"), "has no bfloat16"),
    ],
)
def test_run_refuses_a_device_or_precision_that_is_not_there(
    flags: tuple[str, ...], message: str, archive: Path, tmp_path: Path
) -> None:
    if flags == ("--device", "cuda") and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    lake = tmp_path / "lake"
    given = ("--archives", archive, "--lake", lake, "--model", "demo")
    refused = nightscribe("run", *given, *flags)
    assert refused.code == 2
    assert message in refused.err
    assert not lake.exists()


def test_run_takes_engine_and_precision(archive: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    given = ("--archives", archive, "--lake", lake, "--model", "demo", "--limit", "1")
    ran = nightscribe("run", *given, "--engine", "reference", "--precision", "float32")
    assert ran.code == 0, ran.err
    engines = read(open_lake(str(lake)), "SELECT DISTINCT engine, precision FROM transcripts")
    assert engines.to_pylist() == [{"engine": "reference", "precision": "float32"}]


def test_doubtful_transcripts_are_listed_with_reasons_and_the_second_to_listen_at(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    rows = [
        transcript("t1", "r1", language="de", language_probability=0.4, segment_count=2),
        transcript("t2", "r2", language="en", language_probability=0.9, segment_count=2),
    ]
    lake.append("transcripts", rows_of("transcripts", rows, "run"))
    parts = [segment("t1"), {**segment("t1", 1), "avg_logprob": -1.5, "temperature": 0.4}]
    parts += [segment("t2"), {**segment("t2", 1), "compression_ratio": 3.25}]
    parts = [{**part, "recording_id": f"r{part['transcript_id'][1]}"} for part in parts]
    lake.append("segments", rows_of("segments", parts))
    sources = [
        {
            "archive": "file:///radio",
            "member": f"{name}.wav",
            "recording_id": name,
            "collection": "file:///radio",
            "position": 0,
            "size_bytes": 1,
            "version": "v",
        }
        for name in ("r1", "r2")
    ]
    lake.append("sources", rows_of("sources", sources, "run"))

    ran = nightscribe("doubtful", "--lake", lake.uri)
    assert ran.code == 0, ran.err
    head, _, first, second, total = ran.out.splitlines()
    assert head.split()[0] == "doubtful"
    assert "1 of 2" in first
    assert "avg_logprob -1.50, temperature 0.40, language_probability 0.40" in first
    assert first.endswith("file:///radio!/r1.wav")
    assert "compression_ratio 3.25" in second
    assert total == "Whisper doubts 2 of the latest transcripts"

    def members(*flags: str) -> list[str]:
        ran = nightscribe("doubtful", "--lake", lake.uri, "--json", *flags)
        assert ran.code == 0, ran.err
        return [f"{row['member']} {row['worst_s']}" for row in json.loads(ran.out)]

    assert members() == ["r1.wav 1.0", "r2.wav 1.0"]
    assert members("--reason", "temperature", "no_speech_prob") == ["r1.wav 1.0"]
    assert members("--language", "en", "--language", "fr") == ["r2.wav 1.0"]
    assert members("--language", "fr") == []
    ran = nightscribe("doubtful", "--lake", lake.uri, "--limit", "1")
    assert ran.out.endswith("2 of the latest transcripts; the first 1 are shown\n")


@pytest.mark.parametrize("command", ["run", "scan", "bench"])
def test_archives_with_a_comma_between_them_are_hinted_at(
    command: str, archive: Path, tmp_path: Path
) -> None:
    lake = () if command == "bench" else ("--lake", tmp_path / "lake")
    model = () if command == "scan" else ("--model", "demo")
    ran = nightscribe(command, *lake, *model, "--archives", f"{archive},{archive}")
    assert ran.code == 2
    assert "no such archive" in ran.err
    assert "Did you mean two archives?" in ran.err


def test_two_archives_are_scanned_however_they_are_given(archive: Path, tmp_path: Path) -> None:
    other = archive_of(tmp_path / "other", ["german/de-01.flac"])
    lake = ("--lake", tmp_path / "none")
    together = nightscribe("scan", *lake, "--archives", archive, other)
    for flag in ("--archives", "--archive"):  # a flag may be shortened
        apart = nightscribe("scan", *lake, flag, archive, flag, other)
        assert (apart.code, apart.out) == (0, together.out)
    assert str(archive) in together.out
    assert str(other) in together.out


def test_an_option_with_two_values_is_refused(archive: Path, tmp_path: Path) -> None:
    flags = ("--archives", archive, "--lake", tmp_path / "lake", "--model", "demo")
    ran = nightscribe("run", *flags, "--option", "beam_size=5", "--option", "beam_size=2")
    assert ran.code == 2
    assert ran.err == "error: --option beam_size: given twice, as 5 and 2: give one\n"


def test_warnings_of_a_cut_recording_are_listed_with_the_seconds_that_it_lacks(
    archive: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()
    content = write_noise(tmp_path / "whole.wav", 1, seconds=4).read_bytes()
    (cut / "a.wav").write_bytes(content[: len(content) // 2])
    lake = tmp_path / "lake"
    ran = nightscribe("run", "--archives", cut, "--lake", lake, "--model", "demo")
    assert "1 new recordings are used with a warning; at least 2.0 s" in ran.out
    assert "a.wav: cut_short: cut short at 2.0 s" in ran.out
    listed = nightscribe("warnings", "--lake", lake)
    assert listed.code == 0
    assert "cut_short" in listed.out
    assert listed.out.splitlines()[-1].startswith("1 warnings about 1 recordings; at least 2.0 s")
    [row] = json.loads(nightscribe("warnings", "--lake", lake, "--json").out)
    assert (row["kind"], row["member"]) == ("cut_short", "a.wav")
    both = nightscribe("warnings", "--lake", lake, "--kind", "gap", "--kind", "cut_short")
    assert both.out == listed.out
    none = nightscribe("warnings", "--lake", lake, "--kind", "gap")
    assert none.out.splitlines()[-1].startswith("0 warnings")
