"""The profile names methods that are there, and its shares add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engines import Setup
from benchmarks.profile import HOST, STAGES, found, profile


@pytest.mark.parametrize("place", [place for places in STAGES.values() for place in places])
def test_every_method_that_it_times_is_there(place: str) -> None:
    owner, name = found(place)
    assert callable(getattr(owner, name))


def test_stages_add_up_to_the_whole(checkpoint: Path, recordings: list[str]) -> None:
    setup = Setup(str(checkpoint), "cpu", threads=1, batch_size=1, conditioned=False)
    told = profile("nightscribe", setup, recordings, [])
    assert sum(spent.seconds for spent in told.stages.values()) == pytest.approx(told.wall_s)
    for stage in ("mel", "encode", "read prompts", "decode steps", "logit rules"):
        assert told.stages[stage].calls > 0
        assert told.stages[stage].seconds > 0
    assert told.windows >= 3
    assert HOST in str(told)
