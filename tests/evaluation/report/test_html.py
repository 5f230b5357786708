"""The page opens offline in a real browser, and shows transcripts as text, never as HTML."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from evaluation.gate.findings import Findings, find
from evaluation.gate.rules import Rules
from evaluation.measure.scoring import evaluate
from evaluation.pairs.table import PAIRS, STATED
from evaluation.report.contents import WORST_PER_LANGUAGE
from evaluation.report.html import render_html
from evaluation.report.links import audio_url
from evaluation.report.markdown import render_markdown
from nightscribe.uris import join_uri
from tests.evaluation.conftest import PairMaker, table
from tests.evaluation.report.reports import FACTS, html, markdown

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)> & "quotes"'


@pytest.fixture(scope="module")
def page(sample_pairs: pa.Table) -> str:
    return html(sample_pairs)


@pytest.fixture(scope="module")
def compared(sample_pairs: pa.Table) -> Findings:
    """With a baseline that has no errors and no Greek recordings."""
    rows = [
        row | {"hypothesis": row["reference"], "detected_language": row["language"]}
        for row in sample_pairs.to_pylist()
        if row["language"] != "el"
    ]
    scores = evaluate(sample_pairs, WORST_PER_LANGUAGE).scores
    return find(scores, pa.Table.from_pylist(rows, schema=PAIRS), sample_pairs, Rules())


def three_evaluations(scores: pa.Table) -> pa.Table:
    """The first has half the errors, and no Greek recordings."""
    return pa.Table.from_pylist(
        [
            row
            | {
                "value": row["value"] * factor,
                "score_id": f"s{day}",
                "created_at": datetime(2025, 3, day, tzinfo=UTC),
            }
            for day, factor in ((1, 0.5), (2, 1.0), (3, 1.0))
            for row in scores.to_pylist()
            if row["headline"] and (day > 1 or row["language"] != "el")
        ]
    )


@pytest.fixture(scope="module")
def compared_page(sample_pairs: pa.Table, compared: Findings) -> str:
    evaluation = evaluate(sample_pairs, WORST_PER_LANGUAGE)
    return render_html(evaluation, FACTS, compared, three_evaluations(evaluation.scores))


class _Loads(HTMLParser):
    """Collects what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "srcset", "href", "xlink:href", "data", "action", "poster")
        self.targets += [value or "" for name, value in attrs if name in names]


def test_page_loads_nothing(page: str) -> None:
    loads = _Loads()
    loads.feed(page)
    assert loads.targets  # the marks of the charts, by their ids
    assert [target for target in loads.targets if not target.startswith("#")] == []
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(loads.tags)
    assert "@import" not in page
    assert "url(#" in page
    assert re.findall(r"url\((?!#)", page) == []


def test_ids_in_the_page_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0


def test_page_shows_scores_intervals_and_signatures(page: str) -> None:
    for text in ("Evaluation of tonight", "2025-03-01 04:30 UTC", "Spanish (es)", "tok:13a"):
        assert text in page
    assert "normalizer:whisper-basic-letters" in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") == 2
    assert "Recordings to listen to" in page
    assert "Which language was detected" in page
    assert "Spanish as French (1 of 2)" in page


def test_what_changed_since_the_baseline_comes_first(
    sample_pairs: pa.Table, compared: Findings, compared_page: str
) -> None:
    assert compared_page.index("Against the baseline") < compared_page.index("Error rate by")
    assert "Without a baseline: test, Greek (el), transcribe; test, Greek (el)" in compared_page
    assert "Greek" not in compared_page.partition("<table")[2].partition("</table>")[0]
    text = render_markdown(evaluate(sample_pairs), FACTS, compared)
    assert re.search(r"\| Spanish \(es\) +\| transcribe \| WER % \| 2 \| 0\.00 \|", text)


def test_the_report_says_which_systems_were_compared(compared_page: str) -> None:
    table = compared_page.partition('<table class="systems">')[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", table)
    system = "tiny, options 01234567"
    assert cells[:5] == ["Baseline", "Now", "On", system, system]
    assert cells[5].startswith("test, transcribe: ar, de, en, es, fr")
    assert "; test, translate: ar, " in cells[5]


def test_trends_show_the_first_and_the_last_value(compared_page: str) -> None:
    assert "Error rate from one evaluation to the next" in compared_page
    assert "2025-03-01" in compared_page
    assert "2025-03-03" in compared_page
    ends = re.findall(r">(\d+\.\d) → (\d+\.\d)<", compared_page)
    assert len(ends) == 28  # languages, twice
    grown = [(float(first), float(last)) for first, last in ends]
    assert all(last == pytest.approx(2 * first, abs=0.11) or last == first for first, last in grown)
    assert sum(last > first for first, last in grown) > 20


def test_a_single_evaluation_has_no_trend(sample_pairs: pa.Table) -> None:
    evaluation = evaluate(sample_pairs)
    once = three_evaluations(evaluation.scores).slice(0, 2)
    assert "from one evaluation to the next" not in render_html(evaluation, FACTS, None, once)


def test_transcripts_are_escaped_everywhere(pair: PairMaker) -> None:
    pairs = table(
        *(
            pair(
                dataset=HOSTILE,
                model=HOSTILE,
                language=language,
                task=task,
                recording_id=f"{HOSTILE}{index}",
                reference="the boat comes home",
                hypothesis=HOSTILE,
                detected_language=HOSTILE,
            )
            for language in ("en", HOSTILE, "$x_1$")
            for task in ("transcribe", "translate")
            for index in range(2)
        )
    )
    exact = table(*(row | {"hypothesis": row["reference"]} for row in pairs.to_pylist()))
    loads = _Loads()
    evaluation = evaluate(pairs, WORST_PER_LANGUAGE)
    beside = find(evaluation.scores, exact, pairs, Rules(limits={"wer": 1}))
    page = render_html(evaluation, FACTS, beside)
    loads.feed(page)
    assert "Against the baseline" in page
    assert "beyond their limits" in page
    assert "What changed most" in page
    assert page.count("&lt;script&gt;") > 50
    assert not {"script", "img"} & set(loads.tags)
    assert "<script" not in page
    assert "<img" not in page
    text = render_markdown(evaluation, FACTS, beside)
    assert text.count(r"\<script\>") > 20
    assert re.search(r"(?<!\\)<(script|img)", text) is None


def test_a_report_over_nothing_says_so() -> None:
    empty = PAIRS.empty_table()
    assert "nothing to score yet" in html(empty)
    assert "# Evaluation of tonight" in markdown(empty)


def test_recordings_that_are_files_here_can_be_played(pair: PairMaker, tmp_path: Path) -> None:
    folder = tmp_path / "100% radio"
    folder.mkdir()
    (folder / 'Grüße "x".wav').write_bytes(b"RIFF")
    archive = f"file://{tmp_path}/100% radio"
    sources = {
        "played": f'{archive}!/Grüße "x".wav',
        "in a zip": f"{archive}/some.zip!/a.wav",
        "gone": f"{archive}!/gone.wav",
        "elsewhere": "s3://bucket/folder!/a.wav",
        "nobody can say": f"{archive}!/{'x' * 300}.wav",
    }
    rows = [
        pair(recording_id=name, reference="the boat", hypothesis="a goat", source=source)
        for name, source in sources.items()
    ]
    schema = PAIRS.append(pa.field("source", pa.string()))
    loads = _Loads()
    loads.feed(render_html(evaluate(pa.Table.from_pylist(rows, schema=schema), 9), FACTS))
    assert loads.tags.count("audio") == 1
    [url] = [target for target in loads.targets if target.startswith("file:")]
    assert url == (folder / 'Grüße "x".wav').as_uri()


def test_recordings_below_a_folder_with_an_exclamation_mark_can_be_played(
    pair: PairMaker, tmp_path: Path
) -> None:
    file = tmp_path / "Wow!" / "radio" / "a.wav"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"RIFF")
    for archive, member in ((file.parent, "a.wav"), (tmp_path, "Wow!/radio/a.wav")):
        source = join_uri(f"file://{archive}", member)
        assert audio_url(pair(source=source)) == file.as_uri()


def test_recordings_without_errors_are_not_listed(pair: PairMaker) -> None:
    pairs = pa.Table.from_pylist(
        [pair(recording_id=f"r{i}", reference="a b", hypothesis="a b") for i in range(3)],
        schema=PAIRS,
    )
    page = html(pairs)
    assert "Recordings to listen to" not in page
    assert "Which language was detected" not in page


def test_long_recordings_are_cut_to_their_errors(pair: PairMaker) -> None:
    words = [f"{a}{b}{c}{d}" for a, b, c, d in itertools.product("klmnprstvw", repeat=4)]
    heard = [*words[:5_000], "oops", *words[5_001:]]
    pairs = pa.Table.from_pylist(
        [pair(reference=" ".join(words), hypothesis=" ".join(heard))], schema=PAIRS
    )
    page = html(pairs)
    assert "… 4988 …" in page
    assert "oops" in page
    assert len(page) < 100_000


def test_hours_count_a_recording_once(pair: PairMaker) -> None:
    rows = [
        pair(task=task, recording_id=f"r{i}", reference="a", hypothesis="b")
        | {"duration_s": 1800.0}
        for task in ("transcribe", "translate")
        for i in range(3)
    ]
    assert "<td>1.50</td>" in html(pa.Table.from_pylist(rows))


def test_published_figures_stand_beside_ones_own(pair: PairMaker) -> None:
    def pairs(dataset: str, model: str, split: str | None = "test") -> pa.Table:
        rows = [
            pair(dataset=dataset, model=model, language=language, reference=text, hypothesis=text)
            | {"split": split}
            for language, text in (("de", "Heute Nacht"), ("zh", "今天晚上"), ("tlh", "batlh"))
        ]
        return pa.Table.from_pylist(rows, schema=STATED)

    shown = html(pairs("FLEURS", "large-v3"))
    assert "language-breakdown.svg" in shown
    assert shown.count(">published<") == 1  # the legend of the chart
    table = markdown(pairs("fleurs test", "large-v3", None))
    [german] = [line for line in table.splitlines() if line.startswith("| German")]
    assert german.split("|")[4].strip() == "4.9"
    [klingon] = [line for line in table.splitlines() if line.startswith("| tlh")]
    assert klingon.split("|")[4].strip() == ""
    for other in (
        pairs("FLEURS", "tiny"),
        pairs("our radio", "large-v3"),
        pairs("FLEURS", "large-v3", "dev"),
        pairs("FLEURS", "large-v3", None),
    ):
        assert "language-breakdown" not in html(other) + markdown(other)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(
    ("width", "scheme", "paper"), [(1200, "light", (255, 255, 255)), (500, "dark", (20, 23, 27))]
)
def test_report_opens_in_a_browser(
    compared_page: str, width: int, scheme: str, paper: tuple[int, ...], tmp_path: Path
) -> None:
    from PIL import Image

    report = tmp_path / "report.html"
    report.write_text(compared_page, encoding="utf-8")
    picture = tmp_path / "picture.png"
    dom = _browse(
        f"--window-size={width},20000",
        f"--blink-settings=preferredColorScheme={('dark', 'light').index(scheme)}",
        f"--screenshot={picture}",
        "--dump-dom",
        report.as_uri(),
        profile=tmp_path / "profile",
    )
    with Image.open(picture) as image:
        shown = image.convert("RGB")
        assert shown.getpixel((2, 2)) == paper
        colours = shown.getcolors(maxcolors=1 << 24)
    # Text, rules and bars cover some of the page, and none of it the whole.
    assert 0.5 < max(count for count, _ in colours) / (shown.width * shown.height) < 0.99
    bars = {"dark": (70, 118, 184), "light": (59, 111, 182)}[scheme]
    assert sum(count for count, colour in colours if colour == bars) > 1_000
    loads = _Loads()
    loads.feed(dom)
    assert loads.tags.count("svg") == 4
    assert loads.tags.count("table") == 6
    assert loads.tags.count("article") > 10
    assert dom.count('<th scope="row">') > 14


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_page_is_not_wider_than_a_phone(page: str, tmp_path: Path) -> None:
    # The page reports its own width: only boxes that scroll may be wider than the screen.
    report = tmp_path / "report.html"
    probe = "<script>document.title = 'width ' + document.documentElement.scrollWidth</script>"
    framed = page.replace("</body>", f"{probe}</body>")
    report.write_text(
        f'<iframe width="390" height="800" srcdoc="{_attribute(framed)}"></iframe>'
        "<script>onload = () => { document.title = frames[0].document.title }</script>",
        encoding="utf-8",
    )
    dom = _browse("--dump-dom", report.as_uri(), profile=tmp_path / "profile")
    assert "<title>width 390</title>" in dom


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


def _browse(*arguments: str, profile: Path) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--hide-scrollbars"]
    result = subprocess.run(
        [*command, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout
