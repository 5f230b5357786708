"""OpenAI's models: their names, what they can do, and the file that each one is."""

from __future__ import annotations

from collections.abc import Mapping


def official_models() -> Mapping[str, str]:
    """openai-whisper's own table: name → URL, whose last folder is the file's SHA-256."""
    from whisper import _MODELS

    table: dict[str, str] = _MODELS
    return table


def official_name(model_id: str, *, catalog: Mapping[str, str] | None = None) -> str | None:
    """The official model that a file with this SHA-256 is, whatever it is called here."""
    catalog = official_models() if catalog is None else catalog
    names = (name for name, url in catalog.items() if expected_digest(url) == model_id)
    return next(names, None)


def can_translate(name: str) -> bool:
    """Whether a model of this name knows the task `translate`.

    English-only models do not, nor does turbo, which was fine-tuned on transcription alone
    (openai-whisper's README, "Available models and languages"). Other files are taken to.
    """
    return not name.endswith(".en") and name not in {"turbo", "large-v3-turbo"}


def file_name_of(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def expected_digest(url: str) -> str:
    return url.split("/")[-2]
