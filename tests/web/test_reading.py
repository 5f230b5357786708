"""What a recording's page shows of its texts: differences, doubt, parts."""

from __future__ import annotations

import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from rapidfuzz.distance import Levenshtein

from nightscribe.airflow.standalone import free_port
from nightscribe.lake.doubt import FIGURES, step_of, suspicions
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.uris import canonical_uri
from nightscribe.web import aligning, reading
from nightscribe.web.differences import Comparison, Kind, compare
from nightscribe.web.doubt_worth import worth_of_doubt
from nightscribe.whisper.options import Options
from tests.nights import write_noise
from tests.web.conftest import PREFIX, Pages

# Differences


def found(comparison: Comparison, segments: list[str]) -> list[tuple[str, str, str]]:
    """Kind, own text and other text of all pieces that differ."""
    pieces = []
    for at, text in enumerate(segments):
        own = comparison.pieces(at)
        assert "".join(text[one.start : one.end] for one in own) == text
        pieces += [(one.kind.value, text[one.start : one.end], one.other) for one in own]
    return [one for one in pieces if one[0] != Kind.SAME]


@pytest.mark.parametrize(
    ("segments", "other", "unit", "differences"),
    [
        ([" Hello, World."], "hello world", "word", []),
        ([" Don't go."], "Don’t GO!", "word", []),
        ([" one two", " three four"], "one three three", "word",
         [("replaced", "two", "three"), ("added", "four", "")]),
        ([" one", " three"], "one two three", "word", [("missing", "", "two")]),
        ([" one", "…"], "one two", "word", [("missing", "", "two")]),
        ([" It costs 3.5"], "it costs 35", "word", [("replaced", "3.5", "35")]),
        (["今天天气很好。", "明天"], "今天天气好明天见", "character",
         [("added", "很", ""), ("missing", "", "见")]),
        (["東京 Tower"], "東京 tower", "character", []),
        ([" 안녕 하세요"], "안녕 하세오", "word", [("replaced", "하세요", "하세오")]),
        ([" a b"], "", "word", [("added", "a b", "")]),
    ],
)  # fmt: skip
def test_differences_are_those_of_words_or_characters(
    segments: list[str], other: str, unit: str, differences: list[tuple[str, str, str]]
) -> None:
    comparison = compare(segments, other)
    assert comparison.unit == unit
    assert found(comparison, segments) == differences


def test_a_transcript_without_words_lacks_all_of_the_other_text() -> None:
    comparison = compare([], "one two")
    assert comparison.is_empty
    assert (comparison.missing, comparison.units) == (2, 2)


def changed(words: list[str], random: random.Random, rate: float) -> list[str]:
    other = []
    for word in words:
        kind = random.random()
        if kind > rate:
            other.append(word)
        elif kind > rate / 2:
            other += [word, str(random.randrange(500))]
    return other


@pytest.mark.parametrize("longest", [10_000, 60])
def test_pieces_are_an_alignment_also_of_texts_that_are_cut(
    longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligning, "_LONGEST", longest)
    monkeypatch.setattr(aligning, "_BETWEEN", 10)
    source = random.Random(0)
    for _ in range(20):
        words = [str(source.randrange(500)) for _ in range(source.randrange(400))]
        other = changed(words, source, source.random() / 3)
        segments = [" " + " ".join(words[at : at + 7]) for at in range(0, len(words), 7)]
        comparison = compare(segments, " ".join(other))
        # The other text is rebuilt from what is the same and what it has instead.
        rebuilt: list[str] = []
        wrong = 0
        for at, text in enumerate(segments):
            for one in comparison.pieces(at):
                same = text[one.start : one.end] if one.kind is Kind.SAME else ""
                rebuilt += (same + " " + one.other).split()
            wrong += comparison.wrong(at)[1]
        assert rebuilt == other or not words
        assert wrong == comparison.replaced + comparison.added
        fewest = Levenshtein.distance(words, other)
        assert comparison.differ == fewest if longest == 10_000 else comparison.differ >= fewest
        assert comparison.differ <= 1.2 * fewest + 10


def test_a_long_passage_that_is_missing_is_found_as_one() -> None:
    source = random.Random(1)
    words = [str(source.randrange(5000)) for _ in range(40_000)]
    comparison = compare([" ".join(words)], " ".join(words[:5_000] + words[16_000:]))
    assert (comparison.added, comparison.replaced, comparison.missing) == (11_000, 0, 0)


# Doubt


def test_the_strongest_step_is_whispers_own() -> None:
    options = Options()
    strongest = {one.column: one.thresholds[-1] for one in FIGURES}
    assert strongest == {
        "avg_logprob": options.logprob_threshold,
        "compression_ratio": options.compression_ratio_threshold,
        "no_speech_prob": options.no_speech_threshold,
        "temperature": 0.0,
    }


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({}, 0),
        ({"avg_logprob": -0.45}, 0),
        ({"avg_logprob": -0.46}, 1),
        ({"avg_logprob": -0.71}, 2),
        ({"avg_logprob": -1.01}, 3),
        ({"compression_ratio": 2.1}, 1),
        ({"no_speech_prob": 0.61}, 3),
        ({"temperature": 0.2}, 3),
        ({"avg_logprob": -0.5, "compression_ratio": 2.3}, 2),
    ],
)
def test_a_segment_is_as_doubtful_as_its_worst_figure(change: dict[str, float], step: int) -> None:
    figures = {
        "avg_logprob": -0.1,
        "compression_ratio": 1.5,
        "no_speech_prob": 0.0,
        "temperature": 0.0,
    }
    segment = figures | change
    assert step_of(segment) == step
    assert {one.column for one, _, _ in suspicions(segment)} == (set(change) if step else set())


# The page. A lake of two transcripts of each task with 25 segments, in parts of 10.

ID, MODEL = "a" * 64, "b" * 64
HOSTILE = "<b>'\"&\u202eset"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("reading")
    lake = open_lake(str(folder / "lake"))
    write_noise(folder / "a.wav", 1, 75)
    size = (folder / "a.wav").stat().st_size
    stamp = {"run_id": "manual__1", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}

    def put(table: str, *rows: dict[str, Any]) -> None:
        lake.insert_new(table, rows_of(table, [stamp | row for row in rows]), KEYS[table])

    recording = {"recording_id": ID, "container": "wav", "codec": "pcm_s16le", "duration_s": 75.0}
    put("recordings", recording | {"sample_rate": 8000, "channels": 1, "size_bytes": size})
    place = {"archive": canonical_uri(str(folder)), "collection": canonical_uri(str(folder))}
    source = {"recording_id": ID, "member": "a.wav", "position": 0, "version": ""}
    put("sources", source | place | {"size_bytes": size})
    for number, (task, model) in enumerate(
        [("translate", MODEL), ("transcribe", "c" * 64), ("transcribe", MODEL)]
    ):
        # Word 5 of the second model differs, and it has no word 20.
        words = [f"word{at}" for at in range(25)]
        if model != MODEL:
            words[5], words[20] = "other", ""
        transcript = f"{task}-{model[0]}"
        figures = {"temperature": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        segments = [
            {"transcript_id": transcript, "recording_id": ID, "index": at, "seek": 0,
             "start_s": 3.0 * at, "end_s": 3.0 * at + 2, "text": f" {word}.", "tokens": [1],
             "avg_logprob": -2.0 if at == 5 else -0.1, **figures,
             "words": [{"word": f" {word}.", "start": 3.0 * at, "end": 3.0 * at + 1,
                        "probability": 1.0}]}
            for at, word in enumerate(words)
        ]  # fmt: skip
        lake.append("segments", rows_of("segments", segments))
        put("transcripts", {
            "transcript_id": transcript, "recording_id": ID, "model_id": model, "task": task,
            "options_key": "0" * 16, "model": model[0], "options": "{}", "language": "en",
            "text": " ".join(words), "duration_s": 75.0, "segment_count": 25,
            "engine": "batched", "precision": "float32", "versions": "{}", "batch_id": "x",
            "attempt_id": "y", "created_at": datetime(2026, 1, 1 + number, tzinfo=UTC),
            "language_probability": None, "avg_logprob": -0.1, "temperature": 0.0,
        })  # fmt: skip
    texts = [f"Word{at}" if at != 5 else HOSTILE for at in range(25)]
    reference = {"recording_id": ID, "task": "transcribe", "language": "en", "split": None}
    put("reference_texts", reference | {"dataset": HOSTILE, "text": " ".join(texts)})
    return lake


@pytest.fixture
def get(
    made: Lake, pages_over: Callable[[str], Pages], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """The page, or another one below it."""
    monkeypatch.setattr(reading, "PART", 10)
    client = pages_over(made.uri).client

    def got(below: str = "", **query: Any) -> str:
        answer = client.get(f"/recordings/{ID}{below}", params=query)
        assert answer.status_code == 200
        return answer.text

    return got


def starts(html: str) -> list[float]:
    return [float(one) for one in re.findall(r'<li data-start="([\d.]+)"', html)]


def test_parts_follow_each_other_and_have_every_segment_once(get: Callable[..., str]) -> None:
    seen: list[float] = []
    at: float | None = 0.0
    while at is not None:
        page, part = get(**{"from": at}), get("/texts", **{"from": at + 0.01})
        assert starts(page) == starts(part)
        assert "<html" not in part
        assert '"#part"' not in part
        seen += starts(page)
        until = re.search(r'id="part" data-from="([\d.]+)" data-until="([\d.]+)"', page)
        at = float(until[2]) if until else None
    # Both tasks of the page, part by part.
    assert sorted(seen) == sorted(2 * [3.0 * at for at in range(25)])
    assert len(starts(get(**{"from": 1e9}))) == 2 * 5


@pytest.mark.parametrize("second", ["nan", "inf", "-1", "x"])
def test_a_wrong_second_says_so(
    second: str, made: Lake, pages_over: Callable[[str], Pages]
) -> None:
    answer = pages_over(made.uri).client.get(f"/recordings/{ID}?from={second}")
    assert answer.status_code == 422
    assert "from" in answer.text


def test_two_transcripts_are_compared_word_by_word(get: Callable[..., str]) -> None:
    plain = get()
    link = re.search(r'href="/nightscribe(/recordings/[^"]*compare=[^"]*)"', plain)
    assert link is not None
    html = get(**dict(re.findall(r"[?&](\w+)=([^&]+)", unescape(link[1]))))
    assert "<strong>2</strong> of 24 words differ" in html
    assert "1 replaced, 0 missing, 1 added" in html
    assert '<del title="replaced">other</del> <ins title="replaced">' in html
    # A word that differs leads to its second like any other.
    assert re.search(r'<ins title="replaced"><span class="w" data-start="15.0"[^>]*>word5', html)
    assert '<ins title="added">' in get(
        transcript="transcribe-b", compare="transcribe-c", **{"from": 60}
    )
    assert "<ins" not in plain


def test_errors_against_a_reference_are_shown_as_text(get: Callable[..., str]) -> None:
    html = get(reference=HOSTILE)
    assert "<strong>2</strong> of 26 words differ" in html  # the hostile text has two
    assert "1 replaced, 1 missing, 0 added" in html
    assert "data set <bdi>&lt;b&gt;" in html
    assert "<b>'" not in html
    assert "evaluation's</a>" in html
    assert "<del" not in get(reference="another")
    assert "<del" not in get(compare="nonsense")
    assert "<del" not in get(compare="translate-b")


def test_a_doubtful_segment_names_its_figure_and_what_doubt_is_worth(
    get: Callable[..., str], made: Lake, pages_over: Callable[[str], Pages]
) -> None:
    html = get()
    assert html.count('doubt-3" dir="auto" title="mean log-probability -2.00"') == 2
    worth = worth_of_doubt(pages_over(made.uri).site.snapshots, MODEL)
    assert worth is not None
    assert [(one.words, one.wrong) for one in worth.steps] == [(24, 0), (0, 0), (0, 0), (1, 1)]
    assert "wavy: 1 of 1, too few for a rate" in html
    assert worth_of_doubt(pages_over(made.uri).site.snapshots, "d" * 64) is None


def test_a_run_of_airflow_is_one_link_away(get: Callable[..., str]) -> None:
    assert 'href="/nightscribe/airflow/runs/manual__1" target="_top"' in get()


@pytest.fixture
def window(made: Lake, pages_over: Callable[[str], Pages], get: Any) -> Iterator[Any]:
    """A browser's window on a server of the pages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium")
    outer = FastAPI()
    outer.mount(PREFIX, pages_over(made.uri).app)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(outer, "127.0.0.1", port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = started.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
        page.set_default_timeout(20_000)
        yield page
        browser.close()
    server.should_exit = True
    thread.join()


def test_the_player_brings_the_part_that_is_heard(window: Any) -> None:
    address = f"{PREFIX}/recordings/{ID}"
    window.goto(f"{address}#t=63")  # of the third part
    window.locator("#transcribe-21[aria-current]").wait_for()
    assert window.locator("#transcribe-0").count() == 0
    assert "from=63" in window.url
    # Playback goes on from the first part to the second.
    window.goto(f"{address}?transcript=transcribe-c")
    window.locator("#transcribe-0").wait_for()
    window.evaluate("document.querySelector('audio').currentTime = 29.5")
    window.evaluate("document.querySelector('audio').play()")
    window.locator("#transcribe-10[aria-current]").wait_for()
    assert not window.evaluate("document.querySelector('audio').paused")
    assert "transcript=transcribe-c" in window.url
    # By keyboard, back over the edge.
    window.keyboard.press("k")
    window.evaluate("document.querySelector('audio').currentTime = 30.5")
    window.keyboard.press("p")
    window.locator("#transcribe-9").wait_for()


def test_a_word_without_end_can_be_reviewed_on_a_phone(window: Any) -> None:
    window.set_viewport_size({"width": 390, "height": 844})
    window.goto(f"{PREFIX}/review/transcribe-c")
    window.locator("textarea").first.fill("ha" * 400)
    assert window.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_key_held_and_a_double_click_decide_once(window: Any, tmp_path: Path) -> None:
    def accepted() -> int:
        window.get_by_text("accepted by").wait_for()
        window.wait_for_timeout(300)
        return len([*tmp_path.glob("uploads/.reviews/*/*.json")])

    # This queue leads to the same transcript again; others lead to one that nobody has heard.
    window.goto(f"{PREFIX}/review/transcribe-c?queue=selected")
    window.keyboard.down("Control")
    for _ in range(3):  # all but the first are repetitions
        window.keyboard.down("Enter")
        assert accepted() == 1
    window.keyboard.up("Control")
    button = window.locator("[value=accept]").bounding_box()
    for count in (1, 2):
        window.mouse.move(button["x"] + 5, button["y"] + 5)
        window.mouse.down(click_count=count)
        window.mouse.up(click_count=count)
        assert accepted() == 2


def test_a_pause_before_the_first_sound_is_no_error(window: Any) -> None:
    errors: list[str] = []
    window.on("pageerror", lambda error: errors.append(str(error)))
    window.goto(f"{PREFIX}/recordings/{ID}")
    for _ in range(10):
        window.keyboard.press("k")
    window.locator("#transcribe-0").wait_for()
    window.wait_for_timeout(200)
    assert errors == []


def test_a_recording_that_cannot_be_played_says_why(made: Lake, window: Any) -> None:
    archive = Path(made.uri).parent
    away = (archive / "a.wav").rename(archive / "elsewhere.wav")
    try:
        window.goto(f"{PREFIX}/recordings/{ID}")
        window.get_by_role("alert").wait_for()
        assert "no longer there" in window.get_by_role("alert").inner_text()
    finally:
        away.rename(archive / "a.wav")


def test_the_library_filters_by_the_view_of_doubtful_transcripts(
    made: Lake, pages_over: Callable[[str], Pages]
) -> None:
    """A doubtful segment counts, however sure the others are."""
    client = pages_over(made.uri).client
    html = client.get("/recordings?doubtful=1").text
    assert f"/recordings/{ID}" in html
    assert '<span class="mark">doubtful</span>' in html
    assert f"/recordings/{ID}" not in client.get("/recordings?doubtful=1&longest=1").text
