"""The rows that say what the rules of a gate said."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from evaluation.gate.findings import find
from evaluation.gate.rules import Override, Rules
from evaluation.measure.scoring import score
from evaluation.pairs.table import PAIRS
from tests.evaluation.conftest import PairMaker, table


@pytest.fixture
def baseline(pair: PairMaker) -> pa.Table:
    """Twelve perfect recordings each of English and German, three of French."""
    return table(
        *(
            pair(
                language=language, recording_id=f"{language}{n}", reference="a b", hypothesis="a b"
            )
            for language, count in (("en", 12), ("de", 12), ("fr", 3))
            for n in range(count)
        )
    )


def rows(baseline: pa.Table, candidate: pa.Table, rules: Rules) -> dict[Any, dict[str, Any]]:
    """Language and metric → row."""
    found = find(score(candidate), baseline, candidate, rules)
    return {(row["language"], row.get("metric")): row for row in found.rows}


def test_each_group_has_its_verdict(baseline: pa.Table, pair: PairMaker) -> None:
    candidate = table(
        *(
            pair(
                language=language,
                recording_id=f"{language}{n}",
                reference="a b",
                hypothesis=text,
                model="new",
            )
            for language, count, text in (
                ("en", 12, "a b"),
                ("de", 12, "x y"),
                ("fr", 1, "a b"),
                ("es", 2, "a b"),
            )
            for n in range(count)
        )
    )
    found = rows(baseline, candidate, Rules())
    assert {key: (row["verdict"], row["closes"]) for key, row in found.items()} == {
        ("en", "wer"): ("held", False),
        ("de", "wer"): ("worse", True),
        ("fr", None): ("incomplete", False),
        ("fr", "wer"): ("too few to tell", False),
        ("es", None): ("no baseline", False),
    }
    german = found["de", "wer"]
    assert (german["baseline"], german["value"], german["margin"]) == (0, 1, 0.5)
    assert (german["model"], german["baseline_model"]) == ("new", "tiny")
    assert german["p_value"] < 0.05
    assert (found["fr", "wer"]["utterances"], found["fr", "wer"]["baseline_utterances"]) == (1, 3)
    assert "baseline_model" not in found["es", None]

    better = rows(candidate, baseline, Rules())
    assert better["de", "wer"]["verdict"] == "better"
    assert better["es", None]["verdict"] == "missing"
    assert "model" not in better["es", None]


def test_what_only_warns_does_not_close_the_gate_and_what_is_ignored_is_not_judged(
    baseline: pa.Table, pair: PairMaker
) -> None:
    candidate = table(
        *(
            pair(language=language, recording_id=f"{language}{n}", reference="a b", hypothesis="x")
            for language in ("de", "en")
            for n in range(12)
        )
    )
    rules = Rules(action="warn", overrides=[Override(language="en", action="ignore")])
    found = rows(baseline, candidate, rules)
    assert {key: (row["verdict"], row["action"], row["closes"]) for key, row in found.items()} == {
        ("de", "wer"): ("worse", "warn", False),
        ("fr", None): ("missing", "warn", False),
    }
    assert rows(baseline, candidate, Rules())["fr", None]["closes"]


def test_without_any_baseline_no_group_has_one(baseline: pa.Table) -> None:
    found = rows(PAIRS.empty_table(), baseline, Rules())
    assert {key: row["verdict"] for key, row in found.items()} == {
        (language, None): "no baseline" for language in ("en", "de", "fr")
    }
