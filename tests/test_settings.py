"""Settings are a value: read from the environment once, then passed on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nightscribe.settings import ArchiveLimits, Settings


def test_settings_are_read_when_they_are_made_and_not_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_SLOTS", "3")
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "7")
    settings = Settings()
    monkeypatch.setenv("NIGHTSCRIBE_SLOTS", "4")
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "8")
    assert (settings.slots, settings.limits.max_members) == (3, 7)
    assert Settings().limits.max_members == 8


def test_limits_can_be_given_as_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "7")
    limits = ArchiveLimits(max_members=9)
    assert Settings(limits=limits).limits.max_members == 9


def test_a_limit_that_cannot_be_used_is_named_when_settings_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "0")
    with pytest.raises(ValidationError, match="max_members"):
        Settings()


@pytest.mark.parametrize("encoding", ["cp999", "base64", "utf-16", "EBCDIC-CP-HE"])
def test_an_encoding_of_names_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVE_NAME_ENCODING", encoding)
    with pytest.raises(ValidationError, match=f"'{encoding}'"):
        Settings()


@pytest.mark.parametrize("encoding", ["", "cp932", "GBK", "cp866", "shift_jis"])
def test_an_encoding_of_names_may_be_any_that_python_knows(encoding: str) -> None:
    assert ArchiveLimits(name_encoding=encoding).name_encoding == encoding
