"""`gate.toml`: the rules of a gate, read from a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from evaluation.errors import InputError
from evaluation.gate.rules import MARGINS, Action, JudgedMetric, Override, Rules

__all__ = ["read_gate"]

_TOP = "the file"

Points = Annotated[float, Field(ge=0, le=100)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class _Table(BaseModel):
    """Strict: the TOML must have the right types, and no other names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Override(_Table):
    """One `[[override]]`."""

    dataset: str | None = None
    language: str | None = None
    task: Literal["transcribe", "translate"] | None = None
    metric: JudgedMetric | None = None
    margin: Points | None = None
    action: Action | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> _Override:
        if self.margin is None and self.action is None:
            raise ValueError("changes nothing: give it a `margin`, an `action` or both")
        return self


class _GateFile(_Table):
    """The whole file; the defaults are those of `Rules`."""

    action: Action = Rules.action
    alpha: Probability = Rules.alpha
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
        margins=MARGINS if found.margins is None else found.margins,
        overrides=[Override(**one.model_dump()) for one in found.override],
    )


def _problem(error: ErrorDetails) -> str:
    """One of pydantic's errors in the words of the file: which entry, and what it may be."""
    table, name, value = *_place(error["loc"]), error["input"]
    entry = f"`{name}` is {value!r}" if table == _TOP else f"{table}: `{name}` is {value!r}"
    match error["type"]:
        case "extra_forbidden":
            names = (_GateFile if table == _TOP else _Override).model_fields
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
        case "string_type":
            return f"{entry}: expected a text"
        case _:
            limits = (
                "a probability above 0 and below 1" if name == "alpha" else "points, from 0 to 100"
            )
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
