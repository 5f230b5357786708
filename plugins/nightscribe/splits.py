"""Splits of a data set are scored apart: each is a data set of its own, by its name.

A figure on `test` says nothing about `dev`, and one on both compares with no published one.
"""

from __future__ import annotations

__all__ = ["split_name"]

_WHOLE = "test"
"""The split that figures are quoted on: its data set keeps its name."""


def split_name(dataset: str, split: str | None) -> str:
    """The name under which a split of a data set is scored.

    >>> split_name("fleurs", "dev"), split_name("fleurs", "test"), split_name("calls", None)
    ('fleurs-dev', 'fleurs', 'calls')
    >>> split_name("librispeech-test-clean", "test-clean")
    'librispeech-test-clean'
    """
    if not split or split.lower() == _WHOLE or dataset.endswith(f"-{split}"):
        return dataset
    return f"{dataset}-{split}"
