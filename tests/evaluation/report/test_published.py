"""Each of OpenAI's figures is found for its data set, split, variety and model only."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pyarrow as pa
import pytest

from evaluation.measure.scoring import SCORES, evaluate
from evaluation.report.by_language import by_system
from evaluation.report.published import (
    MODEL_IDS,
    Published,
    comparable,
    published,
    published_figures,
)
from tests.evaluation.conftest import make_pair, table

FIGURES = published_figures()
NAMES = {
    "Common Voice 15": ("common_voice_15", "Common Voice 15 test", "cv-corpus-15.0", "CV15"),
    "FLEURS": ("fleurs", "FLEURS test", "google/fleurs"),
}
OTHERS = ("common_voice_17", "Common Voice 150", "fleurs_noisy", "my fleurs", "librispeech")
IDS = [f"{one.dataset} {one.variety or one.language}" for one in FIGURES]


def tag(figure: Published) -> str:
    return figure.variety or figure.language


def found(figure: Published, **changes: str | None) -> Published | None:
    wanted = {
        "dataset": figure.dataset,
        "split": figure.split,
        "model": figure.model,
        "model_id": figure.model,
        "language": tag(figure),
    }
    return published(**{**wanted, **changes})  # type: ignore[arg-type]


def test_the_table_has_all_figures_of_the_source() -> None:
    assert Counter(one.dataset for one in FIGURES) == {"Common Voice 15": 57, "FLEURS": 61}
    assert len({(one.dataset, tag(one)) for one in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize("figure", FIGURES, ids=IDS)
def test_a_figure_is_found_where_everything_is_as_in_its_source(figure: Published) -> None:
    assert found(figure) == figure
    for name in NAMES[figure.dataset]:
        assert found(figure, dataset=name) == figure, name
    for model in ("whisper-large-v3", "openai/whisper-large-v3"):
        assert found(figure, model=model) == figure
    assert found(figure, model="/models/a.pt", model_id=MODEL_IDS["large-v3"]) == figure
    assert found(figure, dataset=f"{figure.dataset} test", split=None) == figure


@pytest.mark.parametrize("figure", FIGURES, ids=IDS)
def test_a_figure_is_found_nowhere_else(figure: Published) -> None:
    for name in OTHERS:
        assert found(figure, dataset=name) is None, name
    for split in ("dev", "train", "validated", None):
        assert found(figure, split=split) is None, split
    for model in ("large-v2", "large-v3-turbo", "large", "tiny", "large-v3-german"):
        assert found(figure, model=model) is None, model
    assert found(figure, model_id="0" * 64) is None
    elsewhere = found(figure, language=f"{figure.language}-AQ")
    assert elsewhere is None
    plain = found(figure, language=figure.language)
    same = [
        one for one in FIGURES if (one.dataset, one.language) == (figure.dataset, figure.language)
    ]
    assert plain == (figure if len(same) == 1 else None)


@cache
def scores_in(code: str) -> list[dict[str, Any]]:
    """The scores of one recording in a language."""
    pair = make_pair(language=code, reference="a b", hypothesis="a")
    rows: list[dict[str, Any]] = evaluate(table(pair)).scores.to_pylist()
    return rows


@pytest.mark.parametrize("figure", FIGURES, ids=IDS)
def test_a_figure_stands_beside_a_score_of_its_metric_and_normalizer(figure: Published) -> None:
    facts = {
        "dataset": figure.dataset,
        "variety": figure.variety,
        "split": figure.split,
        "model": figure.model,
        "model_id": MODEL_IDS[figure.model],
    }
    rows = [row | facts for row in scores_in(figure.language)]
    [system] = by_system(pa.Table.from_pylist(rows, schema=SCORES))
    beside = comparable(system.languages[0])
    assert beside is not None
    assert beside.percent == figure.percent
    assert beside.score["metric"].partition("_")[0] == figure.metric
    assert f"|normalizer:{figure.normalizer}|" in beside.score["signature"]
    rows = [row | {"signature": "unit:word|normalizer:other|"} for row in rows]
    [system] = by_system(pa.Table.from_pylist(rows, schema=SCORES))
    assert comparable(system.languages[0]) is None


def test_regions_of_chinese_have_their_own_figures() -> None:
    percent = {tag(one): one.percent for one in FIGURES if one.dataset == "Common Voice 15"}
    assert {name: percent[name] for name in ("zh-CN", "zh-TW", "zh-HK", "yue")} == {
        "zh-CN": 12.8,
        "zh-TW": 8.2,
        "zh-HK": 15.9,
        "yue": 10.9,
    }
