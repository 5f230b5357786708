"""The page Plan: what is pending, how long, until when, at what cost, from the lake alone."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.lake.made_up import add_batch
from tests.nights import archive_of
from tests.web.conftest import Pages


@pytest.fixture(scope="module")
def transcribed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of two recordings with transcripts and no translations, whose archive is gone."""
    folder = tmp_path_factory.mktemp("plan")
    archive = archive_of(folder / "archive", ["english/en-01.flac", "german/de-01.flac"])
    lake = open_lake(str(folder / "lake"))
    run(lake, Order((str(archive),), "demo", "transcribe"), Settings(device="cpu"))
    archive.rename(folder / "away")
    return lake


@pytest.fixture
def client(transcribed: Lake, pages_over: Callable[[str], Pages]) -> Pages:
    return pages_over(transcribed.uri)


def text_of(pages: Pages, address: str) -> str:
    """The text of a page in one line."""
    answer = pages.client.get(address)
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def test_what_is_pending_takes_time_and_costs(client: Pages) -> None:
    said = text_of(client, "/plan?task=translate&workers=2&price=3600000")
    assert "2 transcripts of 2 recordings pending by demo" in said
    assert "With 2 workers, if it began now" in said
    assert re.search(r"English \(en\) \d+ s – – –", said)
    assert re.search(r"German \(de\) \d+ s – – –", said)
    cost = float(re.search(r"UTC ([\d,]+\.\d\d)", said)[1].replace(",", ""))  # type: ignore[index]
    assert cost > 1_000
    assert "✕ late" not in said
    assert "in time" not in said


def test_nothing_pending(client: Pages) -> None:
    said = text_of(client, "/plan")
    assert "Nothing is pending by demo : 2 transcripts are there" in said
    assert "Language" not in said.partition("Model")[2].partition("Task")[2]


def test_a_deadline_is_met_or_not(
    client: Pages,
    transcribed: Lake,
    pages_over: Callable[[str], Pages],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"
    said = text_of(client, f"/plan?task=translate&by={later}")
    assert f"in time for {later}" in said
    assert "✓ in time" in said
    monkeypatch.setattr("nightscribe.stages.outlook.besides_s", lambda lake: 90_000.0)
    said = text_of(pages_over(transcribed.uri), f"/plan?task=translate&by={later}")
    assert f"late for {later}" in said
    assert "✕ late" in said


def test_a_deadline_that_is_set_can_be_left_out(
    transcribed: Lake, pages_over: Callable[[str], Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_DONE_BY", "06:00")
    client = pages_over(transcribed.uri)
    assert "for 06:00 UTC" in text_of(client, "/plan?task=translate")
    assert "06:00" not in text_of(client, "/plan?task=translate&by=")


def test_the_model_of_the_address_is_the_first_of_all_that_are_measured(
    tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    for number, model in enumerate(("slow", "fast"), 1):
        took = {"audio_s": 1_000.0 * number, "wall_s": 100.0}
        add_batch(lake, model, datetime.now(UTC), worker="w:1", model_id=model, **took)
    pages = pages_over(lake.uri)
    rows = re.findall(r'<tr><th scope="row"><bdi>(\w+)', pages.client.get("/plan?model=slow").text)
    assert rows == ["slow", "fast"]
    assert "pending by fast" in text_of(pages, "/plan?model=none")


def test_a_task_that_the_model_was_not_trained_for(
    tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    took = {"audio_s": 1_000.0, "wall_s": 100.0}
    turbo = "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a"
    add_batch(lake, "one", datetime.now(UTC), worker="w:1", model_id=turbo, **took)
    assert "was not trained to translate" in text_of(pages_over(lake.uri), "/plan?task=translate")


def test_a_lake_that_has_measured_nothing(
    tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    open_lake(str(tmp_path / "lake"))
    assert "no speed is known" in text_of(pages_over(str(tmp_path / "lake")), "/plan")


@pytest.mark.parametrize(
    "query", ["workers=0", "price=-1", "price=nan", "by=25:00", "task=sing", "workers=x"]
)
def test_values_that_make_no_sense_are_refused(client: Pages, query: str) -> None:
    assert client.client.get(f"/plan?{query}").status_code == 422


def test_empty_fields_of_the_form_are_unset(client: Pages) -> None:
    assert "Nothing is pending" in text_of(client, "/plan?model=&task=&workers=1&price=&by=")
