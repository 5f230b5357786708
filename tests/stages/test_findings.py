"""Checks run side by side; one that fails or never ends is a finding, and stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from nightscribe.errors import ConfigurationError, Reason, Rejected
from nightscribe.stages.findings import Check, Finding, State, examine, fail, ok


def test_findings_come_in_the_order_of_the_checks() -> None:
    def slow() -> Iterator[Finding]:
        time.sleep(0.1)
        yield ok("slow", "1")
        yield ok("slow", "2")

    checks = [Check("slow", slow, ""), Check("none", list, ""), Check("b", quick, "")]
    assert [finding.found for finding in examine(checks, 5)] == ["1", "2", "at once"]


def quick() -> list[Finding]:
    return [ok("quick", "at once")]


def test_check_that_does_not_end_is_a_failure() -> None:
    released = threading.Event()

    def stuck() -> Iterator[Finding]:
        released.wait(30)
        yield ok("stuck", "too late")

    started = time.monotonic()
    found = examine([Check("stuck", stuck, "mount it"), Check("quick", quick, "")], 0.2)
    released.set()
    assert time.monotonic() - started < 5
    assert found == [
        fail("stuck", "no answer within 0.2 s, or the machine is busy", "mount it"),
        *quick(),
    ]


def test_errors_are_failures_with_what_to_do() -> None:
    def check(error: Exception) -> Check:
        def run() -> Iterator[Finding]:
            raise error
            yield

        return Check("it", run, "repair it")

    errors = [
        ConfigurationError("wrong: correct it"),
        Rejected(Reason.NOT_AUDIO, "noise"),
        OSError(5, "Input/output error"),
        ValueError("bad"),
    ]
    found = examine([check(error) for error in errors], 5)
    assert [finding.state for finding in found] == [State.FAIL] * 4
    assert [finding.found for finding in found] == [
        "wrong: correct it",
        "noise",
        "OSError: [Errno 5] Input/output error",
        "ValueError: bad",
    ]
    assert [finding.remedy for finding in found] == ["", *["repair it"] * 3]
