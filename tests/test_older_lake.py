"""A lake that 0.1.0 made is read, continued and evaluated: nothing in it is done again.

`fixtures/lake_of_0_1_0/README.md` says how the lake was made. It holds ten recordings with both
tasks and word timestamps, one of them also by beam search (twice: the second replaced the first),
one rejected file, two evaluations and a baseline of each language and task.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.lake import Evaluated, evaluate_lake
from nightscribe.lake.invariants import check as contradictions
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.maintain import maintain
from nightscribe.stages.night import Night, run
from nightscribe.stages.order import Order
from nightscribe.whisper.options import Options
from tests.nights import SAMPLES
from tools.check_figures import METRICS, check

FIXTURE = Path(__file__).parent / "fixtures" / "lake_of_0_1_0"
VIEWS = sorted(path.stem for path in (FIXTURE / "rows").iterdir())
CLIPS = ("english/en-01.flac", "english/en-03.ogg", "german/de-03.ogg", "german/de-05.m4a")
NEW_CLIP, SENTENCE = "english/en-05.m4a", "Good evening, this is the news from Vienna."
CPU = Settings(device="cpu")
ADDED_METRICS = ("wer_raw", "cer_nfc", "wer_leaderboard")
WORDS, BEAMS = "3796d1d881750c80", "e295e25d0032d5e8"


def rows_then(view: str) -> pa.Table:
    """What the view showed to the version that made the lake."""
    return pq.read_table(FIXTURE / "rows" / f"{view}.parquet")


def rows_now(lake: Lake, view: str) -> list[dict[str, Any]]:
    """What it shows now, of the columns that it had then."""
    columns = ", ".join(f'"{name}"' for name in rows_then(view).column_names)
    return read(lake, f"SELECT {columns} FROM {view} ORDER BY ALL").to_pylist()


def copy_of_the_lake(folder: Path) -> Lake:
    shutil.copytree(FIXTURE / "lake", folder)
    return open_lake(str(folder))


def write_archive(folder: Path, clips: Iterable[str]) -> Path:
    """The archive that the lake was made of, at another place, with these clips."""
    places = (*clips, "spanish.zip", "bad/notes.mp3")
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SAMPLES / place, folder / place)
    lines = (SAMPLES / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.startswith(("path,", *places))]
    (folder / "manifest.csv").write_text("".join(kept), encoding="utf-8")
    return folder


def order(archive: Path, **changes: Any) -> Order:
    return Order((str(archive),), "demo", **{"task": "both", **changes})


# Read


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return copy_of_the_lake(tmp_path_factory.mktemp("untouched") / "lake")


def test_every_table_has_rows_to_compare() -> None:
    assert {view: rows_then(view).num_rows for view in VIEWS} == {
        "baselines": 20,
        "batches": 2,
        "recordings": 10,
        "reference_texts": 20,
        "rejected": 1,
        "scans": 2,
        "scores": 67,
        "search": 28,
        "segments": 29,
        "sources": 10,
        "transcripts": 21,
    }


@pytest.mark.parametrize("view", VIEWS)
def test_view_of_an_older_lake_shows_the_rows_that_it_showed_then(
    untouched: Lake, view: str
) -> None:
    assert rows_now(untouched, view) == rows_then(view).to_pylist()


def test_options_that_an_older_lake_holds_have_the_same_key_and_json(untouched: Lake) -> None:
    held = read(untouched, "SELECT DISTINCT options_key, options FROM transcripts").to_pylist()
    assert {row["options_key"] for row in held} == {WORDS, BEAMS}
    for row in held:
        options = Options.from_mapping(json.loads(row["options"]))
        assert (options.key, options.to_json()) == (row["options_key"], row["options"])


# Continued


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("elsewhere") / "archive", [*CLIPS, NEW_CLIP])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return copy_of_the_lake(tmp_path_factory.mktemp("continued") / "lake")


@pytest.fixture(scope="module")
def night(lake: Lake, archive: Path) -> Night:
    """The same options and the same archive, moved, with one more clip."""
    wanted = order(archive, options={"word_timestamps": True})
    return run(lake, wanted, CPU, say=lambda line: None)


@pytest.fixture(scope="module")
def after_the_night(night: Night, lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """The rows of each view, before anything else is done with the lake."""
    return {view: rows_now(lake, view) for view in VIEWS}


def test_only_the_new_clip_is_transcribed(night: Night) -> None:
    assert (night.plan.recordings, night.plan.transcripts, night.plan.already_done) == (1, 2, 20)
    assert [(done.transcripts, done.rejections) for done in night.transcribed] == [(2, 0)]


@pytest.mark.parametrize("view", sorted({*VIEWS} - {"search"}))
def test_old_rows_stay_as_they_are_beside_the_new_ones(
    after_the_night: dict[str, list[dict[str, Any]]], view: str
) -> None:
    then, now = rows_then(view).to_pylist(), after_the_night[view]
    assert [row for row in then if row not in now] == []
    added = {
        "batches": 1,
        "recordings": 1,
        "reference_texts": 2,
        "rejected": 1,
        "scans": 2,
        "segments": 2,
        "sources": 11,
        "transcripts": 2,
    }
    assert len(now) == len(then) + added.get(view, 0)


def test_recordings_keep_their_ids_and_get_their_new_places(
    after_the_night: dict[str, list[dict[str, Any]]], archive: Path
) -> None:
    places: dict[str, dict[str, str]] = {}
    for row in after_the_night["sources"]:
        root = next(r for r in ("file:///srv/archive", f"file://{archive}") if r in row["archive"])
        member = row["archive"].removeprefix(root) + "/" + row["member"]
        places.setdefault(root, {})[member] = row["recording_id"]
    then, now = places["file:///srv/archive"], places[f"file://{archive}"]
    assert len(then) == 10
    new = now.pop(f"/{NEW_CLIP}")
    assert now == then
    assert new not in then.values()


def test_new_clip_joins_the_old_ones(night: Night, lake: Lake) -> None:
    found = read(
        lake,
        """SELECT task, t.text, options_key, model_id, count(words) AS timed FROM transcripts AS t
           JOIN segments USING (transcript_id) JOIN sources AS s ON s.recording_id = t.recording_id
           WHERE member = $member GROUP BY ALL ORDER BY task""",
        member=NEW_CLIP,
    ).to_pylist()
    assert [row["task"] for row in found] == ["transcribe", "translate"]
    assert {row["text"].strip() for row in found} == {SENTENCE}
    assert {row["options_key"] for row in found} == {WORDS}
    assert {row["model_id"] for row in found} == set(
        rows_then("transcripts")["model_id"].to_pylist()
    )
    assert [row["timed"] for row in found] == [1, 1]


def test_other_options_of_an_older_lake_are_known_too(archive: Path, tmp_path: Path) -> None:
    lake = copy_of_the_lake(tmp_path / "lake")
    beams = order(
        archive / "spanish.zip",
        task="transcribe",
        language="manifest",
        limit=1,
        options={"beam_size": 3, "temperature": 0},
    )
    again = run(lake, beams, CPU, say=lambda line: None)
    assert (again.plan.transcripts, again.plan.already_done) == (1, 1)
    found = read(lake, "SELECT recording_id FROM transcripts WHERE options_key = $k", k=BEAMS)
    assert len(set(found["recording_id"].to_pylist())) == found.num_rows == 2


# Evaluated


@pytest.fixture(scope="module")
def evaluated(after_the_night: object, lake: Lake) -> Evaluated:
    found = evaluate_lake(lake, "evaluation")
    assert found is not None
    return found


def test_older_transcripts_are_compared_with_the_baseline_that_was_set_then(
    evaluated: Evaluated,
) -> None:
    found = evaluated.against
    assert found is not None
    assert (found.alarms, found.unguarded) == ([], [])
    shared = {group[1:]: (one.shared, one.baseline) for group, one in found.coverage.items()}
    assert shared == {
        ("de", "transcribe"): (2, 2),
        ("de", "translate"): (2, 2),
        ("en", "transcribe"): (2, 2),
        ("en", "translate"): (2, 2),
        ("es", "transcribe"): (1, 6),  # what beam search made last
        ("es", "translate"): (6, 6),
    }
    differences = {row["difference"] for row in found.comparison.to_pylist()}
    assert differences == {0.0}


def test_older_transcripts_have_the_scores_that_they_had_then(
    evaluated: Evaluated, lake: Lake
) -> None:
    then = values(rows_then("scores").to_pylist())
    now = values(read(lake, "FROM latest_scores").to_pylist())
    added = {key for key in now if key[-1] in ADDED_METRICS}
    assert now.keys() - added == then.keys()
    now = {key: now[key] for key in then}
    english = {key for key in now if key[0] == "en"}  # the new clip is English
    assert {now[key][0] for key in english} == {3}
    assert {key: now[key] for key in now.keys() - english} == {
        key: then[key] for key in then.keys() - english
    }
    assert read(lake, "SELECT DISTINCT score_id FROM scores").num_rows == 3


def test_the_scores_are_those_of_jiwer_and_sacrebleu(evaluated: Evaluated, lake: Lake) -> None:
    count, wrong = check(lake)
    assert wrong == []
    assert count == sum(row["metric"] in METRICS for row in evaluated.scores.to_pylist()) > 30


def test_an_older_lake_is_whole_and_maintenance_changes_no_row(tmp_path: Path) -> None:
    lake = copy_of_the_lake(tmp_path / "lake")
    assert contradictions(lake) == []
    before = {view: rows_now(lake, view) for view in VIEWS}
    maintain(lake, CPU, "maintenance")
    assert contradictions(lake) == []
    assert {view: rows_now(lake, view) for view in VIEWS} == before


def values(scores: list[dict[str, Any]]) -> dict[tuple[str, ...], tuple[int, float]]:
    """Utterances and value of each metric in the newest evaluation among these."""
    newest = max(scores, key=lambda row: row["created_at"])["score_id"]
    key = ("language", "task", "options_key", "metric")
    return {
        tuple(row[name] for name in key): (row["utterances"], row["value"])
        for row in scores
        if row["score_id"] == newest
    }
