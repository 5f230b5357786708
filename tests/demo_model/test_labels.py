"""The answers that are taught: what `whisper.transcribe` makes of them is what was said."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.demo_model.corpus import Utterance
from tools.demo_model.grammar import sentences
from tools.demo_model.labels import MAX_PROMPT, Labeller
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.voices import Voice
from tools.demo_model.windows import POSITION, Placed, Window

VOICE = Voice("none", 150, 50, 50)
LABELLER = Labeller()


def utterance(language: str, seconds: float, seed: int) -> Utterance:
    """A sentence whose words take equally long."""
    sentence = next(sentences(held_out=False, seed=seed))
    text = sentence[language]
    starts = (
        list(range(len(text)))
        if language == "zh"
        else [0, *(i + 1 for i, c in enumerate(text) if c == " ")]
    )
    count = int(seconds * 16_000)
    words = [(count * n // len(starts), start, 1) for n, start in enumerate(starts)]
    return Utterance(language, sentence, VOICE, np.zeros(count, np.int16), [], words)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Windows of 30 s: utterances with pauses, perhaps one cut, perhaps ended, perhaps none."""
    language = draw(st.sampled_from(LANGUAGES))
    window = Window(language, 0, 1500)
    clock = draw(st.floats(0, 3))
    for _ in range(draw(st.integers(0, 9))):
        seconds = draw(st.floats(1, 4))
        if not window.placed:
            clock = min(clock, 29 - seconds)
        one = utterance(language, seconds, draw(st.integers(0, 50)))
        window.placed.append(Placed(one, 0, int(clock * 16_000)))
        clock += seconds + draw(st.floats(0.1, 2))
        if clock >= 30:
            break
    window.ended = all(one.end <= 480_000 for one in window.placed) and draw(st.booleans())
    return window


def test_a_long_answer_takes_the_room_of_its_prompt() -> None:
    window = Window("zh", 0, 1500)
    for number in range(26):
        one = utterance("zh", 1.1, seed=number)
        window.placed.append(Placed(one, 0, int(number * 1.15 * 16_000)))
    prompt = LABELLER.prompt("zh", MAX_PROMPT, random.Random(1), timed=True)
    alone = LABELLER.row(window, "transcribe", [], timed=True)
    assert len(alone.tokens) + 1 + len(prompt) > 449  # or this tests nothing
    row = LABELLER.row(window, "transcribe", prompt, timed=True)
    assert len(row.tokens) == len(row.spans) == 449
    assert row.tokens[row.answer :] == alone.tokens
    assert row.tokens[1 : row.answer] == prompt[-(row.answer - 1) :]


@settings(deadline=None)
@given(windows(), st.sampled_from(["transcribe", "translate"]))
def test_reading_on_from_the_answer_loses_and_doubles_nothing(window: Window, task: str) -> None:
    """The rule by which the reference moves on, applied to the label, finds what is whole."""
    special = LABELLER.tokenizer
    row = LABELLER.row(window, task, [], timed=True)
    body = row.tokens[row.answer + 3 : -1]
    stamps = [token - special.timestamp_begin for token in body]
    is_stamp = [stamp >= 0 for stamp in stamps]
    said = [stamp / 50 for stamp in stamps if stamp >= 0]
    assert said == sorted(said)
    assert said[0] <= 1.0
    if not window.placed:
        assert said == [0.0]
        return
    texts = special.decode([token for token in body if token < special.eot]).split()
    wanted = [
        one.utterance.translation if task == "translate" else one.utterance.text
        for one in window.complete
    ]
    joint = "" if window.language == "zh" and task == "transcribe" else " "
    assert texts == joint.join(wanted).split()
    pairs = [i for i in range(1, len(body)) if is_stamp[i - 1] and is_stamp[i]]
    if is_stamp[-1] and not is_stamp[-2]:  # the reference takes the window as heard to its end
        assert window.ended
    else:
        assert not window.ended
        onward = stamps[pairs[-1] - 1]
        last = window.complete[-1]
        assert onward == min(1500, round(last.end / POSITION))
        following = [one for one in window.placed if one.end > 480_000]
        assert all(one.start >= onward * POSITION - POSITION for one in following)


@settings(deadline=None)
@given(windows(), st.booleans())
def test_what_is_heard_lies_where_it_is_said(window: Window, timed: bool) -> None:
    row = LABELLER.row(window, "transcribe", [1, 2, 3], timed=timed)
    assert len(row.spans) == len(row.tokens)
    assert row.tokens[row.answer] == LABELLER.tokenizer.sot
    for token, (first, last) in zip(row.tokens, row.spans, strict=True):
        if (first, last) != (-1, -1):
            assert 0 <= first < last <= window.positions
            spoken = [
                one
                for one in window.placed
                if one.start // POSITION - 5 <= first and last <= one.end // POSITION + 7
            ]
            assert spoken or window.cut or token >= LABELLER.tokenizer.timestamp_begin


def test_a_cut_sentence_without_timestamps_keeps_its_whole_words() -> None:
    one = utterance("en", 4.0, 3)
    window = Window("en", 0, 1500, [Placed(one, 0, 28 * 16_000)])
    row = LABELLER.row(window, "transcribe", [], timed=False)
    text = LABELLER.tokenizer.decode([t for t in row.tokens if t < LABELLER.tokenizer.eot])
    words = one.text.split()
    assert text.split() == words[: len(text.split())]
    assert len(text.split()) == len(words) // 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_are_as_long_as_asked(language: str) -> None:
    for limit in (1, 17, MAX_PROMPT):
        for timed in (True, False):
            prompt = LABELLER.prompt(language, limit, random.Random(limit), timed=timed)
            assert len(prompt) == limit
            assert timed or max(prompt) < LABELLER.tokenizer.eot


def test_every_token_of_a_row_is_among_the_used() -> None:
    used = set(LABELLER.used_tokens())
    for sentence in islice(sentences(held_out=True, seed=4), 2000):
        for language in LANGUAGES:
            assert used.issuperset(LABELLER.pieces(sentence[language], language)[0])
    # The reference never says these, so no sentence may need them.
    assert used.isdisjoint(LABELLER.tokenizer.non_speech_tokens)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_token_is_known_by_its_character(language: str) -> None:
    for sentence in islice(sentences(held_out=False, seed=8), 50):
        text = sentence[language]
        tokens, starts = LABELLER.pieces(text, language)
        assert list(starts) == sorted(starts)
        for token, start in zip(tokens, starts, strict=True):
            piece = LABELLER.tokenizer.decode([token]).strip()
            if "\ufffd" not in piece:
                assert text[start:].lstrip().startswith(piece)
