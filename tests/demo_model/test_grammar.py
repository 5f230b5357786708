"""The small world: parallel, unambiguous, and split so that training never hears a test."""

from __future__ import annotations

import zlib
from collections import defaultdict
from itertools import islice

import pytest

from evaluation.measure.normalize import normalize
from tools.demo_model.grammar import TEMPLATES, Sentence, is_held_out, sentences, vocabulary
from tools.demo_model.labels import Labeller
from tools.demo_model.lexicon import LANGUAGES


@pytest.fixture(scope="module")
def spoken() -> list[Sentence]:
    return list(islice(sentences(held_out=False, seed=5), 6000))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_has_one_translation(spoken: list[Sentence], language: str) -> None:
    """Otherwise no model could reach the reference, and BLEU would measure the grammar."""
    english = defaultdict(set)
    for sentence in spoken:
        english[normalize(sentence[language], language)].add(sentence["en"])
    assert [texts for texts in english.values() if len(texts) > 1] == []


def test_the_two_sides_of_the_split_share_no_sentence() -> None:
    sides = [
        {sentence["en"] for sentence in islice(sentences(held_out=held_out, seed=5), 4000)}
        for held_out in (True, False)
    ]
    assert sides[0].isdisjoint(sides[1])
    assert min(len(side) for side in sides) > 300


def test_all_templates_are_on_both_sides() -> None:
    """Each kind of sentence is learnt, and each is measured."""
    for held_out in (True, False):
        first_words = {
            s["de"].split()[0] for s in islice(sentences(held_out=held_out, seed=6), 3000)
        }
        assert {"Wo", "Es", "Ich", "Der", "Das", "Heute"} <= first_words
    assert len(TEMPLATES) == 12


def test_the_split_depends_on_the_sentence_alone(spoken: list[Sentence]) -> None:
    assert not any(is_held_out({"en": sentence["en"]}) for sentence in spoken)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_look_written(spoken: list[Sentence], language: str) -> None:
    ends = {"zh": ("。", "？")}.get(language, (".", "?"))
    for sentence in spoken[:500]:
        text = sentence[language]
        assert text.endswith(ends)
        assert "  " not in text
        assert text.lstrip("¿")[0].isupper() or language == "zh"
        assert (" " in text) != (language == "zh")


def test_agreement_in_gender_and_case() -> None:
    found = " ".join(
        text for s in islice(sentences(held_out=False, seed=9), 4000) for text in s.values()
    )
    for right in ("ein rotes Boot", "einen roten Tisch", "eine rote Lampe", "das alte Fenster"):
        assert right in found
    for right in ("una lámpara roja", "un barco rojo", "une vieille lampe", "un vieux vélo"):
        assert right in found
    for right in ("красную лампу", "красное окно", "красный стол", "一条红色的船", "一盏新灯"):
        assert right in found
    for wrong in ("eine rotes", "un lámpara", "une vieux", "красный лампу", "a old"):
        assert wrong not in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_vocabularies_are_small(language: str) -> None:
    assert 100 < len(vocabulary(language)) < 180


@pytest.mark.parametrize("language", LANGUAGES)
def test_windows_full_of_sentences_pass_whispers_own_thresholds(
    spoken: list[Sentence], language: str
) -> None:
    """True text must not look like a loop to it: 2.4 times compressed, or over 224 tokens."""
    labeller = Labeller()
    loops = 0
    for start in range(0, 4000, 8):
        texts = [sentence[language] for sentence in spoken[start : start + 8]]
        encoded = " ".join(texts).encode()
        loops += len(encoded) / len(zlib.compress(encoded)) > 2.4
        tokens = sum(len(labeller.pieces(text, language)[0]) + 2 for text in texts)
        assert tokens < 224
    assert loops < 5  # of 500: Cyrillic letters take two bytes, of which one says little
