"""A figure beyond its limit fails, whatever the baseline and the statistics say."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.gate.findings import Findings, find
from evaluation.gate.rules import Override, Rules
from evaluation.measure.scoring import score
from evaluation.pairs.table import PAIRS
from tests.evaluation.conftest import PairMaker, table

TEXTS = {
    "en": ("the boat comes home", "the boat no no"),  # WER 50 %
    "zh": ("今天下雨", "今天下雪"),  # CER 25 %
}


@pytest.fixture
def candidate(pair: PairMaker) -> Any:
    rows = [
        pair(
            language=language,
            recording_id=f"{language}{n}",
            reference=reference,
            hypothesis=hypothesis,
            detected_language="en",
        )
        for language, (reference, hypothesis) in TEXTS.items()
        for n in range(2)
    ]
    rows += [
        pair(task="translate", recording_id=f"t{n}", reference="It rains today", hypothesis="No")
        for n in range(2)
    ]
    return table(*rows)


def judged(candidate: Any, **rules: Any) -> Findings:
    return find(score(candidate), PAIRS.empty_table(), candidate, Rules(**rules))


@pytest.mark.parametrize(
    ("limits", "messages"),
    [
        ({"wer": 49.9}, ["English (en) of test, transcribe: WER 50.00 % is above its limit of 49"]),
        ({"wer": 50}, []),
        ({"cer": 24}, ["English (en)", "Chinese (zh) of test, transcribe: CER 25.00 % is above"]),
        ({"lid_accuracy": 90}, ["Chinese (zh) of test, transcribe: LID 0.00 % is below its limit"]),
        ({"lid_accuracy": 0}, []),
        (
            {"bleu": 20},
            ["English (en) of test, translate: BLEU 0.00 is below its limit of 20.00 on"],
        ),
        ({"chrf": 90}, ["English (en) of test, translate: chrF++ "]),
        ({"wer": 1, "bleu": 99}, ["WER", "BLEU"]),
    ],
)
def test_every_metric_may_have_a_limit_without_a_baseline(
    limits: dict[str, float], messages: list[str], candidate: Any
) -> None:
    found = judged(candidate, limits=limits)
    assert found.against is None
    assert len(found.alarms) == len(messages)
    for part in messages:
        assert any(part in alarm for alarm in found.alarms)
    closing = [row for row in found.rows if row["closes"]]
    assert {row["verdict"] for row in closing} <= {"beyond limit"}
    assert len(closing) == len(messages)


@pytest.mark.parametrize(
    ("overrides", "alarms"),
    [
        ([Override(language="en", limits={"wer": 60})], 0),
        ([Override(language="German", limits={"wer": 60})], 1),
        ([Override(dataset="test", limits={"wer": 60})], 0),
        ([Override(metric="wer", action="warn")], 0),
        ([Override(task="transcribe", action="ignore")], 0),
        ([Override(dataset="test", limits={"wer": 60}), Override(limits={"wer": 40})], 1),
    ],
)
def test_overrides_change_limits_by_language_data_set_and_metric(
    overrides: list[Override], alarms: int, candidate: Any
) -> None:
    assert len(judged(candidate, limits={"wer": 40}, overrides=overrides).alarms) == alarms


def test_an_override_alone_sets_a_limit_for_what_it_covers(candidate: Any) -> None:
    found = judged(candidate, overrides=[Override(language="zh", limits={"cer": 5})])
    assert [alarm.partition(":")[0] for alarm in found.alarms] == [
        "Chinese (zh) of test, transcribe"
    ]


def test_a_limit_that_only_warns_closes_nothing(candidate: Any) -> None:
    found = judged(candidate, limits={"wer": 40}, action="warn")
    assert found.alarms == []
    assert len(found.warnings) == 1
    assert not any(row["closes"] for row in found.rows)


def test_words_have_no_limit_in_languages_without_spaces(candidate: Any) -> None:
    found = judged(candidate, limits={"wer": 1})
    assert {one.row["language"] for one in found.limits} == {"en"}


def test_limits_of_nothing_are_said(candidate: Any) -> None:
    [warning] = judged(candidate, overrides=[Override(language="de", limits={"wer": 1})]).warnings
    assert "no score has a limit" in warning
    assert judged(candidate).warnings == []


def test_references_without_a_word_have_no_rate_to_limit(pair: PairMaker) -> None:
    silence = table(pair(reference="", hypothesis="thank you for watching"))
    assert judged(silence, limits={"wer": 0, "cer": 0}).limits == []


def test_a_collapse_that_statistics_cannot_tell_fails_by_its_limit(pair: PairMaker) -> None:
    before, after = (
        table(
            *(
                pair(recording_id=f"r{n}", reference="the boat comes home", hypothesis=text)
                for n in range(4)
            )
        )
        for text in ("the boat comes home", "no")
    )
    found = find(score(after), before, after, Rules(limits={"wer": 60}))
    [alarm] = found.alarms
    assert alarm == (
        "English (en) of test, transcribe: WER 100.00 % is above its limit of 60.00 % on 4 "
        "recordings"
    )
    verdicts = {row["verdict"]: row for row in found.rows}
    assert verdicts.keys() == {"beyond limit", "too few to tell"}
    assert verdicts["beyond limit"]["limit_points"] == 60


def test_only_the_newest_system_of_a_group_is_limited(pair: PairMaker) -> None:
    rows = [
        pair(recording_id=f"r{n}", reference="a boat", hypothesis=text, model_id=model)
        for n in range(2)
        for model, text in (("old", "no no"), ("new", "a boat"))
    ]
    newest = table(*(row for row in rows if row["model_id"] == "new"))
    found = find(score(table(*rows)), PAIRS.empty_table(), newest, Rules(limits={"wer": 60}))
    assert [one.row["model_id"] for one in found.limits] == ["new"]
    assert found.alarms == []
