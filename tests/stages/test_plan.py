"""Plans: everything that lacks a transcript, nothing that has one, in balanced batches."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.errors import Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import finish_manifests
from nightscribe.settings import Settings
from nightscribe.stages.expected_speed import CPU_RTFX, GPU_RTFX, batch_audio_s, speed_of
from nightscribe.stages.ingest import ingest
from nightscribe.stages.pending import Wanted, pending
from nightscribe.stages.plan import (
    Plan,
    cut,
    plan,
)
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.uris import canonical_uri
from nightscribe.whisper.options import Options
from tests.lake.made_up import add, filled, transcript
from tests.nights import write_noise

DEMO = Wanted("demo", "m" * 64, ("transcribe",), Options())

# Cutting


@st.composite
def pendings(draw: st.DrawFn) -> pa.Table:
    """Rows of recordings, of one or two tasks each."""
    durations = draw(st.lists(st.floats(0.1, 5000.0), min_size=1, max_size=60))
    tasks = draw(st.lists(st.integers(1, 2), min_size=len(durations), max_size=len(durations)))
    rows = [
        {"recording_id": f"{number:03}", "duration_s": duration, "task": task}
        for number, (duration, count) in enumerate(zip(durations, tasks, strict=True))
        for task in range(count)
    ]
    return pa.Table.from_pylist(rows)


def cut_table(
    pending: pa.Table, size: float, most: int, chunk: int, workers: int = 1
) -> list[pa.Table]:
    """`cut`, of rows that come so many at a time."""
    audio_s = math.fsum(pending["duration_s"].to_pylist())
    return list(cut(pending.to_batches(max_chunksize=chunk), audio_s, size, most, workers))


@given(
    pending=pendings(),
    size=st.floats(0.5, 50_000.0),
    most=st.integers(1, 40),
    chunk=st.integers(1, 130),
)
def test_cut_loses_nothing_and_balances_what_it_cuts(
    pending: pa.Table, size: float, most: int, chunk: int
) -> None:
    batches = cut_table(pending, size, most, chunk)
    assert 1 <= len(batches) <= most
    assert pa.concat_tables(batches).equals(pending), "rows lost, doubled or out of order"
    ids = [set(batch["recording_id"].to_pylist()) for batch in batches]
    assert sum(map(len, ids)) == len(set(pending["recording_id"].to_pylist())), "one was split"

    # A recording that is wanted in two tasks is twice as long.
    lengths: dict[str, float] = {}
    for row in pending.to_pylist():
        lengths[row["recording_id"]] = lengths.get(row["recording_id"], 0.0) + row["duration_s"]
    size = max(size, math.fsum(lengths.values()) / most)
    longest = max(lengths.values())
    for batch in batches[:-1]:
        seconds = math.fsum(batch["duration_s"].to_pylist())
        assert size - longest <= seconds * (1 + 1e-9)
        assert seconds <= (size + longest) * (1 + 1e-9)
    last = math.fsum(batches[-1]["duration_s"].to_pylist())
    assert last <= (size + longest) * (1 + 1e-9)


@given(
    pending=pendings(),
    size=st.floats(0.5, 50_000.0),
    most=st.integers(1, 200),
    workers=st.integers(2, 20),
)
def test_cut_for_several_workers_loses_nothing_and_has_no_longer_batches(
    pending: pa.Table, size: float, most: int, workers: int
) -> None:
    batches = cut_table(pending, size, most, 7, workers)
    assert 1 <= len(batches) <= most
    assert pa.concat_tables(batches).equals(pending), "rows lost, doubled or out of order"
    ids = [set(batch["recording_id"].to_pylist()) for batch in batches]
    assert sum(map(len, ids)) == len(set(pending["recording_id"].to_pylist())), "one was split"
    seconds = [math.fsum(batch["duration_s"].to_pylist()) for batch in batches]
    size = max(size, math.fsum(seconds) / most)
    longest = 2 * max(pending["duration_s"].to_pylist())
    assert all(one <= (size + longest) * (1 + 1e-9) for one in seconds)


@pytest.mark.parametrize("speeds", [[1.0] * 4, [1.0] * 16, [1.0, 1.0, 1.0, 0.25]])
@pytest.mark.parametrize("sizes", [0.6, 4.4, 40.3])
def test_no_worker_of_several_is_idle_for_long(speeds: list[float], sizes: float) -> None:
    """Workers take batch after batch: they share a night of so many batches for each."""
    size, clip = 1200.0, 10.0
    count = int(len(speeds) * sizes * size / clip)
    ids = [f"{number:06}" for number in range(count)]
    pending = pa.table({"recording_id": ids, "duration_s": [clip] * count})
    ideal = count * clip / sum(speeds)

    def night(workers: int) -> float:
        free = [0.0] * len(speeds)
        for batch in cut_table(pending, size, 1000, 1000, workers):
            first = free.index(min(free))
            free[first] += math.fsum(batch["duration_s"].to_pylist()) / speeds[first]
        return max(free)

    assert night(len(speeds)) <= 1.13 * ideal
    assert night(len(speeds)) < night(1)


def test_cut_of_nothing_is_no_batch() -> None:
    empty = pa.table({"recording_id": pa.array([], pa.string()), "duration_s": pa.array([], "f8")})
    assert cut_table(empty, 10.0, 3, 10) == []
    assert list(cut([pa.RecordBatch.from_pylist([], empty.schema)], 0.0, 10.0, 3)) == []


def test_expected_time_makes_the_size_of_a_batch() -> None:
    assert batch_audio_s(Settings(batch_minutes=10), rtfx=3.0) == 1800.0
    assert batch_audio_s(Settings(batch_minutes=10, expected_rtfx=50), rtfx=3.0) == 30_000.0


# Planning


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Six recordings of 0.3 s, three of them in a sub-folder, and a manifest."""
    folder = tmp_path / "archive"
    for number in range(6):
        write_noise(folder / ("sub" if number % 2 else "") / f"{number}.wav", seed=number)
    (folder / "manifest.csv").write_text("path,language\n0.wav,de\nsub/1.wav,de\n2.wav,fr\n")
    return folder


@pytest.fixture
def lake(tmp_path: Path, archive: Path) -> Lake:
    lake = open_lake(str(tmp_path / "lake"))
    take_in(lake, archive)
    return lake


def take_in(lake: Lake, archive: Path, run_id: str = "run") -> None:
    folder = work_folder(run_id)
    for spec in scan(lake, [str(archive)], run_id, folder=folder, settings=Settings()).specs:
        ingest(lake, spec, run_id, settings=Settings())
    finish_manifests(lake, folder, run_id)


def planned(
    lake: Lake, wanted: Wanted = DEMO, size: float = 1e6, most: int = 1000, run_id: str = "run"
) -> tuple[Plan, list[pa.Table]]:
    made = plan(
        lake,
        wanted,
        folder=work_folder(run_id),
        run_id=run_id,
        batch_audio_s=size,
        max_batches=most,
    )
    return made, [read_spec(lake, spec) for spec in made.specs]


def wanted(**changes: object) -> Wanted:
    return replace(DEMO, **changes)  # type: ignore[arg-type]


def add_transcripts(lake: Lake, batch: pa.Table, attempt_id: str = "a") -> None:
    rows = [
        {
            **{name: row[name] for name in ("recording_id", "model_id", "task", "options_key")},
            **{name: row[name] for name in ("model", "options", "duration_s", "batch_id")},
            "transcript_id": f"{row['recording_id']}{row['task']}{row['options_key']}",
            "language": "en",
            "text": "",
            "segment_count": 0,
            "engine": "reference",
            "precision": "float32",
            "versions": "{}",
            "attempt_id": attempt_id,
        }
        for row in batch.to_pylist()
    ]
    lake.insert_new("transcripts", rows_of("transcripts", rows, "run"), KEYS["transcripts"])


def test_same_lake_gives_the_same_plan(lake: Lake) -> None:
    first, batches = planned(lake, size=0.6)
    second, again = planned(lake, size=0.6, run_id="another")
    assert [batch.to_pylist() for batch in batches] == [batch.to_pylist() for batch in again]
    assert len(batches) == 3
    assert (first.recordings, first.transcripts, second.already_done) == (6, 6, 0)


def test_recordings_of_a_batch_lie_next_to_each_other(lake: Lake) -> None:
    _, batches = planned(lake, size=0.85)
    members = [[row["sources"][0]["member"] for row in batch.to_pylist()] for batch in batches]
    assert members == [
        ["0.wav", "2.wav", "4.wav"],
        ["sub/1.wav", "sub/3.wav", "sub/5.wav"],
    ]


def test_no_more_batches_than_asked_for(lake: Lake) -> None:
    for most in (1, 2, 4):
        made, batches = planned(lake, size=0.01, most=most)
        assert len(made.specs) == most
        assert sum(batch.num_rows for batch in batches) == 6


def test_what_has_a_transcript_is_left_out(lake: Lake) -> None:
    _, batches = planned(lake, size=0.6)
    add_transcripts(lake, batches[1])
    made, rest = planned(lake)
    assert (made.transcripts, made.already_done) == (4, 2)
    assert not set(rest[0]["recording_id"].to_pylist()) & set(
        batches[1]["recording_id"].to_pylist()
    )
    add_transcripts(lake, batches[0])
    add_transcripts(lake, batches[2])
    made, rest = planned(lake)
    assert (made.specs, made.already_done) == ([], 6)
    assert "nothing to transcribe" in made.summary()


@pytest.mark.parametrize(
    "other",
    [
        wanted(model_id="n" * 64),
        wanted(tasks=("translate",)),
        wanted(options=Options(beam_size=5)),
    ],
    ids=["model", "task", "options"],
)
def test_other_model_task_or_options_are_other_transcripts(lake: Lake, other: Wanted) -> None:
    _, [batch] = planned(lake)
    add_transcripts(lake, batch)
    made, _ = planned(lake, other)
    assert (made.transcripts, made.already_done) == (6, 0)


def test_both_tasks_of_a_recording_are_in_one_batch(lake: Lake) -> None:
    made, batches = planned(lake, wanted(tasks=("transcribe", "translate")), size=0.55)
    assert (made.recordings, made.transcripts, len(batches)) == (6, 12, 6)
    for batch in batches:
        assert batch["task"].to_pylist() == ["transcribe", "translate"]
        assert len(set(batch["recording_id"].to_pylist())) == 1


def test_limit_counts_recordings_and_the_next_run_goes_on(lake: Lake) -> None:
    made, [batch] = planned(lake, wanted(limit=2))
    assert made.recordings == 2
    add_transcripts(lake, batch)
    made, [following] = planned(lake, wanted(limit=2))
    assert (made.recordings, made.already_done) == (2, 2)
    assert not set(following["recording_id"].to_pylist()) & set(batch["recording_id"].to_pylist())


def test_force_also_plans_what_is_done_and_each_run_anew(lake: Lake) -> None:
    _, [batch] = planned(lake)
    add_transcripts(lake, batch)
    made, [forced] = planned(lake, wanted(force=True))
    assert made.transcripts == 6
    assert forced["force"].to_pylist() == [True] * 6
    _, [again] = planned(lake, wanted(force=True))
    _, [other] = planned(lake, wanted(force=True), run_id="another")
    assert again["batch_id"][0] == forced["batch_id"][0]
    assert other["batch_id"][0] != forced["batch_id"][0]


def test_annotations_are_the_same_in_slices(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The deeper manifest counts, and a repeated line once: also where they lie in two slices.
    (archive / "sub" / "manifest.csv").write_text("path,language,text\n3.wav,ru,b\n3.wav,ru,b\n")
    found = []
    for rows in (1_000_000, 2, 1):
        monkeypatch.setattr("nightscribe.manifests.annotate.SLICE_ROWS", rows)
        lake = open_lake(str(tmp_path / f"slices of {rows}"))
        take_in(lake, archive)
        hints = read(lake, "SELECT member, language_hint FROM sources ORDER BY member")
        texts = read(lake, "SELECT text, language FROM reference_texts")
        found.append((hints.to_pylist(), texts.to_pylist()))
    assert found[0] == found[1] == found[2]
    languages = {row["member"]: row["language_hint"] for row in found[0][0]}
    assert languages == {
        "0.wav": "de",
        "2.wav": "fr",
        "4.wav": None,
        "sub/1.wav": "de",
        "sub/3.wav": "ru",
        "sub/5.wav": None,
    }
    assert found[0][1] == [{"text": "b", "language": "ru"}]


def test_manifests_languages_are_other_options_than_a_detected_one(lake: Lake) -> None:
    _, [detected] = planned(lake)
    assert set(detected["options_key"].to_pylist()) == {Options().key}
    _, [hinted] = planned(lake, wanted(hints=True))
    keys = {row["sources"][0]["member"]: row["options_key"] for row in hinted.to_pylist()}
    assert keys == {
        "0.wav": Options(language="de").key,
        "sub/1.wav": Options(language="de").key,
        "2.wav": Options(language="fr").key,
        **dict.fromkeys(["4.wav", "sub/3.wav", "sub/5.wav"], Options().key),
    }
    add_transcripts(lake, detected)
    made, _ = planned(lake, wanted(hints=True))
    assert (made.transcripts, made.already_done) == (3, 3)


def test_only_recordings_of_the_archives_asked_for_are_planned(
    lake: Lake, archive: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(archive / "sub", other)
    write_noise(other / "new.wav", seed=99)
    take_in(lake, other, "second")
    made, _ = planned(lake, wanted(archives=(canonical_uri(str(other)),)))
    assert made.recordings == 4
    made, _ = planned(lake, wanted(archives=(canonical_uri(str(archive)),)))
    assert made.recordings == 6
    made, _ = planned(lake, wanted(archives=(canonical_uri(str(archive / "0.wav")),)))
    assert made.recordings == 1
    made, _ = planned(lake)
    assert made.recordings == 7


def test_what_failed_is_left_out_until_its_source_changes(lake: Lake, archive: Path) -> None:
    _, [batch] = planned(lake)
    row = next(r for r in batch.to_pylist() if r["sources"][0]["member"] == "4.wav")
    failure = rejected_row(
        "file:///4.wav",
        Reason.TRANSCRIPTION_FAILED,
        "ValueError: broken",
        recording_id=row["recording_id"],
        model_id=DEMO.model_id,
        task="transcribe",
        options_key=row["options_key"],
    )
    lake.insert_new("rejected", rows_of("rejected", [failure], "run"), KEYS["rejected"])
    made, [rest] = planned(lake)
    assert made.recordings == 5
    assert row["recording_id"] not in rest["recording_id"].to_pylist()
    assert planned(lake, wanted(options=Options(beam_size=5)))[0].recordings == 6
    assert planned(lake, wanted(tasks=("translate",)))[0].recordings == 6
    assert planned(lake, wanted(force=True))[0].recordings == 6

    os.utime(archive / "4.wav", (0, 0))
    take_in(lake, archive, "second")
    assert planned(lake)[0].recordings == 6


def add_attempts(lake: Lake, *attempts: tuple[str, float, int]) -> None:
    """Attempts at batches of the demo (device, RTFx, transcripts), the newest one last."""
    _, [batch] = planned(lake, wanted(force=True))
    for number, (device, rtfx, count) in enumerate(attempts):
        row = {
            "attempt_id": f"{device} {rtfx}",
            "batch_id": "b",
            "model_id": DEMO.model_id,
            "recordings": 1,
            "transcripts": count,
            "rejections": 0,
            "device": device,
            "audio_s": rtfx,
            "wall_s": 1.0,
            "rtfx": rtfx,
            "peak_memory_bytes": 0,
            "worker": "w",
        }
        lake.append("batches", rows_of("batches", [row], "run"))
        if count:
            add_transcripts(lake, batch.slice(number, 1), row["attempt_id"])


@pytest.fixture
def no_gpu(tmp_path: Path) -> Path:
    """Where the driver would list the GPUs of a machine that has none."""
    return tmp_path / "no-driver"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the driver lists the GPU of a machine that has one."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = tmp_path / "gpus"
    (gpus / "0000:01:00.0").mkdir(parents=True)
    return gpus


def test_speed_that_was_measured_sizes_the_next_batches(lake: Lake) -> None:
    assert speed_of(lake, DEMO.model_id, "cpu").expected == CPU_RTFX
    assert speed_of(lake, DEMO.model_id, "cuda:1").expected == GPU_RTFX
    add_attempts(lake, ("cpu", 0.0, 0), ("cpu", 7.0, 1))
    assert speed_of(lake, DEMO.model_id, "cpu").expected == 7.0
    assert speed_of(lake, "n" * 64, "cpu").expected == CPU_RTFX


def test_speed_is_expected_of_the_kind_of_device_that_reached_it(lake: Lake) -> None:
    on_cpu = (("cpu", 2.0, 1), ("cpu", 3.0, 1), ("cpu", 4.0, 1))
    on_gpu = (("NVIDIA H200", 90.0, 1), ("NVIDIA A100", 50.0, 1), ("NVIDIA H200", 100.0, 1))
    add_attempts(lake, *on_cpu, *on_gpu)
    assert speed_of(lake, DEMO.model_id, "cpu").expected == 3.0
    assert speed_of(lake, DEMO.model_id, "cuda").expected == 90.0
    assert speed_of(lake, DEMO.model_id, "cuda:1").expected == 90.0


def test_automatic_device_is_expected_to_be_the_kind_that_ran_last(
    lake: Lake, gpu: Path, no_gpu: Path
) -> None:
    add_attempts(lake, ("cpu", 2.0, 1), ("NVIDIA H200", 100.0, 1))
    assert speed_of(lake, DEMO.model_id, "auto", gpus=no_gpu).expected == 100.0
    add_attempts(lake, ("cpu", 0.0, 0))
    assert speed_of(lake, DEMO.model_id, "auto", gpus=gpu).expected == 2.0


def test_first_night_on_an_automatic_device_is_cut_for_the_gpu_of_this_machine(
    lake: Lake, gpu: Path, no_gpu: Path
) -> None:
    assert speed_of(lake, DEMO.model_id, "auto", gpus=gpu).expected == GPU_RTFX
    assert speed_of(lake, DEMO.model_id, "auto", gpus=no_gpu).expected == CPU_RTFX


# What is pending, by language and age


def test_pending_audio_is_told_apart_by_language_and_age(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    now = datetime.now(UTC)
    for name, days, hours, hint in (
        ("a", 0.5, 1.0, "de"),
        ("b", 3, 2.0, "de"),
        ("c", 10, 4.0, None),
        ("d", 40, 8.0, "fr"),
    ):
        stamp = {"run_id": "run", "created_at": now - timedelta(days=days)}
        recording = {"recording_id": name, "duration_s": hours * 3600}
        source = {"recording_id": name, "archive": "file:///a", "member": f"{name}.wav"}
        lake.append(
            "recordings", rows_of("recordings", [filled("recordings", **recording) | stamp])
        )
        source |= {"collection": "file:///a", "language_hint": hint}
        lake.append("sources", rows_of("sources", [filled("sources", **source) | stamp]))
    reference = filled("reference_texts", recording_id="d", language="es", task="transcribe")
    lake.append("reference_texts", rows_of("reference_texts", [reference], "run"))
    add(lake, "transcripts", transcript("t", "c", model_id="other", language="zh"))
    both = replace(DEMO, tasks=("transcribe", "translate"))
    with pending(lake, both) as missing:
        found = missing.by_language((1, 7, 30))
    assert found == [
        ("es", [0, 0, 0, 2 * 8.0 * 3600]),  # the reference, not the manifest's language
        ("zh", [0, 0, 2 * 4.0 * 3600, 0]),  # as another model has detected
        ("de", [2 * 1.0 * 3600, 2 * 2.0 * 3600, 0, 0]),
    ]
