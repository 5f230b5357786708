"""The parameters of a run, from the DAG's form or the command line, and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightscribe.audio.speech import check_installed
from nightscribe.errors import ConfigurationError
from nightscribe.languages import LANGUAGES, language_code, nearest_language
from nightscribe.nearest import did_you_mean
from nightscribe.settings import CHOOSE_LANGUAGE, Settings
from nightscribe.stages.pending import Wanted
from nightscribe.uris import canonical_uri, refuse_web_url
from nightscribe.whisper.checkpoints import DEMO, model_id_of
from nightscribe.whisper.devices import check_device_name
from nightscribe.whisper.official import (
    ENGLISH_VOCABULARY,
    can_translate,
    official_name,
    vocabulary_of,
)
from nightscribe.whisper.options import LARGEST_VOCABULARY, Options, tasks_of

__all__ = ["Order", "checked_language", "checked_options"]


@dataclass(frozen=True)
class Order:
    """The parameters of a run, as the DAG's form or the command line gives them; unchecked."""

    archives: tuple[str, ...]
    model: str
    task: str = "transcribe"
    language: str = "auto"
    options: Mapping[str, Any] | None = None
    limit: int | None = None
    force: bool = False
    datasets: tuple[str, ...] = ()

    def wanted(self, settings: Settings) -> Wanted:
        """Check the order and look up its model. Raises `ConfigurationError` or `ModelError`."""
        if not self.archives and not self.datasets:
            raise ConfigurationError(
                "no archive to transcribe: set NIGHTSCRIBE_ARCHIVES, the run's `archives` "
                "parameter or --archives; or name a data set"
            )
        for archive in self.archives:
            refuse_web_url(archive)
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"limit {self.limit}: must be at least 1")
        tasks = tasks_of(self.task)
        check_device_name(settings.device)
        model_id = model_id_of(self.model, settings.model_dir)
        options = checked_options(self.model, model_id, tasks, self.language, self.options or {})
        return Wanted(
            model=self.model,
            model_id=model_id,
            tasks=tasks,
            options=options,
            archives=tuple(canonical_uri(archive) for archive in self.archives),
            datasets=self.datasets,
            hints=self.language == "manifest",
            limit=self.limit,
            force=self.force,
        )


def checked_options(
    model: str, model_id: str, tasks: Sequence[str], language: str, given: Mapping[str, Any]
) -> Options:
    """The options of a run, with its language, if the model can do what is asked.

    `language`: `auto`, `manifest`, or a language. Raises `ConfigurationError`.
    """
    options = Options.from_mapping(given)
    if mistake := options.mistake():
        raise ConfigurationError(f"option {mistake}")
    if options.speech_only:
        check_installed()
    # The table of official models imports whisper and torch, which takes seconds.
    known = None if model == DEMO else official_name(model_id)
    if "translate" in tasks and not can_translate(known or model):
        raise ConfigurationError(
            f"model {model} was not trained to translate: choose medium or large-v3, or "
            "the task transcribe"
        )
    if options.language is not None:
        raise ConfigurationError("give the language as the run's `language`, not in `options`")
    if language not in {"auto", "manifest"}:
        options = options.with_language(checked_language(language))
    if known is not None:
        _check_official(known, options)
    return options


def _check_official(name: str, options: Options) -> None:
    """Raise `ConfigurationError` for an option or a language that an official model lacks."""
    vocabulary = vocabulary_of(name)
    assert vocabulary is not None
    if mistake := options.mistake_for(vocabulary):
        raise ConfigurationError(f"option {mistake}")
    if vocabulary == ENGLISH_VOCABULARY and options.language not in (None, "en"):
        raise ConfigurationError(
            f"model {name} knows English only, not the language {options.language!r}: choose "
            f"{name.removesuffix('.en')}, or the language auto"
        )
    if vocabulary < LARGEST_VOCABULARY and options.language == "yue":
        raise ConfigurationError(
            f"model {name} does not know the language 'yue' (Cantonese): choose large-v3 or turbo, "
            "or the language zh"
        )


def _nearest_language(language: str) -> str:
    near = did_you_mean(language, ["auto", "manifest", *LANGUAGES.values()])
    return near or f" ({nearest_language(language)})"


def checked_language(language: str) -> str:
    """The code of a language that Whisper knows. Raises `ConfigurationError` for others."""
    code = language_code(language)
    if code is None:
        raise ConfigurationError(
            f"language {language!r}{_nearest_language(language)}: {CHOOSE_LANGUAGE}"
        )
    return code
