"""A decoder that dies costs one row, at ingestion and at transcription, and only on one night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
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


def archive(folder: Path) -> tuple[Path, dict[str, bytes]]:
    """Three good recordings, and one for each death; returns the content of these."""
    folder.mkdir()
    bad = {
        death: write_noise(folder / f"{death}.wav", seed=number).read_bytes()
        for number, death in enumerate(DETAILS)
    }
    for number in range(3):
        write_noise(folder / f"good{number}.wav", seed=20 + number)
    return folder, bad


def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: dict[str, bytes]) -> None:
    deaths = {death: [content] for death, content in bad.items()}
    crash_decoders(tmp_path / "crashes", monkeypatch, **deaths)  # type: ignore[arg-type]
    monkeypatch.setattr("nightscribe.audio.worker_process._TIME_LIMIT_S", 2.0)


def assert_each_death_is_told(lake: Lake, folder: Path, reason: str) -> None:
    rows = read(lake, "SELECT uri, reason, detail FROM rejected").to_pylist()
    told = {row["uri"]: row for row in rows}
    assert told.keys() == {f"file://{folder}!/{death}.wav" for death in DETAILS}
    for death, detail in DETAILS.items():
        row = told[f"file://{folder}!/{death}.wav"]
        assert row["reason"] == reason, death
        assert re.search(detail, row["detail"]), death


def test_at_ingestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bad = archive(tmp_path / "archive")
    prepare(tmp_path, monkeypatch, bad)
    lake = open_lake(str(tmp_path / "lake"))

    def night(number: int) -> list[int]:
        found = scan(lake, [str(folder)], f"n{number}", settings=SETTINGS, folder=f"n{number}")
        done = [ingest(lake, spec, f"n{number}", settings=SETTINGS) for spec in found.specs]
        return [one.files for one in done]

    assert night(1) == [3 + len(bad)]
    assert_each_death_is_told(lake, folder, "unreadable")
    assert read(lake, "FROM recordings").num_rows == 3
    assert night(2) == []
    for number, death in enumerate(bad, start=10):
        write_noise(folder / f"{death}.wav", seed=number)
    assert night(3) == [len(bad)]
    assert read(lake, "FROM recordings").num_rows == 3 + len(bad)


def test_at_transcription(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bad = archive(tmp_path / "archive")
    lake = open_lake(str(tmp_path / "lake"))
    order = Order((str(folder),), "demo", language="en")
    found = scan(lake, order.archives, "n1", settings=SETTINGS, folder=work_folder("n1"))
    for spec in found.specs:
        ingest(lake, spec, "n1", settings=SETTINGS)
    assert len(plan_run(lake, order, "n1", SETTINGS, 10).specs) == 1
    prepare(tmp_path, monkeypatch, bad)
    spec = f"{work_folder('n1')}/batch-00000.parquet"
    engine = engine_named("batched", slots=SETTINGS.slots)
    done = transcribe_batch(lake, spec, "n1", model_loader(SETTINGS), engine, settings=SETTINGS)
    assert (done.transcripts, done.rejections) == (3, len(bad))
    assert_each_death_is_told(lake, folder, "transcription_failed")
    night = run(lake, order, SETTINGS)
    assert (night.scanned.specs, night.plan.specs) == ([], [])
    for number, death in enumerate(bad, start=10):
        write_noise(folder / f"{death}.wav", seed=number)
    night = run(lake, order, SETTINGS)
    assert [(batch.transcripts, batch.rejections) for batch in night.transcribed] == [(len(bad), 0)]
