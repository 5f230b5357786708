"""An archive is never an http(s) URL: those are only for `nightscribe transcribe`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.stages.order import Order

WEB = ("https://host/talk.mp3", "http://me:secret@host/archive.zip?key=secret", "HTTPS://host/")


@pytest.mark.parametrize("url", WEB)
@pytest.mark.parametrize("command", ["run", "scan", "bench"])
def test_archives_are_no_urls(
    url: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--archives", url, "--model", "demo", "--lake", str(tmp_path / "lake")]
    if command == "scan":
        del flags[2:4]
    if command == "bench":
        del flags[4:]
    assert cli.main([command, *flags]) == 2
    said = capsys.readouterr().err
    assert "only for `nightscribe transcribe`" in said
    assert "secret" not in said
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("url", WEB)
def test_orders_of_dags_name_no_urls(url: str) -> None:
    with pytest.raises(ConfigurationError, match="only for `nightscribe transcribe`"):
        Order(archives=(url,), model="demo").wanted(Settings())
