"""`gate.toml`: the rules of a gate, as a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from evaluation.files import InputError
from evaluation.gate import MARGINS, Action, Override, Rules
from evaluation.scoring import TASKS

_METRICS = ("wer", "cer", "lid_accuracy", "bleu", "chrf")
_ACTIONS = get_args(Action)
_OVERRIDDEN = ("dataset", "language", "task", "metric", "margin", "action")


def read_gate(path: Path) -> Rules:
    """The rules that a file states; what it leaves out is as in `gate.Rules`.

    Raises `InputError` that names the file, the entry and what it may be.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no TOML: {error}") from error
    try:
        return _rules(content)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _rules(content: Mapping[str, Any]) -> Rules:
    _known(content, ("action", "alpha", "margins", "override"), "the file")
    margins = content.get("margins", MARGINS)
    if not isinstance(margins, Mapping):
        raise ValueError("`margins` must be a table: [margins]")
    _known(margins, _METRICS, "[margins]")
    overrides = content.get("override", [])
    if not isinstance(overrides, list) or not all(isinstance(one, dict) for one in overrides):
        raise ValueError("`override` must be an array of tables: [[override]]")
    alpha = content.get("alpha", Rules.alpha)
    if not _is_number(alpha) or not 0 < alpha < 1:
        raise ValueError(f"`alpha` is {alpha!r}: expected a probability above 0 and below 1")
    return Rules(
        action=_one_of("action", content.get("action", Rules.action), _ACTIONS),
        alpha=alpha,
        margins={metric: _margin(metric, points) for metric, points in margins.items()},
        overrides=[_override(one, number) for number, one in enumerate(overrides, start=1)],
    )


def _override(entry: Mapping[str, Any], number: int) -> Override:
    where = f"[[override]] number {number}"
    _known(entry, _OVERRIDDEN, where)
    for name in ("dataset", "language"):
        if not isinstance(entry.get(name, ""), str):
            raise ValueError(f"{where}: `{name}` is {entry[name]!r}: expected a text")
    if not {"margin", "action"} & entry.keys():
        raise ValueError(f"{where}: changes nothing: give it a `margin`, an `action` or both")
    if "task" in entry:
        _one_of(f"{where}: `task`", entry["task"], TASKS)
    if "metric" in entry:
        _one_of(f"{where}: `metric`", entry["metric"], _METRICS)
    return Override(
        dataset=entry.get("dataset"),
        language=entry.get("language"),
        task=entry.get("task"),
        metric=entry.get("metric"),
        margin=_margin(f"{where}: margin", entry["margin"]) if "margin" in entry else None,
        action=_one_of(f"{where}: action", entry["action"], _ACTIONS)
        if "action" in entry
        else None,
    )


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in names:
            raise ValueError(f"{where} has `{name}`: expected one of {', '.join(names)}")


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(allowed)}")
    return value


def _margin(name: str, points: Any) -> float:
    if not _is_number(points) or not 0 <= points <= 100:
        raise ValueError(f"{name} is {points!r}: expected points, from 0 to 100")
    return float(points)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
