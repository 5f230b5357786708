"""Words, phrases and prefixes are found in every script, however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightscribe.errors import ConfigurationError
from nightscribe.lake.opening import open_lake
from nightscribe.search.building import build
from nightscribe.search.marks import marked
from nightscribe.search.queries import LONGEST, parts_of
from nightscribe.search.reading import SearchIndex
from nightscribe.search.words import index_text, words_of
from tests.search.said import say

TEXTS = {
    "farm": " The farmer's old farm, near Straße 3.5.",
    "accents": " Herr Müller fährt zur Żółw-Straße; c'est l'été.",
    "decomposed": " Cafe\u0301 in Zu\u0308rich",
    "russian": " Маленькая Ёлка стоит у моей реки.",
    "chinese": " 我们今天去北京参观故宫博物院。",
    "japanese": " 東京タワーへ行きました。ﾃﾞｰﾀ",
    "thai": " ประเทศไทยมีอากาศร้อน",
    "hindi": " मैं हिन्दी बोलता हूँ",
    "arabic": " أَهْلاً وسهلاً بكم",
    "hebrew": " שָׁלוֹם לכולם",
    "korean": " 한국어를 배워요",
    "turkish": " İzmir'de ışık",
    "greek": " Ο Οδυσσεύς είδε το φως",
    "hostile": ' AND OR NOT <script>alert(1)</script> "quoted" *',
    "empty": "",
    "mixed": " 我的iPhone手机 ½",
}

FOUND = {
    "farm": {"farm"},
    "FARM old": {"farm"},
    "farm*": {"farm"},
    '"old farm"': {"farm"},
    '"farm old"': set(),
    '"old fa*"': {"farm"},
    '"old fa"*': {"farm"},
    "old missing": set(),
    "farmer's": {"farm"},
    "farmer’s": {"farm"},
    "strasse": {"farm", "accents"},
    "straß*": {"farm", "accents"},
    "3.5": {"farm"},
    "5.3": set(),
    "muller": {"accents"},
    "Müller": {"accents"},
    "MU\u0308LLER": {"accents"},
    "zolw": {"accents"},
    "l'ete": {"accents"},
    "café zurich": {"decomposed"},
    "елка": {"russian"},
    "Ёлка": {"russian"},
    "маленьк*": {"russian"},
    '"моеи реки"': {"russian"},
    "北京": {"chinese"},
    "京": {"chinese", "japanese"},
    "故宫博物院": {"chinese"},
    "博物馆": set(),
    "京北": set(),
    '"去北京"': {"chinese"},
    "北京*": {"chinese"},
    "東京タワー": {"japanese"},
    "データ": {"japanese"},
    "ประเทศ": {"thai"},
    "ไทย ร้อน": {"thai"},
    "ไทยแลนด์": set(),
    "हिन्दी": {"hindi"},
    "हिन्दा": set(),
    "اهلا": {"arabic"},
    "שלום": {"hebrew"},
    "한국어*": {"korean"},
    "izmir": {"turkish"},
    "isik": {"turkish"},
    "οδυσσευσ": {"greek"},
    "and or not": {"hostile"},
    "AND OR NOT": {"hostile"},
    "<script>": {"hostile"},
    '"script alert 1"': {"hostile"},
    "iphone手机": {"mixed"},
    "text:farm": set(),
    "farm\0old": set(),  # one after the other
    '"farm': {"farm"},
    '"': set(),
    "*": set(),
    "* \" ' ( ) [ ] \\ ^ ~ : + -": set(),
    "\ud800": set(),
    "": set(),
}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    """An index of all texts, each of a recording with its name."""
    folder = tmp_path_factory.mktemp("spoken")
    lake = open_lake(str(folder / "lake"))
    for name, text in TEXTS.items():
        say(lake, name, text)
    build(lake, folder / "index")
    return SearchIndex(lambda: folder / "index")


@pytest.mark.parametrize("query", FOUND)
def test_a_query_finds_what_it_says(spoken: SearchIndex, query: str) -> None:
    found = spoken.search(query)
    assert {hit.recording_id for hit in found.hits} == FOUND[query]
    assert found.count == len(FOUND[query])
    for hit in found.hits:
        assert any(is_found for _, is_found in marked(hit.text, found.parts))


def test_any_part_of_any_text_is_found(spoken: SearchIndex) -> None:
    for name, text in TEXTS.items():
        words = [text[word.start : word.end] for word in words_of(text)]
        for word in words:
            assert name in {hit.recording_id for hit in spoken.search(word).hits}, (name, word)


def test_a_long_query_is_refused_in_words(spoken: SearchIndex) -> None:
    with pytest.raises(ConfigurationError, match="10,000 characters: at most 400"):
        spoken.search("a" * 10_000)
    spoken.search("a " * (LONGEST // 2))
    spoken.search('"' + "a " * 190 + 'b*"')
    spoken.search("東" * LONGEST)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60))
def test_any_text_is_indexed_as_it_is_searched(text: str) -> None:
    words = list(words_of(text))
    assert index_text(text).split(" ") == ([word.text for word in words] or [""])
    for word in words:
        assert 0 <= word.start < word.end <= len(text)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60), st.text(max_size=20))
def test_marks_keep_the_text(text: str, query: str) -> None:
    assert "".join(piece for piece, _ in marked(text, parts_of(query))) == text


@settings(deadline=None, max_examples=100)
@given(query=st.text(max_size=40) | st.text('ab"* 東京', max_size=40))
def test_nothing_that_is_typed_is_an_error(spoken: SearchIndex, query: str) -> None:
    spoken.search(query)


def test_hits_have_the_lines_around_them(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    say(lake, "one", " a", " b", " c")
    say(lake, "two", " b")
    build(lake, tmp_path / "index")
    hits = SearchIndex(lambda: tmp_path / "index").search("b").hits
    assert {(h.recording_id, h.before, h.text, h.after, h.start_s, h.index) for h in hits} == {
        ("one", " a", " b", " c", 4.0, 1),
        ("two", "", " b", "", 0.0, 0),
    }
