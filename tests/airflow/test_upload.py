"""The recording of an uploaded file is found by the place that a scan gives it."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from nightscribe.airflow.upload import ingest_upload, recording_of
from nightscribe.errors import ConfigurationError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.recordings import content_id
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.maintain import maintain
from nightscribe.stages.run_ids import new_run_id, work_folder
from nightscribe.stages.scan import scan
from nightscribe.uris import canonical_uri


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def take_in(lake: Lake, archive: Path) -> None:
    """Scan and ingest a folder or file."""
    run_id, settings = new_run_id(), Settings()
    found = scan(lake, [str(archive)], run_id, settings=settings, folder=work_folder(run_id))
    for spec in found.specs:
        ingest(lake, spec, run_id, settings=settings)


def id_of(file: Path) -> str:
    with file.open("rb") as opened:
        return content_id(opened)


@pytest.mark.parametrize("folder", ["radio", "Wow!", "Wow!/radio", "50%20/radio"])
def test_a_file_is_found_whatever_its_folder_is_called(
    folder: str, lake: Lake, samples: Path, tmp_path: Path
) -> None:
    file = tmp_path / folder / "talk.flac"
    file.parent.mkdir(parents=True)
    shutil.copyfile(samples / "english" / "en-01.flac", file)
    take_in(lake, file)
    assert recording_of(lake, canonical_uri(str(file))) == id_of(file)


def test_a_file_that_the_nightly_run_knows_is_found(
    lake: Lake, samples: Path, tmp_path: Path
) -> None:
    file = tmp_path / "radio" / "talk.flac"
    file.parent.mkdir()
    shutil.copyfile(samples / "english" / "en-01.flac", file)
    take_in(lake, file.parent)
    take_in(lake, file)
    assert recording_of(lake, canonical_uri(str(file))) == id_of(file)


def test_a_file_that_was_replaced_after_the_nightly_run_is_one_recording(
    lake: Lake, samples: Path, tmp_path: Path
) -> None:
    file = tmp_path / "radio" / "2024" / "talk.flac"
    file.parent.mkdir(parents=True)
    shutil.copyfile(samples / "english" / "en-01.flac", file)
    take_in(lake, tmp_path / "radio")
    shutil.copyfile(samples / "german" / "de-01.flac", file)
    os.utime(file, (1, 1))
    take_in(lake, file)
    assert recording_of(lake, canonical_uri(str(file))) == id_of(file)


def test_a_zip_that_the_nightly_run_has_read_is_found(
    lake: Lake, samples: Path, tmp_path: Path
) -> None:
    talk = samples / "english" / "en-01.flac"
    packed = tmp_path / "radio" / "talk.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(talk, "talk.flac")
    take_in(lake, packed.parent)
    take_in(lake, packed)
    assert recording_of(lake, packed.as_uri()) == id_of(talk)


@pytest.mark.parametrize("folder", ["radio", "Wow!", "Wow!/radio"])
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    folder: str, lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / folder / "talk.flac"
    file.parent.mkdir(parents=True)
    file.write_text("Buy milk.")
    take_in(lake, file)
    with pytest.raises(ConfigurationError, match=r"talk\.flac cannot be transcribed: not_audio: "):
        recording_of(lake, canonical_uri(str(file)))


def test_an_archive_of_several_recordings_is_refused(lake: Lake, samples: Path) -> None:
    take_in(lake, samples / "spanish.zip")
    with pytest.raises(ConfigurationError, match="it holds 6 recordings; give one audio file"):
        recording_of(lake, (samples / "spanish.zip").as_uri())


def test_an_upload_past_its_time_is_removed_and_who_sends_it_again_is_told(
    lake: Lake, samples: Path, tmp_path: Path
) -> None:
    talk = samples / "english" / "en-01.flac"
    file = tmp_path / "uploads" / id_of(talk) / "talk.flac"
    file.parent.mkdir(parents=True)
    shutil.copyfile(talk, file)
    take_in(lake, file)
    uploads = str(tmp_path / "uploads")
    settings = Settings().model_copy(update={"uploads": uploads, "retention": {uploads: 1e-9}})
    assert maintain(lake, settings, "run").forgotten == 1
    assert not file.exists()
    shutil.copyfile(talk, file.with_name("again.flac"))
    take_in(lake, file.with_name("again.flac"))
    command = f"`nightscribe forget --recording {id_of(talk)} --undo --yes` lets it be read again"
    with pytest.raises(ConfigurationError, match=f"was forgotten on .*{command}"):
        recording_of(lake, canonical_uri(str(file.with_name("again.flac"))))


def test_account_of_an_upload_has_nothing_unfinished(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "talk.flac"
    shutil.copyfile(samples / "english" / "en-01.flac", file)
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_UPLOADS", str(tmp_path))
    ingest_upload({"uri": str(file), "model": "demo"}, "upload")
    accounts = read(
        open_lake(str(tmp_path / "lake")), "SELECT found, used, unfinished FROM accounts"
    )
    assert accounts.to_pylist() == [{"found": 1, "used": 1, "unfinished": 0}]
