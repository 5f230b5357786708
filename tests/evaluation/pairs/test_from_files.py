"""Two files: what has no text counts against its reference or is counted as left out."""

from __future__ import annotations

import json
from pathlib import Path

import jiwer
import pytest
from sacrebleu.metrics import BLEU, CHRF

from evaluation.__main__ import main
from evaluation.measure.scoring import score
from evaluation.pairs.from_files import Joined, join
from tests.evaluation.conftest import by_metric

BOTH = ("transcribe", "translate")
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
IDS = [f"r{number:02}" for number in range(20)]
TEXT = {name: " ".join(WORDS[(at + n) % 10] for n in range(7)) for at, name in enumerate(IDS)}
MISSING = set(IDS[::3])  # seven of them


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def references(folder: Path) -> Path:
    rows = [f"{name},es,{text},{text}" for name, text in TEXT.items()]
    return write(folder / "refs.csv", ["id,language,text,translation", *rows])


def joined(folder: Path, hypotheses: Path, tasks: tuple[str, ...] = BOTH) -> Joined:
    return join(references(folder), hypotheses, tasks=tasks, dataset="refs", model="m")


def hypotheses(folder: Path, kind: str) -> Path:
    """A file in which the texts of `MISSING` are not there, in one of several ways."""
    if kind == "empty":
        rows = [f"{name}," if name in MISSING else f"{name},{TEXT[name]}" for name in IDS]
        return write(folder / "hyps.csv", ["id,translation", *rows])
    if kind == "spaces":
        rows = [f"{name}\t  " if name in MISSING else f"{name}\t{TEXT[name]}" for name in IDS]
        return write(folder / "hyps.tsv", ["id\ttranslation", *rows])
    if kind == "no line":
        rows = [f"{name},{TEXT[name]}" for name in IDS if name not in MISSING]
        return write(folder / "hyps.csv", ["id,translation", *rows])
    if kind == "short line":
        rows = [name if name in MISSING else f"{name},{TEXT[name]}" for name in IDS]
        return write(folder / "hyps.csv", ["id,translation", *rows])
    values = {"null": {"translation": None}, "no key": {}, "empty JSON": {"translation": ""}}[kind]
    rows = [
        json.dumps({"id": name, **(values if name in MISSING else {"translation": TEXT[name]})})
        for name in IDS
    ]
    return write(folder / "hyps.jsonl", rows)


@pytest.mark.parametrize("kind", ["empty", "spaces", "empty JSON"])
def test_an_empty_translation_counts_against_its_reference(kind: str, tmp_path: Path) -> None:
    found = joined(tmp_path, hypotheses(tmp_path, kind))
    assert found.missing == 0
    scores = by_metric(score(found.pairs))
    given = ["" if name in MISSING else TEXT[name] for name in IDS]
    wanted = [[TEXT[name] for name in IDS]]
    assert scores["bleu"]["value"] == pytest.approx(BLEU().corpus_score(given, wanted).score)
    assert scores["chrf"]["value"] == pytest.approx(
        CHRF(word_order=2).corpus_score(given, wanted).score
    )
    assert scores["bleu"]["value"] < 70
    assert scores["bleu"]["utterances"] == len(IDS)


@pytest.mark.parametrize("kind", ["no line", "short line", "null", "no key"])
def test_a_missing_translation_is_left_out_and_counted(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hypotheses(tmp_path, kind)
    found = joined(tmp_path, path)
    assert (found.pairs.num_rows, found.missing) == (13, 7)
    assert found.references == {("refs", "es", "translate"): 20}
    arguments = ["--references", str(tmp_path / "refs.csv"), "--hypotheses", str(path)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "13 of 20" in printed.out
    assert "left out 7 ids" in printed.err
    assert main([*arguments, "--strict"]) == 4


def test_empty_and_missing_transcripts_score_as_jiwer_does(tmp_path: Path) -> None:
    rows = [f"{name},{'' if name in MISSING else TEXT[name]}" for name in IDS]
    found = joined(tmp_path, write(tmp_path / "hyps.csv", ["id,text", *rows]))
    given = ["" if name in MISSING else TEXT[name] for name in IDS]
    scores = by_metric(score(found.pairs))
    assert scores["wer"]["value"] == pytest.approx(jiwer.wer(list(TEXT.values()), given))
    assert scores["cer"]["value"] == pytest.approx(jiwer.cer(list(TEXT.values()), given))
    rest = [name for name in IDS if name not in MISSING]
    fewer = [f"{name},{TEXT[name]} more" for name in rest]
    found = joined(tmp_path, write(tmp_path / "hyps.csv", ["id,text", *fewer]))
    expected = jiwer.wer([TEXT[name] for name in rest], [f"{TEXT[name]} more" for name in rest])
    assert by_metric(score(found.pairs))["wer"]["value"] == pytest.approx(expected)


def test_a_task_that_no_hypothesis_has_a_column_for_is_not_scored(tmp_path: Path) -> None:
    path = write(tmp_path / "hyps.csv", ["id,text", *(f"{name},a" for name in IDS)])
    found = joined(tmp_path, path)
    assert set(found.references) == {("refs", "es", "transcribe")}
    assert found.missing == 0


def test_a_column_without_any_text_is_a_system_that_wrote_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "hyps.csv", ["id,text,translation", *(f"{name},a," for name in IDS)])
    scores = score(joined(tmp_path, path).pairs).to_pylist()
    [bleu] = [row for row in scores if row["metric"] == "bleu"]
    assert (bleu["value"], bleu["utterances"]) == (0, 20)
    # With one task, the English text may be in the other column.
    english = joined(tmp_path, path, ("translate",))
    assert set(english.pairs["hypothesis"].to_pylist()) == {"a"}


def test_strict_refuses_hypotheses_for_unknown_references(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{name},{TEXT[name]}" for name in IDS]
    path = write(tmp_path / "hyps.csv", ["id,text", *rows])
    arguments = ["--references", str(references(tmp_path)), "--hypotheses", str(path), "--strict"]
    assert main(arguments) == 0
    write(path, ["id,text", *rows, "unknown,a"])
    assert main(arguments) == 4
    assert "'unknown'" in capsys.readouterr().err


def test_a_language_without_any_hypothesis_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refs = write(tmp_path / "refs.csv", ["id,language,text", "a,de,eins", "b,fr,un", "c,fr,deux"])
    hyps = write(tmp_path / "hyps.csv", ["id,text", "a,eins"])
    assert main(["--references", str(refs), "--hypotheses", str(hyps)]) == 0
    error = capsys.readouterr().err
    assert "French (fr) of refs, transcribe: none of 2 references has a transcript" in error


def test_splits_speakers_and_sessions_of_references_count(tmp_path: Path) -> None:
    header = "id,language,text,split,speaker,session"
    rows = ["a,de,eins,test,anna,", "b,de,zwei,dev,anna,1", "c,de,drei,dev,ben,1", "d,de,vier,,,"]
    refs = write(tmp_path / "refs.csv", [header, *rows])
    hyps = write(tmp_path / "hyps.csv", ["id,text,speaker", *(f"{one},x,y" for one in "abcd")])
    found = join(refs, hyps, tasks=BOTH, dataset="calls", model="m")
    assert found.references == {
        ("calls", "de", "transcribe"): 2,
        ("calls-dev", "de", "transcribe"): 2,
    }
    units = {
        row["dataset"]: (row["sampling_unit"], row["sampling_units"])
        for row in score(found.pairs).to_pylist()
    }
    assert units == {"calls": ("speaker", 2), "calls-dev": ("session", 1)}
