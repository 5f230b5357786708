"""All references of a lake are counted, and its splits are scored apart."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import jiwer
import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.lake import evaluate_lake
from evaluation.pairs.from_lake import baseline_pairs
from evaluation.pairs.systems import Chosen
from nightscribe import cli
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.evaluation.lakes import MODEL, NIGHT, transcribe
from tests.nights import write_noise

SAID = "eins zwei drei vier fünf"
LIST = """path,language,text,split,speaker
a.wav,de,eins zwei drei vier fünf,test,anna
b.wav,de,eins zwei drei vier fünf,test,anna
c.wav,de,eins zwei drei vier fünf,,ben
d.wav,de,eins zwei drei vier fünf,dev,ben
e.wav,de,eins zwei drei vier fünf,dev,carl
silent.wav,de,eins zwei drei vier fünf,test,carl
late.wav,de,eins zwei drei vier fünf,test,carl
empty.wav,de,eins zwei drei vier fünf,test,carl
gone.wav,de,eins zwei drei vier fünf,test,carl
one.wav,de,eins zwei drei vier fünf,test,carl
same.wav,de,something else,test,carl
f.wav,fr,un deux trois,test,
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in a lake. One file is empty and one missing; two are the same audio."""
    made = tmp_path_factory.mktemp("references")
    calls = made / "calls"
    calls.mkdir()
    for seed, name in enumerate(("a", "b", "c", "d", "e", "silent", "late", "one", "f")):
        write_noise(calls / f"{name}.wav", seed)
    (calls / "same.wav").write_bytes((calls / "one.wav").read_bytes())
    (calls / "empty.wav").touch()
    (calls / "refs.csv").write_text(LIST, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def added(folder: Path) -> tuple[Lake, str]:
    """The lake, and what adding the data set printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        arguments = ["--path", str(folder / "calls" / "refs.csv"), "--name", "calls"]
        code = cli.main(["datasets", "add", "manifest", *arguments, "--lake", str(folder / "lake")])
    assert code == 1
    lake = open_lake(str(folder / "lake"))
    sources = {row["member"]: row for row in read(lake, "FROM sources").to_pylist()}
    for name in "abcde":
        transcribe(lake, [(sources[f"{name}.wav"], {})], "de", [SAID], NIGHT)
    transcribe(lake, [(sources["silent.wav"], {})], "de", [], NIGHT)
    return lake, printed.getvalue()


@pytest.fixture(scope="module")
def scores(added: tuple[Lake, str]) -> dict[str, dict[str, Any]]:
    """The word error rates by data set."""
    lake, _ = added
    assert evaluate_lake(lake, "night") is not None
    rows = read(lake, "FROM latest_scores WHERE metric = 'wer'").to_pylist()
    return {row["dataset"]: row for row in rows}


def test_adding_a_data_set_names_what_gives_no_reference(added: tuple[Lake, str]) -> None:
    _, printed = added
    assert "10 of 12 listed recordings are in the lake" in printed
    assert "2 recordings have no reference, since texts of the same audio differ" in printed
    assert "no reference: " in printed
    assert "same.wav" in printed


def test_a_figure_says_how_many_of_the_references_it_has(scores: dict[str, dict[str, Any]]) -> None:
    # a, b, c and the silent one; late has no transcript, empty and gone no audio, one and same
    # contradict each other: one recording.
    assert (scores["calls"]["utterances"], scores["calls"]["of_references"]) == (4, 8)
    assert (scores["calls-dev"]["utterances"], scores["calls-dev"]["of_references"]) == (2, 2)


def test_a_transcript_without_text_counts_against_its_reference(
    scores: dict[str, dict[str, Any]],
) -> None:
    assert scores["calls"]["value"] == jiwer.wer([SAID] * 4, [SAID, SAID, SAID, ""]) == 0.25
    assert scores["calls-dev"]["value"] == 0


def test_speakers_of_a_list_are_drawn_together(scores: dict[str, dict[str, Any]]) -> None:
    units = {name: (row["sampling_unit"], row["sampling_units"]) for name, row in scores.items()}
    assert units == {"calls": ("speaker", 3), "calls-dev": ("speaker", 2)}


def test_what_is_left_out_is_printed_and_fails_a_strict_evaluation(
    added: tuple[Lake, str], capsys: pytest.CaptureFixture[str]
) -> None:
    lake, _ = added
    assert cli.main(["evaluate", "--lake", lake.uri]) == 0
    printed = capsys.readouterr()
    assert "4 of 8 (3 speakers)" in printed.out
    assert "left out: German (de) of calls, transcribe: 4 of 8 references have no" in printed.err
    assert "left out: French (fr) of calls, transcribe: none of 1 references has" in printed.err
    assert cli.main(["evaluate", "--lake", lake.uri, "--strict"]) == 4


def test_a_baseline_of_both_splits_is_compared_with_each_of_them(added: tuple[Lake, str]) -> None:
    """Older versions set one baseline for all splits of a data set."""
    lake, _ = added
    rows = [
        {
            **MODEL,
            "baseline_id": "older",
            "dataset": "calls",
            "language": "de",
            "task": "transcribe",
            "recording_id": row["recording_id"],
            "text": SAID,
        }
        for row in read(lake, "FROM reference_texts WHERE language = 'de'").to_pylist()
    ]
    lake.append("baselines", rows_of("baselines", rows, "older"))

    def compared() -> dict[str, int]:
        with connect(lake) as connection:
            names = baseline_pairs(connection)["dataset"].to_pylist()
        return {name: names.count(name) for name in set(names)}

    assert compared() == {"calls": 5, "calls-dev": 2}
    kept = set_baselines(lake, "new", Chosen(dataset="calls-dev"), "after")
    assert set(kept["dataset"].to_pylist()) == {"calls-dev"}
    assert compared() == {"calls": 5, "calls-dev": 2}
