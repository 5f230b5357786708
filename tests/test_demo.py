"""What the demo prints of a lake: the error rate of each condition that a manifest states."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evaluation.lake import evaluate_lake
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.evaluation.lakes import RECORDINGS, judged_lake
from tools.demo import QUERIES

[CONDITIONS] = [query for _, query in QUERIES if "condition" in query]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Evaluated twice. German is a telephone line, Chinese music; the English ones say nothing.

    Some recordings have a second source, which states the same or nothing.
    """
    made = judged_lake(tmp_path_factory.mktemp("conditions"))
    conditions = {"de": "telephone", "zh": "music"}
    sources = read(made, "SELECT * FROM sources ORDER BY member").to_pylist()
    stated = []
    for source in sources:
        condition = conditions.get(source["member"][:2])
        metadata = json.dumps({"condition": condition} if condition else {"room": "7"})
        copies = {"first": metadata, "again": metadata, "unlisted": None}
        stated += [
            {**source, "member": f"{name}/{source['member']}", "metadata": text}
            for name, text in copies.items()
        ]
    made.append("sources", rows_of("sources", stated, "again"))
    for run_id in ("one", "two"):
        assert evaluate_lake(made, run_id) is not None
    return made


def test_conditions_have_the_error_rate_of_their_recordings(lake: Lake) -> None:
    with connect(open_lake(lake.uri)) as connection:
        rows = connection.sql(CONDITIONS).fetchall()
        rates = dict(
            connection.execute(
                """SELECT language, round(100 * value, 1) FROM latest_scores
                   WHERE task = 'transcribe' AND headline"""
            ).fetchall()
        )
    assert rows == [
        ("music", RECORDINGS, rates["zh"]),
        ("telephone", RECORDINGS, rates["de"]),
    ]
    assert 0 < rates["zh"] < rates["de"]


def test_the_documented_query_finds_the_same(lake: Lake, repository: Path) -> None:
    page = (repository / "docs" / "lake.md").read_text(encoding="utf-8")
    [documented] = re.findall(r"-- under which conditions[^\n]*\n(.*?);", page, re.DOTALL)
    assert read(lake, documented).to_pylist() == read(lake, CONDITIONS).to_pylist()
