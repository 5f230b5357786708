"""The page Search: what it shows, and what hostile texts and queries do to it."""

from __future__ import annotations

import html
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from httpx import Response

from nightscribe.lake.opening import open_lake
from nightscribe.lake.tables import Lake
from nightscribe.search.building import build
from nightscribe.settings import Settings
from nightscribe.web.access import Person, Right
from nightscribe.web.app import create_app
from nightscribe.web.site import Site, Upload, UploadState
from tests.search.said import say

START = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
TALK, SONG = "a" * 64, "b" * 64


class NoRuns:
    """Runs of a site that starts none."""

    async def start(self, request: Request, upload: Upload) -> str:
        raise NotImplementedError

    async def state(self, request: Request, run_id: str) -> UploadState | None:
        return None


async def anyone(request: Request) -> Person:
    """Whoever asks may do everything."""
    return Person("anyone", frozenset(Right))


def pages(lake: Lake) -> TestClient:
    """The pages over a lake, mounted below `/ns`."""
    settings = Settings(lake=lake.uri)
    site = Site(settings, lambda: lake, anyone, NoRuns(), prefix="/ns")
    return TestClient(create_app(site), headers={"accept": "text/html"})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A talk in three segments and its translation, and hostile, German and Chinese songs."""
    lake = open_lake(str(tmp_path_factory.mktemp("search") / "lake"))
    lines = (" Das Haus ist <b>alt</b>.", " Herr Müller & Frau wohnen hier.", " Es regnet.")
    say(lake, TALK, *lines, language="de", at=START)
    say(lake, TALK, " Mr Muller lives here.", language="de", task="translate", at=START)
    say(lake, SONG, " <script>alert('muller')</script> 我爱北京", model="<i>", at=START)
    many = [f" refrain {number}" for number in range(120)]
    say(lake, "c" * 64, *many, at=START - timedelta(days=1))
    build(lake, Path(lake.uri, "index"))
    return lake


@pytest.fixture(scope="module")
def client(lake: Lake) -> TestClient:
    return pages(lake)


def asked(client: TestClient, **values: Any) -> Response:
    return client.get("/search", params=values)


def links(answer: Response) -> list[str]:
    """Addresses of the hits on a page."""
    return re.findall(r'class="time" href="([^"]*)"', answer.text)


def test_hits_are_marked_and_lead_to_the_moment(client: TestClient) -> None:
    answer = asked(client, q="müller")
    assert answer.status_code == 200
    assert f"/ns/recordings/{TALK}#t=4.0" in links(answer)
    assert len(links(answer)) == 3
    assert answer.text.count("<mark>") == 3
    talk = answer.text[answer.text.index(f"/ns/recordings/{TALK}") :]
    lines = re.findall(r"<p( class=\"quiet\")?>(.*?)</p>", talk)[:3]
    assert lines == [
        (' class="quiet"', "Das Haus ist &lt;b&gt;alt&lt;/b&gt;."),
        ("", "Herr <mark>Müller</mark> &amp; Frau wohnen hier."),
        (' class="quiet"', "Es regnet."),
    ]
    assert f"{TALK[:8]}.wav" in answer.text
    assert answer.text.count('<section class="found"') == 2  # by recording
    assert "<strong>3</strong> segments" in answer.text


def test_filters(client: TestClient) -> None:
    assert len(links(asked(client, q="muller", language="de"))) == 2
    assert len(links(asked(client, q="muller", language="de", task="translate"))) == 1
    assert len(links(asked(client, q="muller", model="<i>"))) == 1
    nothing = asked(client, q="muller", language="fr")
    assert links(nothing) == []
    assert "Search without filters" in nothing.text
    assert asked(client, q="muller", task="sing").status_code == 422


def test_pages_of_hits(client: TestClient) -> None:
    seen: list[str] = []
    after: Any = 0
    sizes = []
    while after is not None:
        answer = asked(client, q="refrain", after=after)
        sizes.append(len(links(answer)))
        seen += links(answer)
        following = re.search(r'rel="next" href="[^"]*after=(\d+)"', answer.text)
        after = following and following[1]
    assert sizes == [50, 50, 20]
    assert len(set(seen)) == 120
    assert links(asked(client, q="refrain", after=10_000)) == []
    for wrong in (-1, 10_001, "x"):
        assert asked(client, q="refrain", after=wrong).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "*",
        "AND OR NOT",
        "a" * 10_000,
        "\0",
        "muller\0*",
        "<script>alert(1)</script>",
        '"><script>alert(1)</script>',
        "北京",
        "ไทย",
        "мой",
        "\u202e",
        "' OR 1=1 --",
        "%",
        "(" * 300,
    ],
)
def test_hostile_queries(client: TestClient, query: str) -> None:
    answer = asked(client, q=query)
    assert answer.status_code == 200
    # The page's own scripts are files.
    assert "<script>" not in answer.text
    assert "<i>" not in answer.text
    [shown] = re.findall(r'name="q" value="([^"]*)"', answer.text)
    assert html.unescape(shown.replace("\0", "")) == query.replace("\0", "")


def test_text_of_a_stranger_is_text(client: TestClient) -> None:
    answer = asked(client, q="script")
    assert "&lt;<mark>script</mark>&gt;alert(" in answer.text
    assert "<script>" not in answer.text
    assert "我爱<mark>北京</mark>" in asked(client, q="北京").text


def test_empty_states(client: TestClient) -> None:
    assert "find a phrase" in asked(client).text
    assert "no word to search for" in asked(client, q="!?").text
    assert "Nothing was found" in asked(client, q="unheard").text
    assert "at most 400" in asked(client, q="a" * 401).text


def test_an_index_that_lags_says_up_to_when_it_knows(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    client = pages(lake)
    answer = asked(client, q="word")
    assert answer.status_code == 200
    assert "There is no search index yet" in answer.text
    assert "nightscribe index" in answer.text

    build(lake, Path(lake.uri, "index"))
    assert "knows no transcript yet" in asked(client, q="word").text

    say(lake, TALK, " word", at=START)
    client = pages(lake)  # a page looks at the tables every two seconds
    build(lake, Path(lake.uri, "index"))
    answer = asked(client, q="word")
    assert len(links(answer)) == 1
    assert 'up to <time datetime="2026-11-27T03:00:00+00:00">2026-11-27 03:00 UTC' in answer.text
    assert "newer" not in answer.text

    say(lake, SONG, " word", at=START + timedelta(days=1))
    answer = asked(pages(lake), q="word")
    assert len(links(answer)) == 1
    assert 'the lake has newer ones, up to <time datetime="2026-11-28T03:00' in answer.text

    build(lake, Path(lake.uri, "index"))
    assert len(links(asked(client, q="word"))) == 2  # the same server reads the new index
    shutil.rmtree(Path(lake.uri, "index"))
    assert "There is no search index yet" in asked(client, q="word").text
