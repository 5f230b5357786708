"""Each error of a transcript has the second at which to listen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from evaluation.measure.counts import errors, word_counts
from evaluation.measure.located import LocatedError, located_errors
from evaluation.measure.normalize import normalize
from evaluation.pairs.timed import Piece
from tests.evaluation.texts import TEXT_PAIRS


def words(text: str, start_s: float = 0.0) -> list[Piece]:
    """A word every second, each of 0.4 s."""
    return [
        Piece(f" {word}", start_s + second, start_s + second + 0.4)
        for second, word in enumerate(text.split())
    ]


def found(
    reference: str, pieces: list[Piece], language: str = "de", duration_s: float = 99
) -> list[tuple[str, str, str, float]]:
    hypothesis = "".join(piece.text for piece in pieces).strip()
    return [
        (error.kind, error.reference, error.hypothesis, error.start_s)
        for error in located_errors(reference, hypothesis, language, pieces, duration_s)
    ]


def test_errors_start_with_their_words() -> None:
    pieces = words("Heute Nacht fährt der lange Zug nach Linz")
    assert found("Heute fährt der Zug nach Wien.", pieces) == [
        ("insertion", "", "nacht", 1.0),
        ("insertion", "", "lange", 4.0),
        ("substitution", "wien", "linz", 7.0),
    ]


def test_without_times_of_words_errors_start_with_their_segment() -> None:
    pieces = [Piece(" Heute fährt", 3.0, 5.0), Piece(" der Zug nach Linz", 5.0, 9.0)]
    assert found("Heute fährt der Zug nach Wien", pieces) == [("substitution", "wien", "linz", 5.0)]


@pytest.mark.parametrize(
    ("reference", "pieces", "start_s"),
    [
        # in a segment, and at its end: from its start
        ("a b c", [Piece("a c", 2, 4)], 2),
        ("a b c", [Piece("a", 2, 4), Piece(" c", 4.5, 6)], 2),
        # nothing was transcribed for a second or more: from there
        ("a b c", [Piece("a", 2, 4), Piece(" c", 5, 6)], 4),
        ("a b", [Piece("a", 2, 4)], 4),
        ("a b c", words("a c"), 0),
        # before the first word, and without any word
        ("b a", [Piece("a", 2, 4)], 0),
        ("a b", [], 0),
        ("a b", [Piece("…", 2, 4)], 0),
    ],
)
def test_a_deletion_starts_where_its_words_are_missing(
    reference: str, pieces: list[Piece], start_s: float
) -> None:
    [(kind, _, heard, second)] = found(reference, pieces, "fr")
    assert (kind, heard, second) == ("deletion", "", start_s)


def test_a_deletion_at_the_very_end_of_a_recording_starts_with_the_last_segment() -> None:
    assert found("a b", [Piece("a", 2, 4)], duration_s=4.5) == [("deletion", "b", "", 2)]


def test_words_that_the_normalizer_joins_keep_their_times() -> None:
    # `twenty one` becomes `21`; `[noise]` becomes nothing.
    pieces = words("It is [noise] twenty one degrees warm today")
    assert found("It is 21 degrees cold today", pieces, "en") == [
        ("substitution", "cold", "warm", 6.0)
    ]


def test_letters_of_an_unspaced_language_are_units() -> None:
    pieces = [Piece("今晚下雨", 0, 2), Piece("明天晴", 2, 4)]
    errors_found = located_errors("今晚下雪明天晴朗", "今晚下雨明天晴", "zh", pieces, 4.5)
    assert errors_found == [
        LocatedError("substitution", "雪", "雨", 1, 0.0),
        LocatedError("deletion", "朗", "", 1, 2.0),
    ]


def test_a_long_run_of_wrong_words_is_several_errors_each_with_its_second() -> None:
    pieces = words(" ".join(f"x{n}" for n in range(30)))
    errors_found = located_errors(
        " ".join(f"y{n}" for n in range(30)), "".join(p.text for p in pieces), "de", pieces, 99
    )
    assert [(error.units, error.start_s) for error in errors_found] == [(12, 0), (12, 12), (6, 24)]
    assert errors_found[1].reference.split() == [f"y{n}" for n in range(12, 24)]


def test_a_text_without_spaces_is_cut() -> None:
    [error] = located_errors("a" * 100_000, "b" * 100_000, "de", [Piece("b" * 100_000, 0, 1)], 1)
    assert (len(error.reference), len(error.hypothesis)) == (200, 200)


@settings(deadline=None, max_examples=60)
@given(TEXT_PAIRS)
def test_the_units_of_all_errors_are_the_errors_of_the_rate(pairs: list[tuple[str, str]]) -> None:
    for reference, hypothesis in pairs:
        for language in ("en", "fr", "ja"):
            pieces = [Piece(word, n, n + 1) for n, word in enumerate(hypothesis.split(" "))]
            located = located_errors(reference, hypothesis, language, pieces, len(pieces))
            counts = word_counts(
                [normalize(reference, language)], [normalize(hypothesis, language)]
            )
            assert sum(error.units for error in located) == errors(counts[0])
            seconds = [error.start_s for error in located]
            assert all(0 <= second <= len(pieces) for second in seconds)
