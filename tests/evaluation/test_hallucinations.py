"""Recordings in which nobody speaks: two figures, and none of those that need words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.__main__ import main
from evaluation.gate.findings import find
from evaluation.gate.rules import Override, Rules
from evaluation.gate.rules_file import read_gate
from evaluation.measure.comparison import compare
from evaluation.measure.hallucinations import hallucinated_words, texts_invented
from evaluation.measure.scoring import evaluate, score
from evaluation.report.html import render_html
from evaluation.report.left_out import left_out
from evaluation.report.markdown import render_markdown
from evaluation.report.no_speech import no_speech, no_speech_data
from evaluation.report.text import text_table
from tests.evaluation.conftest import PAIRS, PairMaker, by_metric, pa
from tests.evaluation.report.reports import FACTS

MINUTE = 60.0
SCHEMA = pa.schema([*PAIRS, pa.field("duration_s", pa.float64()), pa.field("kind", pa.string())])
INVENTED = ["", " ", "[Music]", "♪♪ ...", "you", "Thank you.", "thank you", "字幕", "สวัสดี 1"]
WORDS = [0, 0, 0, 0, 1, 2, 2, 2, 5]
KINDS = ["hum", "hum", "music", "hum", "hum", "noise", "music", "noise", "noise"]


def silent_pairs(pair: PairMaker, texts: list[str] = INVENTED, **changed: object) -> pa.Table:
    """A recording of a minute without speech for each text."""
    rows = [
        pair(
            language="zxx",
            recording_id=f"r{number:02}",
            hypothesis=text,
            detected_language="en",
            duration_s=MINUTE,
            kind=KINDS[number % len(KINDS)],
            **changed,
        )
        for number, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@given(st.text())
def test_a_text_has_words_exactly_if_a_letter_or_digit_is_outside_brackets(text: str) -> None:
    outside = re.sub(r"<[^>]*>|\[[^\]]*\]|\([^)]*\)", "", text)
    assert (hallucinated_words(text) > 0) == any(
        one.isalnum() for sign in outside for one in sign.lower()
    )


@given(st.lists(st.from_regex(r"[a-zà-öø-ÿа-я가-힣]{1,8}", fullmatch=True)))
def test_words_of_scripts_with_spaces_are_counted_by_spaces(words: list[str]) -> None:
    assert hallucinated_words(" ".join(words)) == len(words)


@given(st.text(st.sampled_from("字幕由志愿者提供ありがとうカタカナ")))
def test_each_letter_of_a_script_without_spaces_is_a_word(text: str) -> None:
    assert hallucinated_words(text) == len(text)


@pytest.mark.parametrize(("text", "words"), list(zip(INVENTED, WORDS, strict=True)))
def test_words_of_what_whisper_writes(text: str, words: int) -> None:
    assert hallucinated_words(text) == words


def test_the_two_figures_are_what_the_documentation_says(pair: PairMaker) -> None:
    found = by_metric(score(silent_pairs(pair)))
    assert set(found) == {"hallucination_rate", "hallucinated_words_per_hour"}
    rate, per_hour = found["hallucination_rate"], found["hallucinated_words_per_hour"]
    assert rate["value"] == pytest.approx(5 / 9)
    assert per_hour["value"] == pytest.approx(sum(WORDS) / (9 * MINUTE / 3600))
    assert (rate["headline"], per_hour["headline"]) == (True, False)
    for row in (rate, per_hour):
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert row["utterances"] == 9
    assert [text for text, _ in texts_invented(silent_pairs(pair).to_pylist(), 2)] == [
        "Thank you.",
        "you",
    ]


@pytest.mark.parametrize("detected", [None, "en", "zh"])
def test_the_detected_language_changes_nothing(pair: PairMaker, detected: str | None) -> None:
    plain, other = silent_pairs(pair), silent_pairs(pair)
    languages = pa.array([detected] * other.num_rows, pa.string())
    index = other.column_names.index("detected_language")
    other = other.set_column(index, "detected_language", languages)
    assert score(plain) == score(other)
    assert evaluate(other).confusion.num_rows == 0


def test_no_other_figure_changes(pair: PairMaker, sample_pairs: pa.Table) -> None:
    """Scores, averages, confusions and utterances of languages stay as they are."""
    alone = evaluate(sample_pairs, 3)
    both = evaluate(
        pa.concat_tables([sample_pairs, silent_pairs(pair)], promote_options="default"), 3
    )
    for name in ("scores", "utterances"):
        rows = [row for row in getattr(both, name).to_pylist() if row["language"] != "zxx"]
        assert rows == getattr(alone, name).to_pylist()
    assert both.averages == alone.averages
    assert both.confusion == alone.confusion
    assert both.not_scored == []


def test_recordings_of_unknown_length_have_a_rate_alone(pair: PairMaker) -> None:
    plain = silent_pairs(pair).drop_columns(["duration_s", "kind"])
    assert set(by_metric(score(plain))) == {"hallucination_rate"}
    assert "58" not in text_table(score(plain))


@pytest.mark.parametrize("more", [4, 8, 12])
def test_the_gate_sees_that_more_is_invented(pair: PairMaker, more: int) -> None:
    quiet = silent_pairs(pair, [""] * 12)
    loud = silent_pairs(pair, ["thank you"] * more + [""] * (12 - more))
    compared = {row["metric"]: row for row in compare(quiet, loud).to_pylist()}
    assert compared["hallucination_rate"]["difference"] == pytest.approx(more / 12)
    per_hour = compared["hallucinated_words_per_hour"]["difference"]
    assert per_hour == pytest.approx(2 * more / (12 * MINUTE / 3600))
    assert not any(row["better"] for row in compared.values())
    found = find(score(loud), quiet, loud, Rules())
    assert bool(found.worse) == (more > 4)  # four recordings may change by chance
    assert all("Hallucinated" in text for text in found.worse)
    assert not find(score(quiet), loud, quiet, Rules()).worse
    assert not find(score(loud), loud, loud, Rules()).worse


def test_a_baseline_that_knows_no_lengths_is_compared(pair: PairMaker) -> None:
    before = silent_pairs(pair).drop_columns(["duration_s", "kind"])
    rows = compare(before, silent_pairs(pair)).to_pylist()
    assert [(row["metric"], row["difference"]) for row in rows] == [
        ("hallucination_rate", 0),
        ("hallucinated_words_per_hour", 0),
    ]


@pytest.mark.parametrize(
    ("limit", "is_beyond"),
    [
        ("max_hallucination_rate = 50", True),
        ("max_hallucination_rate = 56", False),
        ("max_hallucinated_words_per_hour = 79", True),
        ("max_hallucinated_words_per_hour = 80", False),
    ],
)
@pytest.mark.parametrize("where", ["", '[[override]]\ndataset = "test"\nlanguage = "ZXX"\n'])
def test_limits_close_the_gate(
    pair: PairMaker, limit: str, is_beyond: bool, where: str, tmp_path: Path
) -> None:
    """5 of 9 recordings have text, with 12 words in 9 minutes: 80 an hour."""
    (tmp_path / "gate.toml").write_text(where + limit)
    found = find(
        score(silent_pairs(pair)),
        PAIRS.empty_table(),
        silent_pairs(pair),
        read_gate(tmp_path / "gate.toml"),
    )
    assert len(found.limits) == 1
    assert bool(found.worse) == is_beyond


def test_a_limit_of_another_data_set_says_nothing(pair: PairMaker) -> None:
    rules = Rules(overrides=[Override(dataset="other", limits={"hallucination_rate": 0})])
    found = find(score(silent_pairs(pair)), PAIRS.empty_table(), silent_pairs(pair), rules)
    assert not found.limits


def test_reports_have_a_section_with_kinds_and_texts(
    pair: PairMaker, sample_pairs: pa.Table
) -> None:
    pairs = pa.concat_tables([sample_pairs, silent_pairs(pair)], promote_options="default")
    evaluation = evaluate(pairs, 3)
    [section] = no_speech_data(no_speech(evaluation))
    assert [(row["kind"], row["with_text"], row["words"]) for row in section["rows"]] == [
        ("all", "5", "12"),
        ("hum", "1", "1"),
        ("music", "1", "2"),
        ("noise", "3", "9"),
    ]
    assert section["texts"][0] == {"text": "Thank you.", "recordings": 2}
    html, markdown = render_html(evaluation, FACTS), render_markdown(evaluation, FACTS)
    for text in ("recordings without speech", "Thank you.", "music", "สวัสดี 1", "80.0"):
        assert text in html
        assert text in markdown
    assert "5 invented words" in html
    table = text_table(evaluation.scores, evaluation.averages)
    assert table.count("recordings without speech") == 1
    assert "zxx" not in table


def test_a_data_set_of_such_recordings_alone_has_a_report(pair: PairMaker) -> None:
    evaluation = evaluate(silent_pairs(pair), 3)
    html = render_html(evaluation, FACTS)
    assert "there is nothing to score yet" not in html
    assert "recordings without speech" in html


def test_what_is_invented_cannot_add_markup(pair: PairMaker) -> None:
    evaluation = evaluate(silent_pairs(pair, ["thanks <script>alert(1)</script>"] * 3), 3)
    assert "<script>alert" not in render_html(evaluation, FACTS)
    assert "<script>alert" not in render_markdown(evaluation, FACTS)


def test_recordings_without_a_transcript_are_named(pair: PairMaker) -> None:
    evaluation = evaluate(silent_pairs(pair), 0, {("test", "zxx", "transcribe"): 12})
    [text] = left_out(evaluation)
    assert text.startswith("No speech (zxx) of test, transcribe: 3 of 12 references")


class TestTwoFiles:
    """`python -m evaluation` on recordings with and without speech."""

    def run(self, folder: Path, references: list[str], *more: str) -> int:
        (folder / "refs.csv").write_text("\n".join(references) + "\n", encoding="utf-8")
        rows = [f"s{number},{text},en" for number, text in enumerate(INVENTED)]
        rows += ["e1,it rains tonight,en"]
        (folder / "hyps.csv").write_text(
            "\n".join(["id,text,language", *rows]) + "\n", encoding="utf-8"
        )
        files = ("--references", str(folder / "refs.csv"), "--hypotheses", str(folder / "hyps.csv"))
        return main([*files, *more])

    def references(self, language: str = "zxx", text: str = "") -> list[str]:
        rows = [f"s{n},{language},{text},60,{kind}" for n, kind in enumerate(KINDS)]
        return ["id,language,text,duration_s,kind", *rows, "e1,en,it rains tonight,,"]

    @pytest.mark.parametrize("language", ["zxx", "ZXX", " zxx "])
    def test_they_are_scored_apart(
        self, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        assert self.run(tmp_path, self.references(language), "--out", str(out), "--strict") == 0
        data = json.loads((out / "scores.json").read_text())
        found = {(row["language"], row["metric"]): row["value"] for row in data["scores"]}
        assert found["zxx", "hallucination_rate"] == pytest.approx(5 / 9)
        assert found["zxx", "hallucinated_words_per_hour"] == pytest.approx(80)
        assert found["en", "wer"] == 0
        assert {metric for language, metric in found if language == "zxx"} == {
            "hallucination_rate",
            "hallucinated_words_per_hour",
        }
        assert data["confusion"] == [
            {
                **dict.fromkeys(("dataset",), data["scores"][0]["dataset"]),
                "model_id": data["scores"][0]["model_id"],
                "options_key": "",
                "language": "en",
                "detected_language": "en",
                "utterances": 1,
            }
        ]
        assert [row["kind"] for row in data["no_speech"][0]["rows"]] == [
            "all",
            "hum",
            "music",
            "noise",
        ]
        assert "recordings without speech" in capsys.readouterr().out
        assert "0.00" not in (out / "report.md").read_text(), "no length of speech is known"

    @pytest.mark.parametrize("column", ["text", "translation", "both"])
    def test_a_text_is_refused(
        self, column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cells = {"text": "hello,", "translation": ",hello", "both": "hello,hello"}[column]
        assert self.run(tmp_path, ["id,language,text,translation", f"s1,zxx,{cells}"]) == 2
        error = capsys.readouterr().err
        assert "refs.csv, line 2: the language is zxx, which says that nobody speaks" in error

    @pytest.mark.parametrize("length", ["-1", "0", "long", "nan", "inf"])
    def test_a_length_that_is_none_is_refused(
        self, length: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(tmp_path, ["id,language,text,duration_s", f"s1,zxx,,{length}"]) == 2
        assert f"`duration_s` is '{length}'" in capsys.readouterr().err
