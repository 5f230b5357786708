"""The errors of a transcript, each with the second of the recording at which to listen.

An error is a run of words (letters of an unspaced language) that are all substituted, all deleted
or all inserted in the alignment that gives the error rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import jiwer
import pyarrow as pa

from evaluation.measure.normalize import normalize
from evaluation.pairs.timed import Piece

__all__ = ["LISTED", "LocatedError", "listed_errors", "located_errors"]

LISTED = 100
"""Errors that are kept of one transcript, the longest ones. Nobody listens to more: at ten seconds
each, they take a quarter of an hour. A transcript of any length then has at most 40,000 characters
of errors."""

_UNITS = 12
"""A longer run of substitutions or insertions is several errors, so that each has its second."""

_PAIR = ("transcript_id", "dataset")
_CHARACTERS = 200  # of a text that is kept; a text without spaces is one word of any length
_GAP_S = 1.0  # a shorter pause between two pieces does not hide a word that was passed over

Pieces = Callable[[Sequence[str]], Iterable[tuple[str, Sequence[Piece]]]]
"""Transcript ids → those with pieces, each with its pieces in order."""

Kind = Literal["substitution", "deletion", "insertion"]

_KINDS: Mapping[str, Kind] = {
    "substitute": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}


@dataclass(frozen=True)
class LocatedError:
    """An error.

    Attributes:
        reference, hypothesis: the words, normalised; empty for an insertion and a deletion
        units: words, or letters of an unspaced language
        start_s: seconds from the start of the recording
    """

    kind: Kind
    reference: str
    hypothesis: str
    units: int
    start_s: float


def located_errors(
    reference: str, hypothesis: str, language: str, pieces: Sequence[Piece], duration_s: float
) -> list[LocatedError]:
    """Align a transcript with its reference, and find each error in the recording.

    A substitution or an insertion starts with the word, or with the segment if its words have no
    times. A deletion starts with the piece before it, or behind that piece if nothing was
    transcribed for a second there.

    Args:
        pieces: the transcript in order: words, or segments whose words have no times
        duration_s: length of the recording

    Returns:
        in the order of the transcript
    """
    aligned = jiwer.process_words(normalize(reference, language), normalize(hypothesis, language))
    expected, heard = aligned.references[0], aligned.hypotheses[0]
    owners = _owners(heard, pieces, language)
    found = []
    for chunk in aligned.alignments[0]:
        if chunk.type == "equal":
            continue
        length = max(
            chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
        )
        step = length if chunk.type == "delete" else _UNITS
        for done in range(0, length, step):
            place = chunk.hyp_start_idx + done
            if not owners:
                start_s = 0.0
            elif chunk.type == "delete":
                start_s = _gap_s(owners, place, pieces, duration_s)
            else:
                start_s = pieces[owners[place]].start_s
            missing = expected[chunk.ref_start_idx + done : chunk.ref_end_idx][:step]
            written = heard[place : chunk.hyp_end_idx][:step]
            units = min(step, length - done)
            kind = _KINDS[chunk.type]
            found.append(LocatedError(kind, _text(missing), _text(written), units, start_s))
    return found


def listed_errors(
    utterances: pa.Table, pairs: pa.Table, pieces: Pieces
) -> tuple[list[int], list[list[dict[str, Any]]]]:
    """The errors of each utterance: how many, and the longest ones as rows of `LocatedError`.

    Args:
        utterances: of the evaluation of the pairs, columns as in `scoring.UTTERANCES`
        pairs: with the columns `transcript_id` and `duration_s`
    """
    counts = [0] * utterances.num_rows
    listed: list[list[dict[str, Any]]] = [[] for _ in counts]
    wrong: dict[str, list[tuple[int, str]]] = {}
    for place, (transcript_id, dataset, errors) in enumerate(
        zip(*(utterances[name].to_pylist() for name in (*_PAIR, "errors")), strict=True)
    ):
        if errors:
            wrong.setdefault(transcript_id, []).append((place, dataset))
    keys = zip(*(pairs[name].to_pylist() for name in _PAIR), strict=True)
    rows = {key: row for row, key in enumerate(keys) if key[0] in wrong}

    def list_errors(transcript_id: str, spoken: Sequence[Piece]) -> None:
        for place, dataset in wrong.pop(transcript_id):
            [pair] = pairs.slice(rows[transcript_id, dataset], 1).to_pylist()
            found = located_errors(
                pair["reference"], pair["hypothesis"], pair["language"], spoken, pair["duration_s"]
            )
            counts[place] = len(found)
            listed[place] = [vars(error) for error in _longest(found)]

    for transcript_id, spoken in pieces(list(wrong)):
        list_errors(transcript_id, spoken)
    for transcript_id in list(wrong):  # those without any segment
        list_errors(transcript_id, [])
    return counts, listed


def _longest(errors: Sequence[LocatedError]) -> list[LocatedError]:
    """The longest errors, in the order of the transcript."""
    chosen = sorted(range(len(errors)), key=lambda index: -errors[index].units)[:LISTED]
    return [errors[index] for index in sorted(chosen)]


def _owners(heard: Sequence[str], pieces: Sequence[Piece], language: str) -> list[int]:
    """The piece of each unit of the transcript; none if no piece has a unit."""
    units: list[str] = []
    owners: list[int] = []
    for index, piece in enumerate(pieces):
        words = _units(piece.text, language)
        units += words
        owners += [index] * len(words)
    if units == heard or not units:
        return owners
    # Normalised as a whole, a text may have other words: `twenty` and `one` become `21`.
    found = [0] * len(heard)
    for chunk in jiwer.process_words(" ".join(heard), " ".join(units)).alignments[0]:
        for index in range(chunk.ref_start_idx, chunk.ref_end_idx):
            other = chunk.hyp_start_idx + index - chunk.ref_start_idx
            found[index] = owners[min(other, max(chunk.hyp_end_idx - 1, 0))]
    return found


@lru_cache(maxsize=2**14)  # the words of a language recur
def _units(text: str, language: str) -> tuple[str, ...]:
    return tuple(normalize(text, language).split())


def _gap_s(owners: Sequence[int], place: int, pieces: Sequence[Piece], duration_s: float) -> float:
    """Where to listen for what is missing before the unit at `place`."""
    if place == 0:
        return 0.0
    before = owners[place - 1]
    after = owners[place] if place < len(owners) else None
    following_s = duration_s if after is None else pieces[after].start_s
    piece = pieces[before]
    is_gap = before != after and following_s - piece.end_s >= _GAP_S
    return piece.end_s if is_gap else piece.start_s


def _text(words: Sequence[Any]) -> str:
    text = " ".join(words)
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
