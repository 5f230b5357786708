"""Two systems on the same recordings: what differs, and which recordings changed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from evaluation.measure.changed import most_changed, most_worsened
from evaluation.measure.comparison import compare
from evaluation.measure.scoring import score
from tests.evaluation.conftest import PairMaker, table


def test_recordings_in_which_nothing_is_said_have_no_rate_to_quote(pair: PairMaker) -> None:
    rows = [
        pair(recording_id=f"r{number}", reference="", hypothesis=hypothesis)
        for hypothesis in ("", "thank you")
        for number in range(3)
    ]
    compared = compare(table(*rows[:3]), table(*rows[3:])).to_pylist()
    assert [(row["metric"], row["headline"]) for row in compared] == [
        ("wer", False),
        ("cer", False),
    ]


def test_a_system_does_not_differ_from_itself(sample_pairs: pa.Table) -> None:
    rows = compare(sample_pairs, sample_pairs).to_pylist()
    assert {row["metric"] for row in rows} == {"wer", "cer", "lid_accuracy", "bleu", "chrf"}
    for row in rows:
        assert row["difference"] == 0
        assert row["better"] is None
        assert row["p_value"] in (None, 1.0)
    assert most_changed(sample_pairs, sample_pairs, 3) == [[]] * len(
        {(row["dataset"], row["language"], row["task"]) for row in rows}
    )


def test_both_sides_are_what_scoring_says(sample_pairs: pa.Table) -> None:
    """Each side's values, over the recordings that both have, are its scores."""
    silent = table(*({**row, "hypothesis": ""} for row in sample_pairs.to_pylist()))
    scores = {
        (row["language"], row["task"], row["metric"]): row["value"]
        for row in score(sample_pairs).to_pylist()
    }
    compared = {
        (row["language"], row["task"], row["metric"]): row
        for row in compare(silent, sample_pairs).to_pylist()
    }
    assert compared.keys() == {
        key for key in scores if key[2] in ("wer", "cer", "lid_accuracy", "bleu", "chrf")
    }
    for key, row in compared.items():
        assert row["candidate"] == pytest.approx(scores[key])
        if row["metric"] in ("wer", "cer"):
            assert row["baseline"] == 1
            assert row["better"] is (row["candidate"] < 1)
        if row["metric"] == "bleu":
            assert row["baseline"] == 0
            assert row["better"]


def test_only_what_both_have_is_compared_by_the_newer_reference(pair: PairMaker) -> None:
    before = table(
        pair(recording_id="a", reference="night train", hypothesis="night rain", model_id="old"),
        pair(recording_id="b", reference="harbour", hypothesis="arbour", model_id="old"),
        pair(recording_id="c", reference="only here", hypothesis="x", model_id="old"),
    )
    after = table(
        pair(recording_id="a", reference="night rain", hypothesis="night", model_id="new"),
        pair(recording_id="b", reference="harbour", hypothesis="harbour", model_id="new"),
        pair(recording_id="d", reference="only there", hypothesis="x", model_id="new"),
    )
    [wer, _] = compare(before, after).to_pylist()
    assert wer["headline"]
    assert wer["utterances"] == 2
    assert wer["baseline"] == wer["candidate"] == pytest.approx(1 / 3)
    [[first, second]] = most_changed(before, after, 5)
    changed = {one.candidate["recording_id"]: one.change for one in (first, second)}
    assert changed == {"a": 1, "b": -1}
    assert first.baseline["reference"] == first.candidate["reference"]
    made_up = "thanks for watching please subscribe to this channel"
    longer = table(pair(recording_id="a", reference="rain", hypothesis=f"rain {made_up}"))
    [[one]] = most_changed(before, longer, 5)
    # One error before, by the newer reference, and eight words that nobody said now.
    assert one.change == 8 - 1
    with pytest.raises(ValueError, match="recording a of test twice"):
        compare(before, table(*after.to_pylist(), pair(recording_id="a", model_id="other")))


def test_recordings_that_got_worse_are_named_worst_first(pair: PairMaker) -> None:
    group = ("test", "en", "transcribe")
    texts = {"same": "a b c", "better": "a b c", "worse": "a x", "worst": ""}
    before = table(
        *(
            pair(recording_id=name, reference="a b c", hypothesis="a b", detected_language="en")
            for name in texts
        )
    )
    after = table(
        *(
            pair(
                recording_id=name,
                reference="a b c",
                hypothesis="a b" if name == "same" else text,
                detected_language="fr" if name == "better" else "en",
            )
            for name, text in texts.items()
        )
    )
    worse = most_worsened(before, after, group, "wer", 5)
    assert [(one.candidate["recording_id"], one.change) for one in worse] == [
        ("worst", 2),
        ("worse", 1),
    ]
    assert len(most_worsened(before, after, group, "wer", 1)) == 1
    [mistaken] = most_worsened(before, after, group, "lid_accuracy", 5)
    assert mistaken.candidate["recording_id"] == "better"
    assert most_worsened(before, after, ("test", "de", "transcribe"), "wer", 5) == []
