"""What one night could not do, a later one does: nothing is set aside for ever by mishap."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import whisper

from nightscribe.errors import ConfigurationError, Reason
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import Scanned, _parts, scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.contract import Failure
from nightscribe.whisper.engines import engine_named, model_loader
from tests.nights import archive_of, write_noise

CPU = Settings(device="cpu")
CLIPS = ("english/en-01.flac", "english/en-03.ogg")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def order(*archives: Path, **changes: Any) -> Order:
    return Order(tuple(map(str, archives)), "demo", **{"language": "en", **changes})


def scanned(lake: Lake, wanted: Order, run_id: str, settings: Settings = CPU) -> Scanned:
    archives = wanted.wanted(settings).archives
    return scan(
        lake, archives, run_id, settings=CPU, folder=work_folder(run_id), force=wanted.force
    )


def ingested(lake: Lake, wanted: Order, run_id: str, settings: Settings = CPU) -> Scanned:
    found = scanned(lake, wanted, run_id, settings)
    for spec in found.specs:
        ingest(lake, spec, run_id, settings=settings)
    return found


def planned(lake: Lake, wanted: Order, run_id: str) -> int:
    return plan_run(lake, wanted, run_id, CPU, 10).transcripts


def test_archive_that_is_away_while_it_is_ingested_is_read_once_it_is_back(
    lake: Lake, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "radio", CLIPS)
    wanted = order(archive)
    found = scanned(lake, wanted, "first")
    archive.rename(tmp_path / "away")
    for spec in found.specs:
        ingest(lake, spec, "first", settings=CPU)
    (tmp_path / "away").rename(archive)
    assert read(lake, "FROM sources").num_rows == 0
    assert ingested(lake, wanted, "second").new_files == 2
    assert read(lake, "FROM sources").num_rows == 2


def test_archive_that_is_away_while_it_is_transcribed_is_transcribed_once_it_is_back(
    lake: Lake, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "radio", CLIPS)
    wanted = order(archive)
    ingested(lake, wanted, "first")
    [spec] = plan_run(lake, wanted, "first", CPU, 10).specs
    archive.rename(tmp_path / "away")
    gone = transcribe_batch(
        lake, spec, "first", model_loader(CPU), engine_named("batched"), settings=CPU
    )
    assert (gone.transcripts, gone.rejections) == (0, 2)
    (tmp_path / "away").rename(archive)
    night = run(lake, wanted, CPU)
    assert sum(done.transcripts for done in night.transcribed) == 2


@pytest.mark.parametrize("narrow_first", [True, False])
def test_zip_is_transcribed_under_whichever_folder_it_is_asked_for(
    lake: Lake, tmp_path: Path, narrow_first: bool
) -> None:
    clips = archive_of(tmp_path / "clips", CLIPS)
    (tmp_path / "data" / "radio").mkdir(parents=True)
    shutil.make_archive(str(tmp_path / "data" / "radio" / "talks"), "zip", clips)
    wide, narrow = order(tmp_path / "data"), order(tmp_path / "data" / "radio")
    first, second = (narrow, wide) if narrow_first else (wide, narrow)
    ingested(lake, first, "first")
    assert ingested(lake, second, "second").new_files == 0
    assert planned(lake, second, "second") == 2
    assert planned(lake, order(tmp_path / "data" / "rad"), "third") == 0  # no folder's name


def test_manifest_is_applied_by_the_next_night_if_this_one_ended_before_it(
    lake: Lake, tmp_path: Path
) -> None:
    """The manifest is older than the file, and known; the run dies between ingest and plan."""
    archive = archive_of(tmp_path / "radio", CLIPS[:1])
    manifest = "path,language,text\nen-01.flac,en,one\nen-03.ogg,en,three\n"
    (archive / "manifest.csv").write_text(manifest)
    wanted = order(archive)
    ingested(lake, wanted, "first")
    planned(lake, wanted, "first")
    assert read(lake, "FROM reference_texts").num_rows == 1
    archive_of(archive, CLIPS[1:])
    ingested(lake, wanted, "second")
    assert read(lake, "FROM reference_texts").num_rows == 1
    ingested(lake, wanted, "third")
    planned(lake, wanted, "third")
    assert read(lake, "FROM reference_texts").num_rows == 2
    assert ingested(lake, wanted, "fourth").new_files == 0
    annotations = read_spec(lake, f"{work_folder('fourth')}/annotations.parquet")
    assert annotations.num_rows == 0  # the manifest is not read again without need


def test_file_as_old_as_the_manifest_that_missed_it_is_taken_in_when_it_comes(
    lake: Lake, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "radio", CLIPS[:1])
    (archive / "manifest.csv").write_text("path,language\nen-03.ogg,en\n")
    os.utime(archive / "manifest.csv", (1_000_000_000, 1_000_000_000))
    wanted = order(archive)
    ingested(lake, wanted, "first")
    assert read(lake, "SELECT reason FROM rejected")["reason"].to_pylist() == [
        Reason.MANIFEST_MISSING_FILE
    ]
    archive_of(archive, CLIPS[1:])
    os.utime(archive / "en-03.ogg", (1_000_000_000, 1_000_000_000))
    assert ingested(lake, wanted, "second").new_files == 1


def test_recording_that_fails_again_is_left_alone_again(lake: Lake, tmp_path: Path) -> None:
    def failing(requests: Any, model: Any, *, verbose: bool | None = None) -> Any:
        for request in requests:
            for job in request.jobs:
                reason = Reason.TRANSCRIPTION_FAILED
                yield Failure(request.recording_id, job, reason, "planted")

    archive = archive_of(tmp_path / "radio", CLIPS[:1])
    wanted = order(archive)
    assert run(lake, wanted, CPU, engine=failing).plan.transcripts == 1
    assert run(lake, wanted, CPU, engine=failing).plan.transcripts == 0
    os.utime(archive / "en-01.flac")  # its source is another version: one more try
    assert run(lake, wanted, CPU, engine=failing).plan.transcripts == 1
    assert run(lake, wanted, CPU, engine=failing).plan.transcripts == 0
    assert read(lake, "FROM rejected").num_rows == 1


def test_force_reads_again_what_a_limit_kept_out(lake: Lake, tmp_path: Path) -> None:
    archive = tmp_path / "radio"
    write_noise(archive / "long.wav", seed=1, seconds=2.0)
    strict = Settings(device="cpu", max_duration_s=1.0)
    ingested(lake, order(archive), "first", strict)
    assert read(lake, "SELECT reason FROM rejected")["reason"].to_pylist() == [Reason.TOO_LONG]
    assert ingested(lake, order(archive), "second").new_files == 0
    assert ingested(lake, order(archive, force=True), "third").new_files == 1
    assert read(lake, "FROM recordings").num_rows == 1


HASTY = Settings(device="cpu", batch_hours_max=1e-9)
"""A batch commits its first transcript and is out of time."""


def test_batch_that_runs_out_of_time_commits_what_it_has(lake: Lake, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "radio", CLIPS)
    first = run(lake, order(archive, force=True), HASTY)
    assert [(done.transcripts, done.postponed) for done in first.transcribed] == [(1, 1)]
    assert read(lake, "FROM rejected").num_rows == 0  # since there was nothing to replace
    second = run(lake, order(archive), HASTY)
    assert (second.plan.already_done, second.transcribed[0].transcripts) == (1, 1)


def made(lake: Lake) -> dict[str, str]:
    """Recordings, and the transcripts that they have now."""
    rows = read(lake, "SELECT recording_id, transcript_id FROM transcripts").to_pylist()
    found = {row["recording_id"]: row["transcript_id"] for row in rows}
    assert len(found) == len(rows), "a recording has two transcripts"
    return found


def replaced(before: dict[str, str], after: dict[str, str]) -> int:
    """How many transcripts were made again."""
    assert before.keys() == after.keys()
    return sum(before[recording] != after[recording] for recording in before)


def test_forced_batch_that_runs_out_of_time_is_finished_by_the_next_runs(
    lake: Lake, tmp_path: Path
) -> None:
    """Over transcripts that exist: the old ones stay visible until they are made again."""
    clips = [*CLIPS, "english/en-02.mp3"]
    archive = archive_of(tmp_path / "radio", clips)
    run(lake, order(archive), CPU)
    old = made(lake)
    assert len(old) == len(clips) == 3

    forced = run(lake, order(archive, force=True), HASTY)
    assert [(done.transcripts, done.postponed) for done in forced.transcribed] == [(1, 2)]
    assert replaced(old, made(lake)) == 1
    reasons = read(lake, "SELECT reason FROM rejected")["reason"].to_pylist()
    assert reasons == [Reason.POSTPONED, Reason.POSTPONED]

    second = run(lake, order(archive), HASTY)
    assert (second.plan.already_done, second.plan.transcripts) == (1, 2)
    assert [(done.transcripts, done.postponed) for done in second.transcribed] == [(1, 1)]
    assert replaced(old, made(lake)) == 2

    third = run(lake, order(archive), CPU)
    assert third.plan.transcripts == 1
    assert replaced(old, made(lake)) == 3
    assert run(lake, order(archive), CPU).plan.transcripts == 0


def test_retry_of_a_forced_batch_makes_only_what_is_left_of_it(lake: Lake, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "radio", CLIPS)
    run(lake, order(archive), CPU)
    old = made(lake)
    [spec] = plan_run(lake, order(archive, force=True), "forced", CPU, 10).specs
    load, engine = model_loader(CPU), engine_named("batched")
    first = transcribe_batch(lake, spec, "forced", load, engine, settings=HASTY)
    assert (first.transcripts, first.postponed, first.skipped) == (1, 1, 0)
    between = made(lake)
    second = transcribe_batch(lake, spec, "forced", load, engine, settings=CPU)
    assert (second.transcripts, second.postponed, second.skipped) == (1, 0, 1)
    assert replaced(between, made(lake)) == 1
    assert replaced(old, made(lake)) == 2
    third = transcribe_batch(lake, spec, "forced", load, engine, settings=CPU)
    assert (third.transcripts, third.skipped) == (0, 2)


@pytest.mark.parametrize("model", ["turbo", "large-v3-turbo", "base.en"])
def test_model_that_cannot_translate_is_not_asked_to(tmp_path: Path, model: str) -> None:
    asked = Order((str(tmp_path),), model, task="both")
    with pytest.raises(ConfigurationError, match="not trained to translate: choose medium"):
        asked.wanted(CPU)


def test_model_that_cannot_translate_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "ours.pt"
    checkpoint.write_bytes(b"weights")
    asked = Order((str(tmp_path),), str(checkpoint), task="both")
    digest = asked.wanted(CPU).model_id
    monkeypatch.setitem(whisper._MODELS, "turbo", f"https://example.org/{digest}/turbo.pt")
    with pytest.raises(ConfigurationError, match=r"ours\.pt was not trained to translate"):
        asked.wanted(CPU)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_scan_hands_out_no_more_tasks_than_airflow_maps(most: int) -> None:
    sizes = [1, 10**12, 5] * 2_000
    work = pa.table({"size_bytes": pa.array(sizes, pa.int64())})
    settings = Settings(ingest_files=1, ingest_bytes=1)
    rows = work.to_batches(max_chunksize=700)
    parts = list(_parts(rows, len(sizes), sum(sizes), settings, most))
    assert 1 <= len(parts) <= most
    assert pa.concat_tables(parts).equals(work)
