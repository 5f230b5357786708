"""OpenAI's models: their names, their files, and which of them can translate."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "can_translate",
    "expected_digest",
    "file_name_of",
    "official_models",
    "official_name",
    "vocabulary_of",
]


ENGLISH_VOCABULARY = 51_864
"""Number of tokens of the English-only models. The multilingual ones have one more, and those
since large-v3 a second one, for Cantonese (`yue`)."""


def official_models() -> Mapping[str, str]:
    """openai-whisper's own table: name → URL, whose last folder is the SHA-256 of the file."""
    from whisper import _MODELS

    table: dict[str, str] = _MODELS
    return table


def official_name(model_id: str, *, catalog: Mapping[str, str] | None = None) -> str | None:
    """The official model whose file has this SHA-256, or None."""
    catalog = official_models() if catalog is None else catalog
    names = (name for name, url in catalog.items() if expected_digest(url) == model_id)
    return next(names, None)


def can_translate(name: str) -> bool:
    """Whether a model of this name was trained on the task `translate`.

    English-only models were not, nor was turbo, which was fine-tuned on transcription alone
    (openai-whisper's README, "Available models and languages"). Other models are assumed to be.
    """
    return not name.endswith(".en") and name not in {"turbo", "large-v3-turbo"}


_LARGEST = {"large-v3", "large", "large-v3-turbo", "turbo"}


def vocabulary_of(name: str) -> int | None:
    """Number of tokens of an official model (`ModelDimensions.n_vocab`); None for other names.

    >>> vocabulary_of("tiny.en"), vocabulary_of("tiny"), vocabulary_of("large-v3")
    (51864, 51865, 51866)
    """
    if name not in official_models():
        return None
    return ENGLISH_VOCABULARY + (not name.endswith(".en")) + (name in _LARGEST)


def file_name_of(url: str) -> str:
    """The file name in a checkpoint's URL."""
    return url.rsplit("/", 1)[-1]


def expected_digest(url: str) -> str:
    """The SHA-256 in a checkpoint's URL."""
    return url.split("/")[-2]
