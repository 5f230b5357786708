"""Where a recording lies, and which group it belongs to."""

from __future__ import annotations

from evaluation.pairs.table import group_of, location
from tests.evaluation.conftest import PairMaker


def test_a_recording_lies_at_its_source_if_that_is_known(pair: PairMaker) -> None:
    assert location(pair(source="file:///a!/b.wav")) == "file:///a!/b.wav"
    assert location(pair(source=None)) == location(pair()) == "r0"


def test_a_group_is_a_data_set_a_language_and_a_task(pair: PairMaker) -> None:
    assert group_of(pair(language="de", task="translate")) == ("test", "de", "translate")
