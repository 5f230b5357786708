"""When a planned night will be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.stages.forecast import forecast


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+00:00")


@pytest.mark.parametrize(
    ("started", "due"),
    [
        ("27T22:00", "28T06:00"),
        ("28T00:00", "28T06:00"),
        ("28T06:00", "29T06:00"),
        ("28T06:01", "29T06:00"),
    ],
)
def test_a_night_is_due_at_the_next_such_time_after_it_started(started: str, due: str) -> None:
    found = forecast(0.0, 1.0, 1, "06:00", at(started), at(started))
    assert found.due == at(due)
    assert not found.late


def test_workers_share_the_audio_from_the_time_of_the_plan() -> None:
    begun, planned = at("28T00:00"), at("28T01:00")
    found = forecast(10 * 3600 * 40.0, 40.0, 2, "06:00", begun, planned)
    assert found.ends == at("28T06:00")
    assert not found.late
    slower = forecast(10 * 3600 * 40.0, 40.0, 1, "06:00", begun, planned)
    assert slower.late
    assert slower.sentence() == (
        "400.0 h of audio at RTFx 40.0 on 1 worker(s): done at 2026-11-28 11:00 UTC, 300 min after "
        "it is due"
    )


@given(
    started=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    hours=st.integers(-12, 12),
    minute=st.integers(0, 24 * 60 - 1),
)
def test_no_night_is_due_before_it_started_or_after_a_day(
    started: datetime, hours: int, minute: int
) -> None:
    zoned = started.replace(tzinfo=timezone(timedelta(hours=hours)))
    found = forecast(0.0, 1.0, 1, f"{minute // 60:02}:{minute % 60:02}", zoned, zoned)
    assert timedelta(0) < found.due - zoned <= timedelta(days=1)
    assert found.due.tzinfo is UTC
