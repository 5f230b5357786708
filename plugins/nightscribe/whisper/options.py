"""Decoding options: the settings, besides model and task, that change a transcript's text."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from pydantic import AllowInfNan, BeforeValidator, Field, Strict, TypeAdapter, ValidationError

from nightscribe.errors import ConfigurationError
from nightscribe.nearest import did_you_mean

__all__ = ["LARGEST_VOCABULARY", "TASKS", "Options", "tasks_of", "value_of"]

TASKS = ("transcribe", "translate")

LARGEST_VOCABULARY = 51_866
"""Number of tokens of large-v3 and turbo, the largest vocabulary of Whisper's checkpoints.

It is `ModelDimensions.n_vocab` of openai-whisper: 51,766 tokens and one for each of 100 languages
(`whisper.model.Whisper.num_languages`).
"""

_LAST_SECOND = 10**9
"""No recording is as long, and times up to here can be converted to frames without overflow."""


@dataclass(frozen=True)
class _ValueType:
    """The type of an option's values: its description, and its parser for command-line text.

    `read` raises ValueError if the text is not such a value.
    """

    expected: str
    read: Callable[[str], Any]


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text in {"None", "null"} else read(text)


def _read_count(text: str) -> float:
    return float(text) if "." in text else int(text)


def _read_bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _read_temperatures(text: str) -> list[float]:
    return [float(number) for number in text.strip("[]").split(",")]


def _to_int(value: Any) -> Any:
    """Convert 5.0 to 5: JSON does not distinguish them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _to_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


# Strict: a text or a bool is not accepted as a number. An int is accepted as a float.
_Number = Annotated[
    Annotated[float, Strict(), AllowInfNan(False)] | None,
    _ValueType("a number or null", _or_none(float)),
]
_Count = Annotated[
    # The limit is the largest float. Larger numbers were never accepted.
    Annotated[int, Strict(), Field(gt=0, le=int(sys.float_info.max)), BeforeValidator(_to_int)]
    | None,
    _ValueType("a positive whole number or null", _or_none(_read_count)),
]
_Bool = Annotated[bool, Strict(), _ValueType("true or false", _read_bool)]
_Text = Annotated[str, Strict(), _ValueType("a text", str)]
_OptionalText = Annotated[
    Annotated[str, Strict()] | None, _ValueType("a text or null", _or_none(str))
]
_Temperatures = Annotated[
    tuple[Annotated[float, Strict(), Field(ge=0, le=1)], ...],
    Field(min_length=1),
    BeforeValidator(_to_list),
    _ValueType("a number from 0 to 1, or a list of them", _read_temperatures),
]


@dataclass(frozen=True)
class Options:
    """Whisper's decoding options, with the defaults of `whisper.transcribe`.

    The names are those of the `whisper` command's flags and of openai-whisper's
    `DecodingOptions`. Defaults must never change: `key` omits options that have their default, so
    that a version with more options finds the transcripts of an earlier one.

    `from_mapping` checks values that a user gives. The constructor does not, since the `whisper`
    command accepts more values than a lake, such as temperatures above 1.
    """

    language: _OptionalText = None
    temperature: _Temperatures = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    beam_size: _Count = None
    best_of: _Count = None
    patience: _Number = None
    length_penalty: _Number = None
    suppress_tokens: _Text = "-1"
    initial_prompt: _OptionalText = None
    carry_initial_prompt: _Bool = False
    condition_on_previous_text: _Bool = True
    compression_ratio_threshold: _Number = 2.4
    logprob_threshold: _Number = -1.0
    no_speech_threshold: _Number = 0.6
    word_timestamps: _Bool = False
    prepend_punctuations: _Text = "\"'“¿([{-"
    append_punctuations: _Text = "\"'.。,，!！?？:：”)]}、"
    clip_timestamps: _Text = "0"
    hallucination_silence_threshold: _Number = None
    prefix: _OptionalText = None
    sample_len: _Count = None
    suppress_blank: _Bool = True
    without_timestamps: _Bool = False
    max_initial_timestamp: _Number = 1.0
    speech_only: _Bool = False
    """Not of openai-whisper: skip what `nightscribe.audio.speech` finds empty of voices."""

    @property
    def key(self) -> str:
        """The `options_key` of the tables: 16 hexadecimal digits of a hash of the options."""
        chosen = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """All options as a JSON object; `speech_only`, the youngest, only if it is chosen.

        So equal options have the JSON that stands beside the transcripts of older lakes.
        """
        values = dataclasses.asdict(self)
        if not self.speech_only:
            del values["speech_only"]
        return json.dumps(values, sort_keys=True, ensure_ascii=False)

    def with_language(self, language: str | None) -> Options:
        """The same options with this language (None: detect it)."""
        return dataclasses.replace(self, language=language)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Options:
        """Options from plain values, such as a DAG parameter or a JSON object.

        Raises `ConfigurationError` for an unknown name or a value of the wrong type.
        """
        types = _value_types()
        unknown = sorted(set(values) - set(types))
        if unknown:
            raise ConfigurationError(
                f"unknown option {unknown[0]!r}; Nightscribe knows: {', '.join(types)}"
                f"{did_you_mean(unknown[0], types)}"
            )
        try:
            return _adapter().validate_python(dict(values))
        except ValidationError as error:
            name = error.errors()[0]["loc"][0]
            assert isinstance(name, str)
            raise ConfigurationError(
                f"option {name} is {values[name]!r}: expected {types[name].expected}"
            ) from error

    def mistake(self) -> str | None:
        """The first option that would fail for every recording with any checkpoint, or None.

        The text begins with the option's name. If the model is known, also call `mistake_for`.
        """
        beams, patience, penalty = self.beam_size, self.patience, self.length_penalty
        if beams is not None and beams < 1:
            return f"beam_size {beams}: must be at least 1, or none"
        if patience is not None and self.temperature and self.temperature[0] <= 0:
            if beams is None:
                return "patience requires beam_size"
            if round(beams * patience) < 1:
                return f"patience {patience}: too small for beam_size {beams}"
        if penalty is not None and not 0 <= penalty <= 1:
            return f"length_penalty {penalty}: must be from 0 to 1"
        if self.max_initial_timestamp is not None and self.max_initial_timestamp < 0:
            return f"max_initial_timestamp {self.max_initial_timestamp}: must be at least 0"
        if self.speech_only and self.clip_timestamps != "0":
            return "speech_only: it chooses the clips; leave clip_timestamps out"
        try:
            times = _numbers("clip_timestamps", self.clip_timestamps, _finite)
        except ValueError as error:
            return str(error)
        for time in times:
            if not 0 <= time <= _LAST_SECOND:
                return (
                    f"clip_timestamps {self.clip_timestamps!r}: {time:g} is not a time in a "
                    f"recording; expected seconds from 0 to {_LAST_SECOND}"
                )
        return self._token_mistake(LARGEST_VOCABULARY, "no Whisper checkpoint has a token")

    def mistake_for(self, vocabulary_size: int) -> str | None:
        """The first option that would fail for every recording with this checkpoint, or None.

        `vocabulary_size` is the model's `dims.n_vocab`. The text begins with the option's name.
        """
        return self._token_mistake(
            vocabulary_size, f"the checkpoint has {vocabulary_size} tokens and no token"
        )

    def _token_mistake(self, vocabulary_size: int, absence: str) -> str | None:
        given = self.suppress_tokens
        try:
            tokens = _numbers("suppress_tokens", given, int)
        except ValueError as error:
            return str(error)
        for token in tokens:
            # -1 stands for all non-speech tokens.
            if token != -1 and not 0 <= token < vocabulary_size:
                return (
                    f"suppress_tokens {given!r}: {absence} {token}; expected ids from 0 to "
                    f"{vocabulary_size - 1}, or -1"
                )
        return None


def value_of(name: str, text: str) -> Any:
    """Parse an option's value from a command line: a number, a bool, None (null) or a text.

    Temperatures are separated by commas. A value that cannot be parsed is returned as text, and
    `Options.from_mapping` reports it.
    """
    value_type = _value_types().get(name)
    if value_type is None:
        return text
    try:
        return value_type.read(text)
    except ValueError:
        return text


def tasks_of(task: str) -> tuple[str, ...]:
    """`transcribe`, `translate` or `both` → the tasks to run. Raises `ConfigurationError`."""
    if task == "both":
        return TASKS
    if task in TASKS:
        return (task,)
    raise ConfigurationError(f"task {task!r}: choose transcribe, translate or both")


@functools.cache
def _value_types() -> Mapping[str, _ValueType]:
    """The type of each option's values, in the order of the fields."""
    hints = get_type_hints(Options, include_extras=True)
    return {field.name: hints[field.name].__metadata__[-1] for field in dataclasses.fields(Options)}


@functools.cache
def _adapter() -> TypeAdapter[Options]:
    """Validates options. Built at first use, since this takes longer than the import."""
    return TypeAdapter(Options)


def _numbers(name: str, given: str, read: Callable[[str], float]) -> list[float]:
    """Numbers from a text, separated by commas. Raises ValueError with the reason."""
    try:
        return [read(number) for number in given.split(",") if given]
    except ValueError:
        raise ValueError(f"{name} {given!r}: expected numbers separated by commas") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
