"""OpenAI's models: their names, their files, and which of them can translate."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "can_translate",
    "expected_digest",
    "file_name_of",
    "official_models",
    "official_name",
]


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


def file_name_of(url: str) -> str:
    """The file name in a checkpoint's URL."""
    return url.rsplit("/", 1)[-1]


def expected_digest(url: str) -> str:
    """The SHA-256 in a checkpoint's URL."""
    return url.split("/")[-2]
