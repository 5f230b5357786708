"""What an evaluation leaves in the lake: verdicts, and the errors of each transcript."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.gate.rules import Rules
from evaluation.lake import evaluate_lake
from evaluation.pairs.choices import NothingToCompare
from evaluation.pairs.systems import Chosen
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.evaluation.lakes import RECORDINGS, judged_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = judged_lake(tmp_path_factory.mktemp("judged"))
    assert evaluate_lake(made, "night") is not None
    return made


def test_the_gate_of_an_evaluation_is_in_the_lake(lake: Lake) -> None:
    [gate] = read(lake, "FROM gates").to_pylist()
    assert (gate["state"], gate["judged_groups"], gate["worse_groups"]) == ("closed", 2, 1)
    assert (gate["groups_without_baseline"], gate["rules"]) == (2, "default")
    [score_id] = set(read(lake, "FROM scores")["score_id"].to_pylist())
    assert gate["score_id"] == score_id
    verdicts = read(lake, "FROM verdicts").to_pylist()
    assert {(one["language"], one["task"], one["metric"]): one["verdict"] for one in verdicts} == {
        ("de", "transcribe", "wer"): "worse",
        ("de", "transcribe", "lid_accuracy"): "held",
        ("en", "transcribe", "wer"): "held",
        ("en", "transcribe", "lid_accuracy"): "held",
        ("de", "translate", None): "no baseline",
        ("zh", "transcribe", None): "no baseline",
    }


def test_every_scored_transcript_has_its_errors_and_they_add_up(lake: Lake) -> None:
    differing = read(
        lake,
        """SELECT language, task FROM (
             SELECT dataset, language, task, sum(errors) AS errors, sum(units) AS units,
               count(*) AS utterances FROM utterance_errors GROUP BY ALL) AS e
           JOIN scores AS s USING (dataset, language, task)
           WHERE headline AND (e.utterances <> s.utterances
             OR e.units IS DISTINCT FROM s.reference_units
             OR e.errors IS DISTINCT FROM substitutions + deletions + insertions)""",
    )
    assert differing.num_rows == 0
    rows = read(lake, "FROM utterance_errors").to_pylist()
    assert len(rows) == 4 * RECORDINGS
    for row in rows:
        assert len(row["listed"]) == row["error_runs"]
        assert sum(one["units"] for one in row["listed"]) == (row["errors"] or 0)


@pytest.mark.parametrize(
    ("language", "member", "errors"),
    [
        ("en", "en-01.wav", [("substitution", "9", "5", 5.5)]),  # its word
        ("zh", "zh-01.wav", [("substitution", "雨", "雪", 0.0)]),
        (
            "de",
            "de-01.wav",
            [
                ("substitution", "nach wien fährt", "noch linz gärt", 0.0),
                ("substitution", "zehn", "elf", 4.0),
                ("deletion", "von gleis neun ab", "", 4.0),
            ],
        ),
        (
            "de",
            "de-00.wav",
            [("deletion", "der nachtzug nach wien fährt um zehn uhr von gleis neun ab", "", 0.0)],
        ),
    ],
)
def test_errors_have_the_second_of_their_word_or_segment(
    language: str, member: str, errors: list[tuple[str, str, str, float]], lake: Lake
) -> None:
    [row] = read(
        lake,
        """SELECT listed FROM utterance_errors JOIN sources USING (recording_id)
           WHERE member = $member AND task = 'transcribe' AND language = $language""",
        member=member,
        language=language,
    ).to_pylist()
    found = [(e["kind"], e["reference"], e["hypothesis"], e["start_s"]) for e in row["listed"]]
    assert found == errors


def test_translations_have_a_score_and_no_errors(lake: Lake) -> None:
    rows = read(lake, "FROM utterance_errors WHERE task = 'translate'").to_pylist()
    assert {(row["metric"], row["errors"], row["error_runs"]) for row in rows} == {
        ("chrf", None, 0)
    }
    assert all(0 < row["chrf"] < 100 for row in rows)


def test_a_comparison_with_another_system_leaves_nothing(lake: Lake) -> None:
    before = [lake.table(name).version() for name in ("scores", "verdicts", "utterance_errors")]
    with pytest.raises(NothingToCompare, match="every transcript that has a reference is of"):
        evaluate_lake(lake, "compared", Rules(), Chosen(model="large-v3"))
    after = [lake.table(name).version() for name in ("scores", "verdicts", "utterance_errors")]
    assert after == before


def test_the_longest_errors_of_a_long_transcript_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.measure.located.LISTED", 2)
    lake = judged_lake(tmp_path)
    evaluate_lake(lake, "night")
    rows = read(lake, "FROM utterance_errors WHERE language = 'de' AND error_runs > 1").to_pylist()
    assert len(rows) == RECORDINGS - 1
    for row in rows:
        assert (row["errors"], row["error_runs"]) == (8, 3)
        kept = [error["reference"] for error in row["listed"]]
        assert kept == ["nach wien fährt", "von gleis neun ab"]


def test_views_hide_what_an_evaluation_left_that_was_killed_before_its_scores(lake: Lake) -> None:
    before = read(lake, "FROM gates").num_rows
    [verdict] = read(lake, "FROM verdicts WHERE closes").to_pylist()
    [errors] = read(lake, "FROM utterance_errors LIMIT 1").to_pylist()
    for name, row in (("verdicts", verdict), ("utterance_errors", errors)):
        lake.append(name, rows_of(name, [{**row, "score_id": "killed"}]))
        assert read(lake, f"FROM {name} WHERE score_id = 'killed'").num_rows == 0
    assert read(lake, "FROM gates").num_rows == before
