"""The profile names functions that exist, and its shares add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engines import Setup
from benchmarks.profile import HOST, STAGES, found, profile


@pytest.mark.parametrize("place", [place for places in STAGES.values() for place in places])
def test_every_function_that_is_timed_exists(place: str) -> None:
    owner, name = found(place)
    assert callable(getattr(owner, name))


def test_stages_add_up_to_the_whole(checkpoint: Path, recordings: list[str]) -> None:
    setup = Setup(str(checkpoint), "cpu", threads=1, batch_size=1, conditioned=False)
    result = profile("nightscribe", setup, recordings, [])
    assert sum(spent.seconds for spent in result.stages.values()) == pytest.approx(result.wall_s)
    for stage in ("mel", "encode", "prefill", "decode steps", "token rules"):
        assert result.stages[stage].calls > 0
        assert result.stages[stage].seconds > 0
    assert result.windows >= 3
    assert HOST in str(result)
