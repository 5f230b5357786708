"""Plans beside those of a straightforward implementation, and the memory that planning takes."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rows_of
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.stages.pending import Wanted
from nightscribe.stages.plan import BATCH, Plan, plan
from nightscribe.whisper.options import Options
from tools.measure_plan import in_own_process

Row = dict[str, Any]

MODEL, OTHER_MODEL = "m" * 64, "n" * 64
TASKS = ("transcribe", "translate")
OPTIONS = (Options(), Options(language="de"), Options(language="fr"), Options(beam_size=5))
COLLECTIONS = ("file:///radio", "file:///radio/talks", "file:///tv")
ARCHIVES = ("file:///radio", "file:///radio/talks.tar", "file:///tv", "file:///tv/a.zip")
MEMBERS = ("a.wav", "b.wav", "talks/a.wav", "talks/b.wav", "ü.wav")
ASKED = (*COLLECTIONS, *ARCHIVES, "file:///radio/a.wav", "file:///tv/talks", "file:///rad")
REASONS = ("transcription_failed", "changed", "unreadable", "postponed")


@dataclass(frozen=True)
class Rows:
    """What a small lake has in its tables."""

    recordings: list[Row]
    sources: list[Row]
    transcripts: list[Row]
    rejected: list[Row]
    reference_texts: list[Row]


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def recording(recording_id: str, duration_s: float) -> Row:
    form = {"container": "wav", "codec": "pcm_s16le", "sample_rate": 16_000, "channels": 1}
    return {"recording_id": recording_id, "duration_s": duration_s, "size_bytes": 1, **form}


def source(key: tuple[str, str], recording_id: str, *rest: Any) -> Row:
    names = ("collection", "position", "language_hint", "created_at")
    found = dict(zip(names, rest, strict=True))
    place = {"archive": key[0], "member": key[1], "recording_id": recording_id}
    return {**place, "size_bytes": 1, "version": "v", **found}


def transcript(recording_id: str, model_id: str, task: str, options: Options) -> Row:
    return {
        "transcript_id": f"{recording_id}{model_id}{task}{options.key}",
        "recording_id": recording_id,
        "model_id": model_id,
        "task": task,
        "options_key": options.key,
        "model": "demo",
        "options": options.to_json(),
        "language": "en",
        "text": "",
        "duration_s": 1.0,
        "segment_count": 0,
        "engine": "reference",
        "precision": "float32",
        "versions": "{}",
        "batch_id": "b",
        "attempt_id": "a",
    }


def failure(transcript: Row, reason: str, created_at: datetime) -> Row:
    names = ("recording_id", "model_id", "task", "options_key")
    key = {name: transcript[name] for name in names}
    uri = {"uri": "u", "version": "v", "detail": "d"}
    return {**uri, **key, "reason": reason, "created_at": created_at}


def reference_text(recording_id: str, dataset: str) -> Row:
    said = {"task": "transcribe", "language": "en", "text": "x"}
    return {"recording_id": recording_id, "dataset": dataset, **said}


@st.composite
def lakes(draw: st.DrawFn) -> Rows:
    """Lakes in which everything that the planner looks at happens, by chance."""
    ids = [f"r{number}" for number in range(draw(st.integers(1, 5)))]
    some = st.sampled_from(ids)
    minutes = st.integers(0, 2).map(at)
    transcripts = st.builds(
        transcript,
        some,
        st.sampled_from([MODEL, MODEL, MODEL, OTHER_MODEL]),
        st.sampled_from(TASKS),
        st.sampled_from([*OPTIONS, OPTIONS[0], OPTIONS[0]]),
    )
    return Rows(
        recordings=[recording(one, draw(st.floats(0.1, 100.0))) for one in ids],
        sources=draw(
            st.lists(
                st.builds(
                    source,
                    st.tuples(st.sampled_from(ARCHIVES), st.sampled_from(MEMBERS)),
                    st.sampled_from([*ids, "gone"]),
                    st.sampled_from(COLLECTIONS),
                    st.integers(0, 3),
                    st.sampled_from([None, "de", "fr"]),
                    minutes,
                ),
                max_size=16,
                unique_by=lambda row: (row["archive"], row["member"]),
            )
        ),
        transcripts=draw(
            st.lists(transcripts, max_size=12, unique_by=lambda row: row["transcript_id"])
        ),
        rejected=draw(
            st.lists(st.builds(failure, transcripts, st.sampled_from(REASONS), minutes), max_size=8)
        ),
        reference_texts=[
            reference_text(ids[0], "known"),
            *draw(st.lists(st.builds(reference_text, some, st.sampled_from("xy")), max_size=6)),
        ],
    )


def wishes() -> st.SearchStrategy[Wanted]:
    """What may be asked of the planner."""
    return st.builds(
        Wanted,
        model=st.just("demo"),
        model_id=st.just(MODEL),
        tasks=st.sampled_from([TASKS[:1], TASKS[1:], TASKS, TASKS[::-1]]),
        options=st.sampled_from([OPTIONS[0], OPTIONS[0], OPTIONS[3]]),
        archives=st.one_of(
            st.just(()), st.lists(st.sampled_from(ASKED), min_size=1, max_size=3).map(tuple)
        ),
        datasets=st.sampled_from([(), (), ("known",), ("known", "known")]),
        hints=st.booleans(),
        limit=st.one_of(st.none(), st.integers(1, 4)),
        force=st.sampled_from([False, False, True]),
    )


def is_asked(row: Row, wanted: Wanted) -> bool:
    """Whether a source lies in one of the archives asked for."""
    place = f"{row['archive']}/{row['member']}/"
    return not wanted.archives or any(
        uri in (row["collection"], row["archive"]) or place.startswith(f"{uri}/")
        for uri in wanted.archives
    )


def straightforward(
    rows: Rows, wanted: Wanted, run_id: str, size: float, most: int
) -> tuple[list[list[Row]], Plan]:
    """The batches' rows, and the plan but for its specs."""
    of_datasets = {
        row["recording_id"] for row in rows.reference_texts if row["dataset"] in wanted.datasets
    }
    transcribed = {
        (row["recording_id"], row["task"], row["options_key"])
        for row in rows.transcripts
        if row["model_id"] == wanted.model_id
    }
    found = []
    done = 0
    for row in rows.recordings:
        name = row["recording_id"]
        sources = [s for s in rows.sources if s["recording_id"] == name and is_asked(s, wanted)]
        if not sources or (wanted.datasets and name not in of_datasets):
            continue
        hint = min((s["language_hint"] for s in sources if s["language_hint"]), default=None)
        options = wanted.options.with_language(hint) if wanted.hints and hint else wanted.options
        for task in sorted(wanted.tasks):
            key = (name, task, options.key)
            done += key in transcribed
            failed = any(
                (f["recording_id"], f["task"], f["options_key"]) == key
                and f["model_id"] == wanted.model_id
                and f["reason"] == "transcription_failed"
                and f["created_at"] > max(s["created_at"] for s in sources)
                for f in rows.rejected
            )
            if wanted.force or not (key in transcribed or failed):
                place = min((s["archive"], s["position"], s["member"]) for s in sources)
                said = {"recording_id": name, "task": task, "options_key": options.key}
                seen = sorted((s["archive"], s["member"]) for s in sources)
                said["options"] = options.to_json()
                said["duration_s"] = row["duration_s"]
                said["sources"] = [{"archive": a, "member": m} for a, m in seen]
                found.append((place, said))
    found.sort(key=lambda pair: (pair[0], pair[1]["task"]))
    first = sorted({place for place, _ in found})[: wanted.limit]
    pending = [said for place, said in found if place in first]
    batches = cut_by_hand(pending, size, most)
    for batch in batches:
        same = {
            "batch_id": batch_id(batch, wanted, run_id),
            "model_id": wanted.model_id,
            "model": wanted.model,
            "force": wanted.force,
        }
        batch[:] = [{name: (row | same)[name] for name in BATCH.names} for row in batch]
    audio_s = math.fsum(row["duration_s"] for row in pending)
    return batches, Plan([], len(first), len(pending), audio_s, done)


def cut_by_hand(pending: list[Row], size: float, most: int) -> list[list[Row]]:
    size = max(size, math.fsum(row["duration_s"] for row in pending) / most)
    batches: list[list[Row]] = []
    reached, goal = 0.0, size
    for row in pending:
        same = batches and batches[-1][-1]["recording_id"] == row["recording_id"]
        if not batches:
            batches.append([])
        elif not same and reached >= goal and len(batches) < most:
            batches.append([])
            goal = max(goal + size, reached + size / 2)
        batches[-1].append(row)
        reached += row["duration_s"]
    return batches


def batch_id(batch: list[Row], wanted: Wanted, run_id: str) -> str:
    names = ("recording_id", "task", "options_key")
    keys = sorted(tuple(row[name] for name in names) for row in batch)
    told = wanted.model_id + (run_id if wanted.force else "")
    told += "".join("\0".join(key) + "\n" for key in keys)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty") / "lake"
    open_lake(str(folder))
    return folder


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=lakes(),
    wanted=wishes(),
    size=st.floats(0.5, 200.0),
    most=st.integers(1, 5),
    fetched=st.integers(1, 6),
)
def test_plan_is_that_of_a_straightforward_implementation(
    rows: Rows,
    wanted: Wanted,
    size: float,
    most: int,
    fetched: int,
    empty_lake: Path,
) -> None:
    expected, counts = straightforward(rows, wanted, "run", size, most)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # So few rows at a time that recordings and batches lie across them.
        patch.setattr("nightscribe.stages.pending._ROWS", fetched)
        lake = Lake(str(shutil.copytree(empty_lake, Path(folder, "lake"))))
        for name, found in vars(rows).items():
            lake.append(name, rows_of(name, found, "run"))
        made = plan(
            lake, wanted, folder="_plans", run_id="run", batch_audio_s=size, max_batches=most
        )
        specs = [read_spec(lake, spec) for spec in made.specs]
    assert [spec.to_pylist() for spec in specs] == expected
    assert all(spec.schema == BATCH for spec in specs)
    assert replace(made, specs=[]) == counts


def test_planning_a_large_lake_takes_little_memory(tmp_path: Path) -> None:
    recordings = 300_000
    in_own_process("--make", tmp_path / "lake", recordings, 1, 1)
    nothing = in_own_process("--plan", tmp_path / "lake", "model-0")
    everything = in_own_process("--plan", tmp_path / "lake", "new-model")
    assert (nothing["pending"], nothing["done"]) == (0, recordings)
    assert (everything["pending"], everything["done"]) == (recordings, 0)
    assert nothing["peak_mb"] < 700
    assert everything["peak_mb"] < 700
