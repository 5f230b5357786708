"""The recordings to listen to first."""

from __future__ import annotations

from evaluation.measure.scoring import evaluate
from tests.evaluation.conftest import PairMaker, table


def test_worst_recordings_are_worse_than_their_length_explains(pair: PairMaker) -> None:
    long = " ".join(["word"] * 200)
    pairs = table(
        pair(recording_id="perfect", reference="a b c", hypothesis="a b c"),
        pair(recording_id="long", reference=long, hypothesis=long.replace("word", "ward", 5)),
        pair(recording_id="short", reference="yes", hypothesis="no"),
        pair(recording_id="bad", reference="a b c d e f", hypothesis="x y z"),
    )
    [worst] = evaluate(pairs, 10).worst
    assert [recording.pair["recording_id"] for recording in worst] == ["bad", "short", "long"]
    assert (worst[0].errors, worst[0].units) == (6, 6)


def test_worst_translations_have_the_lowest_chrf(pair: PairMaker) -> None:
    texts = {"right": "It rains.", "near": "It rained.", "far": "Buy fish", "none": ""}
    pairs = table(
        *(
            pair(recording_id=name, task="translate", reference="It rains.", hypothesis=text)
            for name, text in texts.items()
        )
    )
    [worst] = evaluate(pairs, 10).worst
    found = [recording.pair["recording_id"] for recording in worst]
    assert found[-1] == "near"
    assert set(found) == {"near", "far", "none"}
