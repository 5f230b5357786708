"""Pairs in, scores out: what is compared with what, and under which name."""

from __future__ import annotations

import jiwer
import pyarrow as pa
import pytest
from sacrebleu.metrics import BLEU, CHRF
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from evaluation.measure.metrics import METRICS
from evaluation.measure.scoring import SCORES, score
from evaluation.pairs.table import PAIRS
from nightscribe.lake import schema as lake_schema
from tests.evaluation.conftest import PairMaker, by_metric, table


def test_scores_fit_the_lakes_table() -> None:
    added_on_writing = {"score_id", "run_id", "created_at", "sequence"}
    expected = [field for field in lake_schema.SCORES if field.name not in added_on_writing]
    assert [(field.name, field.type, field.nullable) for field in SCORES] == [
        (field.name, field.type, field.nullable) for field in expected
    ]


def test_every_language_scores_as_jiwer_does_after_whispers_normalizer(
    samples: dict[str, tuple[tuple[str, str], ...]], sample_pairs: pa.Table
) -> None:
    rows = score(sample_pairs).to_pylist()
    assert {row["language"] for row in rows} == set(samples)
    for language, texts in samples.items():
        unspaced = language in ("zh", "ja", "th", "my")
        normalizer = (
            EnglishTextNormalizer()
            if language == "en"
            else BasicTextNormalizer(split_letters=unspaced)
        )
        references = [normalizer(reference) for reference, _ in texts]
        hypotheses = [normalizer(hypothesis) for _, hypothesis in texts]
        value = {row["metric"]: row["value"] for row in rows if row["language"] == language}
        assert value["wer"] == pytest.approx(jiwer.wer(references, hypotheses))
        assert value["mer"] == pytest.approx(jiwer.mer(references, hypotheses))
        assert value["wil"] == pytest.approx(jiwer.wil(references, hypotheses))
        if unspaced or language == "ko":
            together = [text.replace(" ", "") for text in references + hypotheses]
            expected = jiwer.cer(together[: len(references)], together[len(references) :])
        else:
            expected = jiwer.cer(references, hypotheses)
        assert value["cer"] == pytest.approx(expected), language


def test_translations_are_scored_on_plain_text(sample_pairs: pa.Table) -> None:
    reference = ["Tonight it is going to rain on the library, Sara."] * 2
    hypothesis = ["Tonight it is going to rain in the de library."] * 2
    rows = [
        row
        for row in score(sample_pairs).to_pylist()
        if row["language"] == "de" and row["task"] == "translate"
    ]
    assert [row["metric"] for row in rows] == ["bleu", "chrf"]
    assert rows[0]["value"] == BLEU().corpus_score(hypothesis, [reference]).score
    assert rows[1]["value"] == CHRF(word_order=2).corpus_score(hypothesis, [reference]).score
    assert "tok:13a" in rows[0]["signature"]


def test_the_headline_is_cer_where_no_spaces_are_written(sample_pairs: pa.Table) -> None:
    headlines = {
        (row["language"], row["task"]): row["metric"]
        for row in score(sample_pairs).to_pylist()
        if row["headline"]
    }
    assert headlines["en", "transcribe"] == headlines["ko", "transcribe"] == "wer"
    assert headlines["zh", "transcribe"] == headlines["th", "transcribe"] == "cer"
    assert headlines["zh", "translate"] == "bleu"


def test_groups_are_scored_apart(pair: PairMaker) -> None:
    scores = score(
        table(
            pair(reference="a b", hypothesis="a b"),
            pair(reference="a b", hypothesis="a", options_key="other"),
            pair(reference="a b", hypothesis="", model_id="x" * 64),
            pair(reference="a b", hypothesis="a b c d", dataset="second"),
        )
    )
    wer = [row["value"] for row in scores.to_pylist() if row["metric"] == "wer"]
    assert sorted(wer) == [0.0, 0.5, 1.0, 1.0]


def test_silence_has_no_headline_and_shows_its_insertions(pair: PairMaker) -> None:
    pairs = table(
        pair(recording_id="1", reference="", hypothesis="Thanks for watching"),
        pair(recording_id="2", reference="(music)", hypothesis=""),
    )
    wer = by_metric(score(pairs))["wer"]
    assert (wer["reference_units"], wer["insertions"], wer["headline"]) == (0, 3, False)


def test_the_order_of_rows_changes_nothing(sample_pairs: pa.Table) -> None:
    backwards = sample_pairs.take(list(range(sample_pairs.num_rows))[::-1])
    assert score(backwards) == score(sample_pairs)


def test_pairs_that_cannot_be_scored_are_named(pair: PairMaker) -> None:
    with pytest.raises(ValueError, match="lack the columns hypothesis, detected_language"):
        score(table(pair()).drop_columns(["hypothesis", "detected_language"]))
    with pytest.raises(ValueError, match="unknown task 'summarize'"):
        score(table(pair(task="summarize")))
    loose = pa.schema([field.with_nullable(True) for field in PAIRS])
    with pytest.raises(ValueError, match="column reference has 1 nulls"):
        score(pa.Table.from_pylist([pair(reference=None)], schema=loose))


def test_no_pairs_give_no_scores() -> None:
    assert score(PAIRS.empty_table()) == SCORES.empty_table()


def test_every_metric_of_a_score_is_known(sample_pairs: pa.Table, pair: PairMaker) -> None:
    silence = sample_pairs.append_column("letters", pa.array([4] * sample_pairs.num_rows))
    silence = silence.append_column("letters_over_silence", silence["letters"])
    nobody = table(pair(language="zxx")).append_column("duration_s", pa.array([60.0]))
    everything = pa.concat_tables([silence, nobody], promote_options="default")
    assert set(score(everything)["metric"].to_pylist()) == METRICS.keys()
