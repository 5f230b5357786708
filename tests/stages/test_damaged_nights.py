"""Damaged files of every format go through whole nights."""

from __future__ import annotations

import random
from pathlib import Path

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.audio.files import needs_ffmpeg
from tests.audio.test_damaged_files import FORMATS, damaged_files, good_files

PER_FORMAT = 3
ONE_ROW = """
    SELECT uri, count(*) AS rows FROM (
      SELECT archive || '!/' || member AS uri FROM sources
      UNION ALL SELECT uri FROM rejected WHERE model_id IS NULL)
    GROUP BY uri"""
WITHOUT_TRANSCRIPT = """
    SELECT recording_id FROM recordings
    ANTI JOIN transcripts USING (recording_id)
    ANTI JOIN (FROM rejected WHERE model_id IS NOT NULL) USING (recording_id)"""


def sample(folder: Path) -> dict[str, bytes]:
    """Three damaged files of each format, no two the same."""
    made = damaged_files(good_files(folder))
    chance = random.Random(17)
    chosen = [
        what
        for name in FORMATS
        for what in chance.sample([w for w in made if w.startswith(f"{name} ")], PER_FORMAT)
    ]
    by_content = {made[what]: what for what in chosen}
    return {what: content for content, what in by_content.items()}


@needs_ffmpeg
def test_each_damaged_file_is_transcribed_or_rejected_and_the_next_night_is_idle(
    tmp_path: Path,
) -> None:
    made = sample(tmp_path)
    archive = tmp_path / "archive"
    archive.mkdir()
    for what, content in made.items():
        # The format is found from the content, whatever the suffix is.
        (archive / f"{what}.wav").write_bytes(content)
    assert len(made) > 65
    lake = open_lake(str(tmp_path / "lake"))
    # One language and one temperature: noise would be decoded again at each of the others.
    order = Order((str(archive),), "demo", language="en", options={"temperature": 0.0})

    first = run(lake, order, Settings(device="cpu"))
    rows = {row["uri"]: row["rows"] for row in read(lake, ONE_ROW).to_pylist()}
    assert len(rows) == len(made)
    assert set(rows.values()) == {1}
    assert read(lake, WITHOUT_TRANSCRIPT).num_rows == 0
    assert first.scanned.new_files == len(made)
    transcripts = read(lake, "FROM transcripts").num_rows
    assert transcripts > len(made) / 2

    second = run(lake, order, Settings(device="cpu"))
    assert second.scanned.new_files == 0
    assert second.scanned.specs == second.plan.specs == []
    assert read(lake, "FROM transcripts").num_rows == transcripts
    assert read(lake, ONE_ROW).num_rows == len(made)
