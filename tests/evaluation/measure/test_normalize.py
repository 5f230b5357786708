"""The normalizers are Whisper's own, chosen by language."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from evaluation.measure.normalize import LEADERBOARD, is_unspaced, normalize, normalizer_named
from evaluation.measure.scoring import score
from tests.evaluation.conftest import by_metric, make_pair, table


def test_each_language_gets_the_normalizer_of_the_paper(
    samples: dict[str, tuple[tuple[str, str], ...]],
) -> None:
    english, basic = EnglishTextNormalizer(), BasicTextNormalizer()
    letters = BasicTextNormalizer(split_letters=True)
    expected = {"en": english, "zh": letters, "ja": letters, "th": letters, "my": letters}
    for language, texts in samples.items():
        for text in (text for pair in texts for text in pair):
            assert normalize(text, language) == expected.get(language, basic)(text).strip()


@pytest.mark.parametrize("language", ["zh", "ja", "th", "lo", "my", "yue", "zh-TW", "Burmese"])
def test_unspaced_languages_are_compared_letter_by_letter(language: str) -> None:
    assert is_unspaced(language)
    assert normalize("今天 晚上。", language) == "今 天 晚 上"


def test_serbian_is_the_same_in_both_scripts() -> None:
    latin = "Ljubičaste Džez čašice, njen đak šalje žuti ćilim u Homolje!"
    cyrillic = "Љубичасте Џез чашице, њен ђак шаље жути ћилим у Хомоље!"
    assert normalize(latin, "sr") == normalize(cyrillic, "sr_rs")
    assert normalize(cyrillic, "Serbian") == "љубичасте џез чашице њен ђак шаље жути ћилим у хомоље"
    assert normalize("Škola", "hr") == "škola"


def test_korean_is_written_with_spaces() -> None:
    assert not is_unspaced("ko")
    assert normalize("오늘 밤에는", "ko") == "오늘 밤에는"


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("圖書館在哪裡", "图书馆在哪里", "zh"),
        ("頭髮的發展", "头发的发展", "zh-TW"),
        ("佢哋喺圖書館", "佢哋喺图书馆", "yue"),
        ("ＡＢＣ１２３", "abc123", "ja"),
        ("ﾗｼﾞｵ", "ラジオ", "ja"),
        ("今日は　いい　天気", "今日はいい天気", "ja"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국", "ko"),
    ],
)
def test_scripts_and_widths_are_one(one: str, other: str, language: str) -> None:
    assert normalize(one, language) == normalize(other, language)


def test_spaces_of_korean_count_as_words_and_not_as_letters() -> None:
    pairs = [make_pair(language="ko", reference="오늘 밤에는 비가", hypothesis="오늘밤에는 비가")]
    rates = by_metric(score(table(*pairs)))
    assert rates["wer"]["value"] > 0
    assert rates["cer"]["value"] == 0
    assert rates["cer"]["signature"].startswith("unit:letter|normalizer:whisper-basic|")


def test_a_script_is_no_error_and_its_conversion_is_in_the_signature() -> None:
    rates = by_metric(
        score(table(make_pair(language="zh", reference="圖書館在哪裡", hypothesis="图书馆在哪里")))
    )
    assert (rates["cer"]["value"], rates["cer_nfc"]["value"]) == (0, 0)
    assert rates["cer_whisper"]["value"] == pytest.approx(4 / 6)
    for metric in ("cer", "wer", "cer_nfc"):
        assert f"|script:simplified|opencc:{version('opencc')}|" in rates[metric]["signature"]
    assert "opencc" not in rates["cer_whisper"]["signature"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The B B C has 5 G, all right?", "the bbc has 5g alright"),
        ("John's hat; it's here. Uhuh, OK!", "john s hat it is here okay"),
        ("an e-mail about Wi-Fi at ten a.m.", "an email about wifi at 10 am"),
        ("a big cancelled flyer, archaeology", "a big canceled flier archeology"),
        ("Hmm, twenty-one dollars (laughs)", "$21"),
    ],
)
def test_the_leaderboards_normalizer(text: str, expected: str) -> None:
    assert normalizer_named(LEADERBOARD, "en")(text) == expected
