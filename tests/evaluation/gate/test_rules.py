"""Which rows the rules judge, and with which margin and action."""

from __future__ import annotations

from evaluation.gate.judging import judge
from evaluation.gate.rules import Override, Rules
from tests.evaluation.comparisons import a_difference, row, table


def test_only_the_headline_error_rate_is_judged() -> None:
    found = a_difference(0.1)
    chinese = [
        row(found, 300, language="zh", metric=metric, headline=metric == "cer")
        for metric in ("wer", "cer")
    ]
    assert [one.row["metric"] for one in judge(table(*chinese), Rules())] == ["cer"]


def test_a_metric_without_a_margin_is_not_judged() -> None:
    chrf = row(a_difference(-30.0), 300, metric="chrf", task="translate", headline=False)
    assert judge(table(chrf), Rules()) == []
    [verdict] = judge(table(chrf), Rules(margins={"chrf": 1.0}))
    assert verdict.alarm


def test_the_last_override_that_covers_a_row_prevails() -> None:
    languages = ("en", "de", "zh-TW")
    found = table(*(row(a_difference(0.02), 300, language=language) for language in languages))
    rules = Rules(
        overrides=[
            Override(margin=5.0),
            Override(language="German", margin=0.1),
            Override(language="zh", action="ignore"),
            Override(dataset="another", margin=0.0),
        ]
    )
    verdicts = {one.row["language"]: one for one in judge(found, rules)}
    assert verdicts.keys() == {"en", "de"}
    assert (verdicts["en"].margin, verdicts["en"].alarm) == (5.0, False)
    assert (verdicts["de"].margin, verdicts["de"].alarm) == (0.1, True)


def test_an_override_without_a_metric_adds_no_margins() -> None:
    chrf = row(a_difference(-30.0), 300, metric="chrf", headline=False)
    assert judge(table(chrf), Rules(overrides=[Override(margin=1.0)])) == []
    assert judge(table(chrf), Rules(overrides=[Override(metric="chrf", margin=1.0)]))[0].alarm


def test_a_rule_for_a_variety_is_for_that_one_only() -> None:
    rules = Rules(overrides=(Override(language="zh_tw", action="ignore"),))
    actions = {tag: rules.action_for("cv", tag, "transcribe") for tag in ("zh-TW", "zh-CN", "zh")}
    assert actions == {"zh-TW": "ignore", "zh-CN": "fail", "zh": "fail"}
    everywhere = Rules(overrides=(Override(language="Chinese", action="ignore"),))
    assert {everywhere.action_for("cv", tag, "transcribe") for tag in actions} == {"ignore"}
