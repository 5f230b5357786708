"""Languages are known by many spellings; unknown ones keep what was given."""

from __future__ import annotations

import pytest

from evaluation.languages import language_code, language_label, language_name


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
    assert language_code("TLH-Latn") == "tlh"
    assert language_label("pt_BR") == "Portuguese (pt_BR)"
