"""The English normalizer of the Open ASR Leaderboard, as far as it can be had.

The Leaderboard (huggingface/open_asr_leaderboard, `normalizer/`) changes Whisper's English
normalizer several times a year and publishes no package and no version of it. This is our own
implementation of what differs from Whisper's in the state of June 2026:

- more sounds of hesitation are removed,
- `'s` becomes `is` only after pronouns and the like, so that a possessive is not two words,
- words of a list of compounds are joined (`wi fi`, `e mail`, `all right`),
- letters and digits that stand alone one after the other are joined (`b b c`, `5 g`),
- fourteen spellings are unified that Whisper leaves or unifies in the other direction.

The Leaderboard also maps 150 given names and surnames to one spelling of each (`Stephen` to
`Steven`). That list is not part of this normalizer: a name that a transcript spells in another way
than its reference is an error here and none there.
"""

from __future__ import annotations

import re
from itertools import groupby

__all__ = ["LeaderboardNormalizer"]

_HESITATIONS = r"\b(hmm|hm|mm|mmm|mhm|mhum|uh|uhm|uhuh|um|umm|em|ah|aha|ahh|ahm|eh|ehehe|huh|hum)\b"

_IS = r"\b(it|he|she|what|that|who|here|there|how|when|where|why|this)'s\b"

_COMPOUNDS = {
    "a m": "am", "al right": "alright", "all right": "alright", "e book": "ebook",
    "e commerce": "ecommerce", "e mail": "email", "et cetera": "etc", "hi fi": "hifi",
    "how ever": "however", "lo fi": "lofi", "o k": "okay", "p m": "pm", "sci fi": "scifi",
    "t shirt": "tshirt", "wi fi": "wifi", "x ray": "xray",
}  # fmt: skip

_SPELLINGS = {
    "archaeological": "archeological", "archaeology": "archeology", "cancellation": "cancelation",
    "cancellations": "cancelations", "etcetera": "etc", "flyer": "flier", "kay": "okay",
    "mm": "hmm", "ok": "okay", "pummelled": "pummeled", "pummelling": "pummeling",
    "snowploughs": "snowplows", "travelogue": "travelog", "travelogues": "travelogs",
}  # fmt: skip
_NOT_CHANGED = ("archeological", "cancelation", "cancelations", "travelog", "travelogs")

_COMMON_LETTERS = {"a", "i"}  # which are words


class LeaderboardNormalizer:
    """English text → words separated by spaces. Built on the parts of Whisper's normalizer."""

    def __init__(self) -> None:
        from whisper.normalizers import EnglishTextNormalizer

        whisper = EnglishTextNormalizer()
        self._replacers = [
            (re.compile(_IS), r"\1 is")
            if pattern == r"'s\b"
            else (re.compile(pattern), replacement)
            for pattern, replacement in whisper.replacers.items()
        ]
        self._compounds = [
            (re.compile(r"\b" + words.replace(" ", r"\s+") + r"\b"), joined)
            for words, joined in _COMPOUNDS.items()
        ]
        self._numbers = whisper.standardize_numbers
        spellings = whisper.standardize_spellings.mapping | _SPELLINGS
        self._spellings = {
            word: other for word, other in spellings.items() if word not in _NOT_CHANGED
        }

    def __call__(self, text: str) -> str:
        """The normalised text."""
        from whisper.normalizers.basic import remove_symbols_and_diacritics

        text = re.sub(r"[<\[][^>\]]*[>\]]|\(([^)]+?)\)", "", text.lower())
        text = re.sub(r"\s+'", "'", re.sub(_HESITATIONS, "", text))
        for pattern, replacement in self._replacers:
            text = pattern.sub(replacement, text)
        text = re.sub(r"(\d),(\d)", r"\1\2", text)
        text = re.sub(r"\.([^0-9]|$)", r" \1", text)
        text = remove_symbols_and_diacritics(text, keep=".%$¢€£")
        for pattern, replacement in self._compounds:
            text = pattern.sub(replacement, text)
        words = self._numbers(text).split()
        text = _joined_letters([self._spellings.get(word, word) for word in words])
        text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
        text = re.sub(r"([^0-9])%", r"\1 ", text)
        return " ".join(text.split())


def _joined_letters(words: list[str]) -> str:
    """The words; at least two single letters or digits in a row, or three with a or i, are one."""
    joined: list[str] = []
    for is_single, run in groupby(words, lambda word: len(word) == 1 and word.isalnum()):
        same = list(run)
        fewest = 3 if _COMMON_LETTERS & set(same) else 2
        joined += ["".join(same)] if is_single and len(same) >= fewest else same
    return " ".join(joined)
