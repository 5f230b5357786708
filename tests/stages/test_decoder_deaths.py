"""A decoder that dies costs one row, at ingestion and at transcription, and only on one night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.engines import engine_named, model_loader
from tests.audio.crashes import crash_decoders
from tests.nights import write_noise

# Not every library checks what it gets when there is no memory: then the process crashes.
_NO_MEMORY = r"memory limit of 2 GiB|signal (6|11)\b"
DETAILS = {
    "crashing": r"signal 11\b",
    "killed": r"signal 9\b",
    "hungry": _NO_MEMORY,
    "starving": _NO_MEMORY,
    "asleep": "time limit",
}
SETTINGS = Settings(device="cpu")


def archive(folder: Path) -> tuple[Path, bytes]:
    folder.mkdir()
    bad = write_noise(folder / "bad.wav", seed=1).read_bytes()
    for number in range(3):
        write_noise(folder / f"good{number}.wav", seed=2 + number)
    return folder, bad


def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: str, bad: bytes) -> None:
    crash_decoders(tmp_path / "crashes", monkeypatch, **{death: [bad]})  # type: ignore[arg-type]
    monkeypatch.setattr("nightscribe.audio.worker_process._TIME_LIMIT_S", 2.0)


@pytest.mark.parametrize("death", DETAILS)
def test_at_ingestion(death: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bad = archive(tmp_path / "archive")
    prepare(tmp_path, monkeypatch, death, bad)
    lake = open_lake(str(tmp_path / "lake"))

    def night(number: int) -> list[int]:
        found = scan(lake, [str(folder)], f"n{number}", settings=SETTINGS, folder=f"n{number}")
        done = [ingest(lake, spec, f"n{number}", settings=SETTINGS) for spec in found.specs]
        return [one.files for one in done]

    assert night(1) == [4]
    [row] = read(lake, "SELECT uri, reason, detail FROM rejected").to_pylist()
    assert (row["uri"], row["reason"]) == (f"file://{folder}!/bad.wav", "unreadable")
    assert re.search(DETAILS[death], row["detail"])
    assert read(lake, "FROM recordings").num_rows == 3
    assert night(2) == []
    write_noise(folder / "bad.wav", seed=9)
    assert night(3) == [1]
    assert read(lake, "FROM recordings").num_rows == 4


@pytest.mark.parametrize("death", DETAILS)
def test_at_transcription(death: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bad = archive(tmp_path / "archive")
    lake = open_lake(str(tmp_path / "lake"))
    order = Order((str(folder),), "demo", language="en")
    found = scan(lake, order.archives, "n1", settings=SETTINGS, folder=work_folder("n1"))
    for spec in found.specs:
        ingest(lake, spec, "n1", settings=SETTINGS)
    assert len(plan_run(lake, order, "n1", SETTINGS, 10).specs) == 1
    prepare(tmp_path, monkeypatch, death, bad)
    spec = f"{work_folder('n1')}/batch-00000.parquet"
    engine = engine_named("batched", slots=SETTINGS.slots)
    done = transcribe_batch(lake, spec, "n1", model_loader(SETTINGS), engine, settings=SETTINGS)
    assert (done.transcripts, done.rejections) == (3, 1)
    [row] = read(lake, "SELECT uri, reason, detail FROM rejected").to_pylist()
    assert (row["uri"], row["reason"]) == (f"file://{folder}!/bad.wav", "transcription_failed")
    assert re.search(DETAILS[death], row["detail"])
    night = run(lake, order, SETTINGS)
    assert (night.scanned.specs, night.plan.specs) == ([], [])
    write_noise(folder / "bad.wav", seed=9)
    night = run(lake, order, SETTINGS)
    assert [(batch.transcripts, batch.rejections) for batch in night.transcribed] == [(1, 0)]
