"""The normalizers are Whisper's own, and importing the package costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from evaluation.normalize import is_unspaced, language_code, language_name, normalize


def test_package_imports_neither_torch_nor_airflow_nor_the_lake(repository: Path) -> None:
    script = (
        "import sys, evaluation, evaluation.scoring, evaluation.metrics, evaluation.summary, "
        "evaluation.report, evaluation.files, evaluation.__main__\n"
        "heavy = {'torch', 'whisper', 'airflow', 'nightscribe', 'deltalake', 'duckdb'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": f"{repository}:{repository / 'plugins'}"},
    )
    assert result.stdout.strip() == "[]"


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
    ("given", "code"),
    [
        ("en", "en"),
        ("EN-us", "en"),
        ("English", "en"),
        ("cmn_hans_cn", "zh"),
        ("yue_hant_hk", "yue"),
        ("nb_no", "no"),
        ("in_id", "id"),
        ("jv", "jw"),
        ("lao", "lo"),
        ("haw", "haw"),
        ("Haitian Creole", "ht"),
        ("kmr", "kmr"),
    ],
)
def test_languages_are_known_by_code_locale_and_name(given: str, code: str) -> None:
    assert language_code(given) == code


def test_unknown_languages_keep_their_name() -> None:
    assert language_name("de-AT") == "German"
    assert language_name("tlh") == "tlh"
