"""A language may be written in many ways, and means one thing everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.languages import (
    LANGUAGES,
    NO_SPEECH,
    OTHER_CODES,
    Language,
    language_code,
    nearest_language,
    parse_language,
    stated_language,
)

FLEURS = {
    "af_za": "af", "cmn_hans_cn": "zh", "en_us": "en", "es_419": "es", "fil_ph": "tl",
    "he_il": "he", "jv_id": "jw", "nb_no": "no", "pt_br": "pt", "yue_hant_hk": "yue",
}  # fmt: skip
COMMON_VOICE = {
    "hy-AM": "hy", "ne-NP": "ne", "nn-NO": "nn", "pa-IN": "pa", "sv-SE": "sv", "yue": "yue",
    "zh-CN": "zh", "zh-HK": "zh", "zh-TW": "zh",
}  # fmt: skip


def test_every_language_has_a_code_of_three_letters() -> None:
    of_three = {code for other, code in OTHER_CODES.items() if len(other) == 3} | {"haw", "yue"}
    assert of_three == set(LANGUAGES)


@pytest.mark.parametrize(
    ("code", "spellings"),
    [
        (
            "en",
            ["en", "eng", "English", " en ", "en-US", "en_GB", "ＥＮ", "\ufeffen", "en-USA"],
        ),
        ("de", ["de", "deu", "ger", "German", "german ", "de-AT", "de_DE.UTF-8", "de-DE-1996"]),
        ("ja", ["ja", "jpn", "JPN", "Japanese", "ja_JP", "ja-Jpan-JP", "jpn_JP"]),
        ("zh", ["zh", "zho", "chi", "cmn", "Mandarin", "zh-Hans", "zh_Hant_TW", "zh-cmn-Hans-CN"]),
        ("yue", ["yue", "Cantonese", "yue-HK", "zh-yue", "zh-yue-HK"]),
        ("he", ["he", "heb", "iw", "iw_IL", "Hebrew"]),
        ("id", ["id", "ind", "in", "in_ID", "Indonesian"]),
        ("yi", ["yi", "yid", "ji", "Yiddish"]),
        ("jw", ["jw", "jv", "jav", "jv_ID", "Javanese"]),
        ("no", ["no", "nor", "nb", "nob", "nb-NO", "Norwegian", "Bokmål", "Bokma\u030al"]),
        ("nn", ["nn", "nno", "nn-NO", "Nynorsk", "Norwegian Nynorsk"]),
        ("ro", ["ro", "ron", "rum", "mo", "mol", "Moldovan"]),
        ("fa", ["fa", "fas", "per", "pes", "Farsi", "fa-IR"]),
        ("my", ["my", "mya", "bur", "Burmese", "Myanmar"]),
        ("ht", ["ht", "hat", "haitian  creole", "Haitian\u00a0Creole"]),
    ],
)
def test_all_spellings_of_a_language_are_one(code: str, spellings: list[str]) -> None:
    assert {spelling: language_code(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, code
    )


@pytest.mark.parametrize(("name", "code"), [*FLEURS.items(), *COMMON_VOICE.items()])
def test_names_of_data_sets_are_known(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    ("text", "variety"),
    [
        *(("zh-CN", "zh-CN"), ("cmn_hans_cn", "zh-CN"), ("zh_Hans_CN", "zh-CN")),
        *(("zh-TW", "zh-TW"), ("zh-hant-tw", "zh-TW"), ("Mandarin (TW)", "zh-TW")),
        *(("zh-HK", "zh-HK"), ("zh_hk", "zh-HK"), ("yue_hant_hk", "yue-HK")),
        *(("pt_br", "pt-BR"), ("pt-PT", "pt-PT"), ("Brazilian Portuguese", "pt-BR")),
        *(("en-GB", "en-GB"), ("en-UK", "en-GB"), ("English (US)", "en-US"), ("eng-US", "en-US")),
        *(("es_419", "es-419"), ("iw-IL", "he-IL"), ("jv-ID", "jv-ID"), ("sr-Latn-RS", "sr-RS")),
        *(("zh-Hant", "zh-Hant"), ("zh-CHS", "zh-Hans"), ("Simplified Chinese", "zh-Hans")),
        *(("zh", None), ("Chinese", None), ("cmn", None), ("pt", None), ("sr-Latn", None)),
    ],
)
def test_a_region_is_kept_beside_the_language(text: str, variety: str | None) -> None:
    language = parse_language(text)
    assert language is not None
    assert language.variety == variety


@given(st.sampled_from(sorted(LANGUAGES)), st.sampled_from(["", "-TW", "_br", "-419", "-Latn"]))
def test_a_tag_means_what_was_read(code: str, rest: str) -> None:
    language = parse_language(code + rest)
    assert language is not None
    assert parse_language(language.tag) == language
    assert language.code == code


@pytest.mark.parametrize(
    "text", ["xx", "klingon", "kmr", "zh-nan", "en-foo!", "english-ish", "", "und", "e", "en US"]
)
def test_other_texts_are_no_language(text: str) -> None:
    assert parse_language(text) is None


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        *(
            ("Germn", "German (de)"),
            ("jpm", "Japanese (ja)"),
            ("Portugese (BR)", "Portuguese (pt)"),
        ),
        *(("englsh-US", "English (en)"), ("Chinesse", "Chinese (zh)"), ("zh-nan", "Chinese (zh)")),
    ],
)
def test_the_nearest_language_is_named(text: str, nearest: str) -> None:
    assert nearest_language(text) == f"the nearest that Whisper knows is {nearest}"


def test_without_a_near_language_an_example_is_given() -> None:
    assert "such as en" in nearest_language("xx")


def test_a_language_without_a_region_is_its_own_tag() -> None:
    assert Language("de").tag == "de"


@pytest.mark.parametrize("text", ["zxx", "ZXX", " zxx ", "\ufeffzxx", "ｚｘｘ"])
def test_nobody_speaks_can_be_stated_and_is_no_language_of_whisper(text: str) -> None:
    assert stated_language(text) == Language(NO_SPEECH)
    assert parse_language(text) is None
    assert "nobody speaks" in nearest_language(text)


@pytest.mark.parametrize("text", ["zx", "zxx-Latn", "no speech", "und", "mul", ""])
def test_nothing_else_says_that_nobody_speaks(text: str) -> None:
    assert stated_language(text) is None


@given(st.text())
def test_whatever_else_is_stated_is_read_as_a_language(text: str) -> None:
    assert stated_language(text) in (parse_language(text), Language(NO_SPEECH))
    assert NO_SPEECH not in LANGUAGES
