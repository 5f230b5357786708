"""Settings are a value: read from the environment once, then passed on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nightscribe.settings import ArchiveLimits, Settings, invalid_variables


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


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_an_empty_variable_is_as_if_it_were_not_set(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NIGHTSCRIBE_{name.upper()}", raising=False)
    as_unset = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"NIGHTSCRIBE_{name.upper()}", value)
    for name in ArchiveLimits.model_fields:
        monkeypatch.setenv(f"NIGHTSCRIBE_ARCHIVE_{name.upper()}", value)
    assert Settings() == as_unset
    assert Settings().lake == "lake"
    assert Settings().limits == ArchiveLimits()


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("NIGHTSCRIBE_TASK", "sing", "'transcribe', 'translate' or 'both'"),
        ("NIGHTSCRIBE_LANGUAGE", "Klingon", "auto, manifest, or a language"),
        ("NIGHTSCRIBE_DEVICE", "gpu", "auto, cpu, cuda or cuda:N"),
        ("NIGHTSCRIBE_ENGINE", "fast", "'batched' or 'reference'"),
        ("NIGHTSCRIBE_SLOTS", "-1", "greater than or equal to 0"),
        ("NIGHTSCRIBE_SLOTS", "2.5", "valid integer"),
        ("NIGHTSCRIBE_BATCH_MINUTES", "nan", "finite number"),
        ("NIGHTSCRIBE_BATCH_MINUTES", "inf", "finite number"),
        ("NIGHTSCRIBE_MAX_DURATION_S", "1 h", "valid number"),
        ("NIGHTSCRIBE_ARCHIVE_MAX_RATIO", "1", "greater than 1"),
        ("NIGHTSCRIBE_ARCHIVE_SPOOL_BYTES", "64MiB", "valid integer"),
        ("NIGHTSCRIBE_ARCHIVE_NAME_ENCODING", "cp999", "cp932, gbk or cp866"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    [line] = invalid_variables(raised.value)
    assert line.startswith(f"{variable}={value}: ")
    assert allowed in line
