"""`nightscribe index` says what it has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.lake.opening import open_lake
from tests.search.said import say


def test_the_command_builds_and_says_what_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    say(lake, "r", " one", " two", at=datetime(2026, 11, 27, tzinfo=UTC))
    assert cli.main(["index", "--lake", lake.uri]) == 0
    assert capsys.readouterr().out == (
        "index: made anew, 2 segments added, 0 removed; knows 2 segments of 1 transcripts up to "
        f"2026-11-27 00:00:00 UTC: {lake.uri}/index\n"
    )
    assert cli.main(["index", "--lake", lake.uri]) == 0
    assert capsys.readouterr().out.startswith("index: 0 segments added, 0 removed; knows 2")
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("NIGHTSCRIBE_INDEX", str(elsewhere))
    assert cli.main(["index", "--lake", lake.uri]) == 0
    assert capsys.readouterr().out.endswith(f": {elsewhere}\n")


def test_the_command_fails_where_the_index_cannot_be_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("NIGHTSCRIBE_INDEX", str(blocked))
    assert cli.main(["index", "--lake", lake.uri]) == 2
    assert "could not be built" in capsys.readouterr().err


def test_there_must_be_a_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["index", "--lake", str(tmp_path / "none")]) == 2
    assert "there is no lake" in capsys.readouterr().err
