"""Transcripts as files: named like the recordings, and the same bytes as the engine's own."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export.files import export, formats
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import transcripts_of
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.whisper.contract import Job, Request, Transcript
from nightscribe.whisper.engines import engine_named, load_model
from nightscribe.whisper.options import Options
from tests.nights import SAMPLES, archive_of

CLIPS = ("english/en-01.flac", "english/en-05.m4a", "german/de-02.mp3")
COPY = "again/copy.flac"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three recordings in both tasks: one of them twice, one in a zip, two named alike."""
    folder = tmp_path_factory.mktemp("export")
    archive = archive_of(folder / "archive", CLIPS[:2])
    (archive / "again").mkdir()
    shutil.copyfile(archive / "en-01.flac", archive / COPY)
    shutil.copyfile(SAMPLES / CLIPS[2], archive / "en-05.mp3")  # beside en-05.m4a
    with zipfile.ZipFile(archive / "old.zip", "w") as packed:
        packed.write(archive / "en-01.flac", "a/b.flac")
    lake = open_lake(str(folder / "lake"))
    settings = Settings(device="cpu", engine="reference")  # to the last digit, whatever the company
    run(lake, Order((str(archive),), "demo", "both"), settings)
    return lake


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_are_named_as_the_recordings_and_lie_as_they_do(lake: Lake, tmp_path: Path) -> None:
    exported = list(export(lake, "srt", tmp_path))
    stems = ["en-01", "again/copy", "old.zip/a/b", "en-05.m4a", "en-05.mp3"]
    expected = {f"{stem}{task}.srt" for stem in stems for task in ("", ".translate")}
    assert names(tmp_path) == expected
    assert {str(one.path.relative_to(tmp_path)) for one in exported} == expected
    assert len({one.transcript_id for one in exported}) == 6


@pytest.fixture(scope="module")
def own_results(lake: Lake) -> dict[str, dict[str, object]]:
    """What the engine itself gives, by the stem of the exported file."""
    rows = read(lake, "SELECT member, recording_id FROM sources").to_pylist()
    ids = {row["member"]: row["recording_id"] for row in rows}
    jobs = tuple(Job(task, Options()) for task in ("transcribe", "translate"))
    found = {}
    for stem, member, clip in (
        ("en-01", "en-01.flac", CLIPS[0]),
        ("en-05.m4a", "en-05.m4a", CLIPS[1]),
        ("en-05.mp3", "en-05.mp3", CLIPS[2]),
    ):
        request = Request(ids[member], str(SAMPLES / clip), jobs)
        for result in engine_named("reference")([request], load_model("demo", "cpu")):
            assert isinstance(result, Transcript)
            suffix = ".translate" if result.job.task == "translate" else ""
            found[stem + suffix] = {
                "text": result.text,
                "segments": result.segments,
                "language": result.language,
            }
    return found


@pytest.mark.parametrize("fmt", formats.FORMATS)
def test_files_are_byte_for_byte_what_the_engine_gives(
    lake: Lake, own_results: dict[str, dict[str, object]], tmp_path: Path, fmt: str
) -> None:
    list(export(lake, fmt, tmp_path))
    for name, result in own_results.items():
        own = formats.render(result, fmt).encode()
        assert (tmp_path / f"{name}.{fmt}").read_bytes() == own, name


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("task = 'translate' AND member = 'en-01.flac'", {"en-01.translate.txt"}),
        ("archive LIKE '%.zip' AND task = 'transcribe'", {"old.zip/a/b.txt"}),
        ("language = 'de' AND task = 'transcribe'", {"en-05.txt"}),
        ("duration_s > 3600", set()),
    ],
)
def test_where_chooses_among_transcripts_and_sources(
    lake: Lake, tmp_path: Path, where: str, expected: set[str]
) -> None:
    list(export(lake, "txt", tmp_path, where))
    assert names(tmp_path) == expected


def test_mistakes_are_named_and_nothing_is_written(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="format 'doc'"):
        list(export(lake, "doc", tmp_path))
    with pytest.raises(NightscribeError, match="--where 'tusk = 1' is not a condition"):
        list(export(lake, "txt", tmp_path, "tusk = 1"))
    assert names(tmp_path) == set()


def test_transcripts_of_a_recording_come_with_their_segments_in_order(lake: Lake) -> None:
    [row] = read(
        lake,
        """SELECT DISTINCT recording_id, model_id FROM sources JOIN transcripts USING (recording_id)
           WHERE member = 'en-05.m4a'""",
    ).to_pylist()
    assert transcripts_of(lake, row["recording_id"], "another model") == []
    found = transcripts_of(lake, row["recording_id"], row["model_id"])
    assert [transcript["task"] for transcript, _ in found] == ["transcribe", "translate"]
    for transcript, segments in found:
        assert [segment["index"] for segment in segments] == list(range(len(segments)))
        assert len(segments) == transcript["segment_count"]
        assert "".join(segment["text"] for segment in segments) == transcript["text"]
