"""Findings about a machine and its settings, and checks that run side by side within a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nightscribe.errors import NightscribeError, Rejected

__all__ = ["Check", "Finding", "State", "examine", "fail", "ok", "warn"]


class State(StrEnum):
    """How a finding bears on the next night."""

    OK = "ok"
    WARN = "warn"  # the night runs, but perhaps not as it is meant
    FAIL = "FAIL"  # the night cannot run


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was examined, such as `lake`
        found: what was found, in words
        remedy: what to do about it; empty if nothing is to be done
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(name, State.OK, found)


def warn(name: str, found: str, remedy: str = "") -> Finding:
    """A finding that does not stop the night."""
    return Finding(name, State.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Finding:
    """A finding that stops the night, and what to do."""
    return Finding(name, State.FAIL, found, remedy)


@dataclass(frozen=True)
class Check:
    """A function that examines one thing; `remedy` is for errors that do not say what to do."""

    name: str
    run: Callable[[], Iterable[Finding]]
    remedy: str


def examine(checks: Sequence[Check], limit_s: float) -> list[Finding]:
    """Run all checks side by side; their findings come in the order of the checks.

    A check that raises, or that does not end in `limit_s` seconds, is a failure. Its thread is left
    alone then: a file system that does not answer cannot be interrupted.
    """
    found: list[list[Finding] | None] = [None] * len(checks)

    def run(position: int, check: Check) -> None:
        found[position] = _findings(check)

    deadline = time.monotonic() + limit_s
    threads = [
        threading.Thread(target=run, args=(position, check), daemon=True)
        for position, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    report: list[Finding] = []
    for check, findings in zip(checks, list(found), strict=True):
        if findings is None:
            findings = [
                fail(
                    check.name,
                    f"no answer within {limit_s:g} s, or the machine is busy",
                    check.remedy,
                )
            ]
        report += findings
    return report


def _findings(check: Check) -> list[Finding]:
    try:
        return list(check.run())
    except NightscribeError as error:
        return [fail(check.name, str(error), "")]  # the message says what to do
    except Rejected as error:
        return [fail(check.name, error.detail, check.remedy)]
    except Exception as error:
        return [fail(check.name, f"{type(error).__name__}: {error}", check.remedy)]
