"""The normalizers are Whisper's own, chosen by language."""

from __future__ import annotations

import pytest
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from evaluation.measure.normalize import is_unspaced, normalize


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
