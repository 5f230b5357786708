"""Texts that counting may stumble over, as strategies for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

# Few words, so that texts share some; several scripts; marks, spaces and emoji around them.
_SPOKEN = "a the night Nacht naïve ночь 夜 今夜 ليل रात คืน 밤 1,000 don't x. … 👩‍👩‍👧"
_WORDS = st.sampled_from([*_SPOKEN.split(), "\u00a0", "", " "])
_TEXT = st.one_of(st.lists(_WORDS, max_size=8).map(" ".join), st.text(max_size=12), st.just(""))
TEXT_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=6)
"""At least one pair of reference and hypothesis; both may be empty."""


def split(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """References and hypotheses."""
    return [reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs]
