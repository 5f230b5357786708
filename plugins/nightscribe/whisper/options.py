"""Everything besides recording, model and task that changes a transcript's text."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightscribe.errors import ConfigurationError

TASKS = ("transcribe", "translate")


@dataclass(frozen=True)
class Options:
    """Whisper's decoding options, with the defaults of `whisper.transcribe`.

    The names are those of the `whisper` command's flags and of openai-whisper's
    `DecodingOptions`. Defaults never change: `key`
    leaves out the options that have theirs, so that a later version that knows more
    options still finds the transcripts of an earlier one.
    """

    language: str | None = None
    temperature: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    beam_size: int | None = None
    best_of: int | None = None
    patience: float | None = None
    length_penalty: float | None = None
    suppress_tokens: str = "-1"
    initial_prompt: str | None = None
    carry_initial_prompt: bool = False
    condition_on_previous_text: bool = True
    compression_ratio_threshold: float | None = 2.4
    logprob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    word_timestamps: bool = False
    prepend_punctuations: str = "\"'“¿([{-"
    append_punctuations: str = "\"'.。,，!！?？:：”)]}、"
    clip_timestamps: str = "0"
    hallucination_silence_threshold: float | None = None
    prefix: str | None = None
    sample_len: int | None = None
    suppress_blank: bool = True
    without_timestamps: bool = False
    max_initial_timestamp: float | None = 1.0

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this combination: the `options_key` of the tables."""
        chosen = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """All options as a JSON object."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)

    def with_language(self, language: str | None) -> Options:
        """The same options for recordings in this language (None: to be detected)."""
        return dataclasses.replace(self, language=language)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Options:
        """Options from plain values, as a DAG parameter or a JSON object gives them.

        Raises `ConfigurationError` for an unknown name or a value of the wrong type.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigurationError(
                f"unknown option {unknown[0]!r}; Nightscribe knows: {', '.join(known)}"
            )
        return cls(**{name: _checked(name, value) for name, value in values.items()})

    def mistake(self) -> str | None:
        """What Whisper would fail at in every recording, beginning with the option's name."""
        beams, patience, penalty = self.beam_size, self.patience, self.length_penalty
        if beams is not None and beams < 1:
            return f"beam_size {beams}: must be at least 1, or none"
        if patience is not None and self.temperature and self.temperature[0] <= 0:
            if beams is None:
                return "patience requires beam_size"
            if round(beams * patience) < 1:
                return f"patience {patience}: is too small for beam_size {beams}"
        if penalty is not None and not 0 <= penalty <= 1:
            return f"length_penalty {penalty}: must be from 0 to 1"
        if self.max_initial_timestamp is not None and self.max_initial_timestamp < 0:
            return f"max_initial_timestamp {self.max_initial_timestamp}: must be at least 0"
        lists = (("clip_timestamps", float), ("suppress_tokens", int))
        for name, kind in lists:
            given = getattr(self, name)
            try:
                numbers = [kind(number) for number in given.split(",") if given]
                if not all(map(math.isfinite, numbers)):
                    raise ValueError
            except ValueError:
                return f"{name} {given!r}: expected numbers separated by commas"
        return None


def value_of(name: str, text: str) -> Any:
    """An option's value from a command line: a number, True, False, None (null) or the text itself.

    A list (of temperatures) has commas. What cannot be read as the option's kind of value stays a
    text, which `Options.from_mapping` refuses with the reason.
    """
    if text in {"None", "null"} and name in _OPTIONAL:
        return None
    if name in _SWITCHES:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        if name == "temperature":
            return [float(number) for number in text.strip("[]").split(",")]
        if name in _NUMBERS:
            return float(text)
        if name in _COUNTS:
            return float(text) if "." in text else int(text)
    except ValueError:
        pass
    return text


def tasks_of(task: str) -> tuple[str, ...]:
    """`transcribe`, `translate` or `both` → the tasks to run. Raises `ConfigurationError`."""
    if task == "both":
        return TASKS
    if task in TASKS:
        return (task,)
    raise ConfigurationError(f"task {task!r}: choose transcribe, translate or both")


_NUMBERS = {
    "patience",
    "length_penalty",
    "compression_ratio_threshold",
    "logprob_threshold",
    "no_speech_threshold",
    "hallucination_silence_threshold",
    "max_initial_timestamp",
}
_COUNTS = {"beam_size", "best_of", "sample_len"}
_SWITCHES = {
    "carry_initial_prompt",
    "condition_on_previous_text",
    "word_timestamps",
    "suppress_blank",
    "without_timestamps",
}
_OPTIONAL = _NUMBERS | _COUNTS | {"language", "initial_prompt", "prefix"}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what floats reach
        return False


def _checked(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    is_number = _is_number(value)
    if name == "temperature":
        values = value if isinstance(value, list | tuple) else [value]
        if values and all(isinstance(v, int | float) and 0 <= v <= 1 for v in values):
            return tuple(float(v) for v in values)
        expected = "a number from 0 to 1, or a list of them"
    elif name in _NUMBERS:
        if is_number:
            return float(value)
        expected = "a number or null"
    elif name in _COUNTS:
        if is_number and float(value).is_integer() and value > 0:
            return int(value)
        expected = "a positive whole number or null"
    elif name in _SWITCHES:
        if isinstance(value, bool):
            return value
        expected = "true or false"
    else:
        if isinstance(value, str):
            return value
        expected = "a text"
    raise ConfigurationError(f"option {name} is {value!r}: expected {expected}")
