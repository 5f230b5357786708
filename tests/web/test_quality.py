"""The gate on Home and Quality, and the way from a figure to the second of an error."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.gate.rules import Override, Rules
from evaluation.lake import evaluate_lake
from nightscribe.lake.opening import open_lake
from nightscribe.lake.published import PUBLISHED
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from tests.evaluation.lakes import RECORDINGS, judged_lake
from tests.web.conftest import Pages
from tests.web.test_pages import Elements


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, str, str]:
    """A lake, and its evaluations: by rules that only warn, and by the default ones."""
    lake = judged_lake(tmp_path_factory.mktemp("judged"))
    warned, closed = evaluate_lake(lake, "a", Rules(action="warn")), evaluate_lake(lake, "b")
    assert warned is not None
    assert closed is not None
    return lake, warned.score_id, closed.score_id


@pytest.fixture
def quality(judged: tuple[Lake, str, str], pages_over: Callable[[str], Pages]) -> Pages:
    return pages_over(judged[0].uri)


def text_of(pages: Pages, address: str) -> str:
    """The text of a page in one line, with a space in place of each tag."""
    answer = pages.client.get(address)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def links(page: str, part: str) -> list[str]:
    """The addresses in a page that contain a text, below the pages' own."""
    found = re.findall(r'href="/nightscribe([^"]+)"', page)
    return [html.unescape(address) for address in found if part in html.unescape(address)]


def test_home_says_whether_the_gate_is_open_and_leads_to_quality(
    quality: Pages, judged: tuple[Lake, str, str]
) -> None:
    page = quality.client.get("/").text
    assert "closed: 1 of 2 groups is worse" in page
    assert "default rules" in page
    assert "gate-closed" in page
    assert links(page, "/quality?evaluation=") == [f"/quality?evaluation={judged[2]}"]


def test_quality_has_the_verdict_of_each_group_for_any_evaluation(
    quality: Pages, judged: tuple[Lake, str, str]
) -> None:
    newest = text_of(quality, "/quality")
    assert re.search(r"German \(de\) transcribe \S+ \w+ WER 69.4 % [\d. –]+ ✕ worse 0.0 %", newest)
    assert re.search(r"English \(en\) transcribe \S+ \w+ WER 9.1 % [\d. –]+ ✓ held 9.1 %", newest)
    assert re.search(r"Chinese \(zh\) .* CER 7.7 % [\d. –]+ – no baseline", newest)
    assert (
        "closes the gate : German (de) of news & <talks> , transcribe: WER 69.4 % against 0.0 %"
        in newest
    )
    assert "as it came" in newest
    earlier = text_of(quality, f"/quality?evaluation={judged[1]}")
    assert "open: 1 of 2 groups has a warning" in earlier
    assert "✕ worse (warning)" in earlier
    assert "default rules" not in earlier


def test_a_gate_that_cannot_tell_and_a_limit_are_shown_as_such(
    judged: tuple[Lake, str, str], tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    """Twelve recordings cannot give a p-value below one in ten thousand."""
    lake = open_lake(str(shutil.copytree(judged[0].uri, tmp_path / "lake")))
    evaluate_lake(lake, "c", Rules(alpha=1e-4))
    pages = pages_over(lake.uri)
    home, quality = text_of(pages, "/"), text_of(pages, "/quality")
    for page in (home, quality):
        assert "too few to tell: 2 of 2 groups are too few to tell" in page
        assert "Nothing was tested" in page
    assert re.search(
        r"German \(de\) transcribe \S+ \w+ WER 69.4 % [\d. –]+ \? too few to tell", quality
    )
    assert "WER 69.4 % against 0.0 %: 12 recordings are too few to tell a loss" in quality
    assert "held" not in quality

    chinese = Override(language="zh", limits={"cer": 5})
    rules = Rules(alpha=1e-4, on_too_few="fail", limits={"wer": 60}, overrides=[chinese])
    assert evaluate_lake(lake, "d", rules) is not None
    quality = text_of(pages_over(lake.uri), "/quality")
    assert "closed: 2 of 3 groups are beyond a limit, 2 are too few to tell" in quality
    assert (
        "closes the gate : German (de) of news & <talks> , transcribe: WER 69.4 % on 12" in quality
    )
    assert "is beyond its limit of 60.0 %" in quality
    assert re.search(r"Chinese \(zh\) .* – no baseline ✕ beyond its limit of 5.0 %", quality)
    [gate] = read(lake, "FROM gates ORDER BY sequence DESC LIMIT 1").to_pylist()
    assert (gate["state"], gate["groups_beyond_limit"], gate["too_few_groups"]) == ("closed", 2, 2)


def test_every_figure_leads_to_its_recordings_with_the_worst_first(quality: Pages) -> None:
    page = quality.client.get("/quality").text
    figures = links(page, "/recordings?dataset=")
    assert len(set(figures)) == 4
    for figure in figures:
        found = quality.client.get(figure).text
        assert f"<strong>{RECORDINGS}</strong> transcripts" in found
        assert found.count('class="name"') == RECORDINGS
    [german] = {one for one in figures if "language=de" in one and "transcribe" in one}
    text = text_of(quality, german)
    assert text.index("de-00.wav 12 errors in 12 words, 100.0 % 0:08") < text.index("de-01.wav")
    assert "de-01.wav 8 errors in 12 words, 66.7 %" in text
    assert "substituted nach wien fährt → noch linz gärt" in text
    assert "missing von gleis neun ab → nothing" in text
    [translated] = {one for one in figures if "translate" in one}
    assert "chrF++" in text_of(quality, translated)


@pytest.mark.parametrize("sort", ["worst", "rate", "errors"])
def test_pages_of_recordings_follow_each_other(
    sort: str,
    quality: Pages,
    judged: tuple[Lake, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nightscribe.web.pages.worst._PAGE", 13)
    address = f"/quality/{judged[2]}/recordings?sort={sort}"
    seen: list[str] = []
    while address:
        page = quality.client.get(address).text
        seen += re.findall(r'class="name" href="[^"]+transcript=([^"]+)"', page)
        address = next(iter(links(page, "after=")), "")
    assert len(seen) == len(set(seen)) == 4 * RECORDINGS
    [worst] = read(
        judged[0],
        "SELECT transcript_id FROM utterance_errors WHERE errors = units AND score_id = $id",
        id=judged[2],
    )["transcript_id"].to_pylist()
    assert seen[0] == worst


@pytest.mark.parametrize(
    "query", ["dataset='", "model=%00", "after=,,,", "after=transcribe,x,y,z", "language=xx"]
)
def test_odd_addresses_give_a_page(
    query: str, quality: Pages, judged: tuple[Lake, str, str]
) -> None:
    assert quality.client.get(f"/quality/{judged[2]}/recordings?{query}").status_code == 200
    assert quality.client.get(f"/quality/none/recordings?{query}").status_code == 404


def test_what_an_archive_says_is_text_and_a_lake_without_baselines_says_so(
    lake: Lake, tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    copied = tmp_path / "lake"
    shutil.copytree(lake.uri, copied)
    evaluated = evaluate_lake(open_lake(str(copied)), "<script>")
    assert evaluated is not None
    pages = pages_over(str(copied))
    assert re.search(r"Gate no baseline evaluated .* nightscribe baseline set", text_of(pages, "/"))
    for address in ("/", "/quality", f"/quality/{evaluated.score_id}/recordings"):
        page = pages.client.get(address).text
        for tag, attributes in Elements(page).tags:
            assert tag not in ("img", "iframe", "style")
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
    assert "→" in Elements(page).text

    # An earlier version kept neither.
    for name in ("verdicts", "utterance_errors"):
        shutil.rmtree(copied / name)
    (copied / PUBLISHED).unlink()  # nor this
    older = pages_over(str(copied))
    assert "Gate not judged" in text_of(older, "/")
    assert "before errors were kept" in text_of(older, address)


def test_an_error_opens_the_player_at_its_second(
    quality: Pages, judged: tuple[Lake, str, str]
) -> None:
    page = quality.client.get(f"/quality/{judged[2]}/recordings?language=en").text
    errors = links(page, "#t=")
    assert {address.partition("#")[2] for address in errors} == {"t=5.5"}
    assert len(errors) == RECORDINGS
    recording = quality.client.get(errors[0].partition("#")[0])
    assert recording.status_code == 200
    # The word at that second is the wrong one.
    assert re.search(r'<span class="w" data-start="5.5"[^>]*> five</span>', recording.text)
