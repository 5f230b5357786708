"""`gate.toml`: the rules of a gate, read from a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from evaluation.errors import InputError
from evaluation.gate.rules import (
    LIMITS,
    MARGINS,
    Action,
    IfTooFew,
    JudgedMetric,
    Override,
    Rules,
)
from evaluation.languages import spoken_language
from nightscribe.languages import nearest_language

__all__ = ["read_gate"]

_TOP = "the file"

Points = Annotated[float, Field(ge=0, le=100)]
Most = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Points of an error rate, which may be above 100."""

Probability = Annotated[float, Field(gt=0, lt=1)]


class _Table(BaseModel):
    """Strict: the TOML must have the right types, and no other names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Limited(_Table):
    """The limits, in the file and in each override; `rules.LIMITS` has their metrics."""

    max_wer: Most | None = None
    max_cer: Most | None = None
    max_mer: Most | None = None
    max_wil: Most | None = None
    max_insertion_bursts: Most | None = None
    max_deletion_bursts: Most | None = None
    max_wer_raw: Most | None = None
    max_cer_nfc: Most | None = None
    max_wer_leaderboard: Most | None = None
    max_cer_whisper: Most | None = None
    max_text_over_silence: Most | None = None
    max_hallucination_rate: Most | None = None
    max_hallucinated_words_per_hour: Most | None = None
    min_lid_accuracy: Points | None = None
    min_bleu: Points | None = None
    min_chrf: Points | None = None

    @field_validator("min_lid_accuracy", "min_bleu", "min_chrf")
    @classmethod
    def _in_points(cls, value: float | None) -> float | None:
        if value is not None and 0 < value <= 1:
            raise PydanticCustomError("share", "a share")
        return value

    def limits(self) -> dict[str, float]:
        """Metric → points, of those that are given."""
        given = ((metric, getattr(self, name)) for name, metric in LIMITS.items())
        return {metric: points for metric, points in given if points is not None}


class _Override(_Limited):
    """One `[[override]]`."""

    dataset: str | None = None
    language: str | None = None
    task: Literal["transcribe", "translate"] | None = None
    metric: JudgedMetric | None = None
    margin: Points | None = None
    action: Action | None = None
    on_too_few: IfTooFew | None = None

    @model_validator(mode="after")
    def _is_of_a_language(self) -> _Override:
        if self.language is not None and spoken_language(self.language) is None:
            raise ValueError(
                f"unknown language {self.language!r}: {nearest_language(self.language)}"
            )
        return self

    @model_validator(mode="after")
    def _changes_something(self) -> _Override:
        limits = self.limits()
        if not limits and (self.margin, self.action, self.on_too_few) == (None, None, None):
            raise ValueError(
                "changes nothing: give it a `margin`, an `action`, `on_too_few` or a limit such as "
                "`max_wer`"
            )
        if others := limits.keys() - {self.metric} if self.metric else ():
            raise ValueError(
                f"is for the metric {self.metric} and limits {', '.join(sorted(others))}: leave "
                "`metric` out, or make two overrides"
            )
        return self


class _GateFile(_Limited):
    """The whole file; the defaults are those of `Rules`."""

    action: Action = Rules.action
    alpha: Probability = Rules.alpha
    on_too_few: IfTooFew = Rules.on_too_few
    margins: dict[JudgedMetric, Points] | None = None
    override: list[_Override] = []


def read_gate(path: Path) -> Rules:
    """The rules in a file; what it leaves out is as in `Rules`.

    Raises:
        InputError: the file cannot be used; names the file, each wrong entry and what it may be
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no TOML: {error}") from error
    try:
        found = _GateFile.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_problem(one) for one in error.errors())
        raise InputError(f"{path}: {problems}") from error
    return Rules(
        action=found.action,
        alpha=found.alpha,
        on_too_few=found.on_too_few,
        margins=MARGINS if found.margins is None else found.margins,
        limits=found.limits(),
        overrides=[
            Override(**one.model_dump(exclude=set(LIMITS)), limits=one.limits())
            for one in found.override
        ],
    )


def _problem(error: ErrorDetails) -> str:
    """One of pydantic's errors in the words of the file: which entry, and what it may be."""
    table, name, value = *_place(error["loc"]), error["input"]
    entry = f"`{name}` is {value!r}" if table == _TOP else f"{table}: `{name}` is {value!r}"
    match error["type"]:
        case "extra_forbidden":
            fields = (_GateFile if table == _TOP else _Override).model_fields
            names = [*(field for field in fields if field not in LIMITS), *LIMITS]
            return f"{table} has `{name}`: expected one of {', '.join(names)}"
        case "literal_error":
            names = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            if error["loc"][-1] == "[key]":
                return f"{table} has `{name}`: expected one of {names}"
            return f"{entry}: expected one of {names}"
        case "value_error":
            return f"{table}: {error['ctx']['error']}"
        case "dict_type":
            return f"`{name}` must be a table: [{name}]"
        case "list_type" | "model_type":
            return "`override` must be an array of tables: [[override]]"
        case "share":  # which no transcript would ever be below
            return f"{entry}: limits are in points, from 0 to 100: write {100 * value:g}"
        case "string_type":
            return f"{entry}: expected a text"
        case _:
            limits = "points, from 0 to 100"
            if name == "alpha":
                limits = "a probability above 0 and below 1"
            elif name.startswith("max_"):
                limits = "points, 0 or more"
            return f"{entry}: expected {limits}"


def _place(location: tuple[int | str, ...]) -> tuple[str, str]:
    """The table in the file that an error is about, and the name in it."""
    match location:
        case ("margins", str(metric), *_):
            return "[margins]", metric
        case ("override", int(index), *names):
            return f"[[override]] number {index + 1}", str(names[0]) if names else ""
        case _:
            return _TOP, str(location[0])
