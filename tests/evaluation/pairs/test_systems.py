"""Of a lake's many systems, one per group is compared."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from evaluation.pairs.systems import Chosen, chosen_and_other, newest_chosen, newest_systems
from evaluation.pairs.table import PAIRS
from tests.evaluation.conftest import PairMaker

# Two models, the second with two sets of options; German was last transcribed by the first.
TRANSCRIBED = (
    ("en", "old-model", "plain", 1),
    ("en", "new-model", "plain", 2),
    ("en", "new-model", "beams", 3),
    ("de", "new-model", "plain", 1),
    ("de", "old-model", "plain", 4),
)


@pytest.fixture(params=["by clocks", "by commits"])
def pairs(pair: PairMaker, request: pytest.FixtureRequest) -> pa.Table:
    """By commits, the clocks say the opposite."""
    by_commits = request.param == "by commits"
    rows = [
        pair(
            language=language,
            model_id=f"{model}-id",
            model=model,
            options_key=options,
            recording_id=recording,
        )
        | {
            "transcribed_at": datetime(2025, 1, 9 - day if by_commits else day, tzinfo=UTC),
            "sequence": day if by_commits else None,
        }
        for language, model, options, day in TRANSCRIBED
        for recording in ("a", "b")
    ]
    schema = pa.schema(
        [
            *PAIRS,
            pa.field("transcribed_at", pa.timestamp("us", "UTC")),
            pa.field("sequence", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def systems(found: pa.Table) -> dict[str, tuple[str, str, int]]:
    """Language → model, options and number of recordings."""
    rows = found.to_pylist()

    def of(language: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["language"] == language]

    return {
        row["language"]: (row["model"], row["options_key"], len(of(row["language"])))
        for row in rows
    }


def test_the_newest_system_of_each_group_is_kept_whole(pairs: pa.Table) -> None:
    assert systems(newest_systems(pairs)) == {
        "en": ("new-model", "beams", 2),
        "de": ("old-model", "plain", 2),
    }


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        (Chosen(), {"en": "new-model", "de": "old-model"}),
        (Chosen(model="old-model"), {"en": "old-model", "de": "old-model"}),
        (Chosen(model="new-model-i"), {"en": "new-model", "de": "new-model"}),
        (Chosen(options_key="bea"), {"en": "new-model"}),
        (Chosen(languages=["German"]), {"de": "old-model"}),
        (Chosen(dataset="another"), {}),
        (Chosen(task="translate"), {}),
    ],
)
def test_only_what_is_chosen_is_kept(pairs: pa.Table, chosen: Chosen, kept: dict[str, str]) -> None:
    found = systems(newest_chosen(pairs, chosen))
    assert {language: model for language, (model, _, _) in found.items()} == kept


def test_a_chosen_system_is_compared_with_the_newest_other(pairs: pa.Table) -> None:
    chosen, other = chosen_and_other(pairs, Chosen(model="new-model"))
    assert systems(chosen) == {"en": ("new-model", "beams", 2), "de": ("new-model", "plain", 2)}
    assert systems(other) == {"en": ("old-model", "plain", 2), "de": ("old-model", "plain", 2)}
