"""What the DAG of uploads takes: one file that may be a recording, told before it is read."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from nightscribe.airflow.upload import ingest_upload
from nightscribe.archives.single import check_single_file
from nightscribe.errors import ConfigurationError


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploads, empty; the lake does not exist yet."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_UPLOADS", str(folder))
    monkeypatch.setenv("NIGHTSCRIBE_MODEL", "demo")
    return folder


def a_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.wav", b"1" * 100)
    return content.getvalue()


def a_tar(format: int = tarfile.GNU_FORMAT, mode: str = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode, format=format) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("a.wav")
        info.size = 100
        archive.addfile(info, io.BytesIO(b"1" * 100))
    return content.getvalue()


def an_old_tar() -> bytes:
    """A tar of the time before the format had a magic number."""
    header = bytearray(a_tar()[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + bytes(1536)


ARCHIVES = {
    "talk.wav": a_zip(),
    "talk": a_zip(),
    "empty.mp3": b"PK\5\6" + bytes(18),
    "tar.flac": a_tar(),
    "pax.mp4": a_tar(tarfile.PAX_FORMAT),
    "old.wav": an_old_tar(),
    "packed.ogg": a_tar(mode="w:gz"),
    "packed.wav.gz": a_tar(mode="w:gz"),
    "packed.wav.xz": a_tar(mode="w:xz"),
    "packed.mp3": a_tar(mode="w:bz2"),
    "compressed.mp3": gzip.compress(b"RIFF" * 100),
    "seven.wav": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "rar.wav": b"Rar!\x1a\7\1\0" + bytes(100),
    "disk.mov": bytes(32_769) + b"CD001" + bytes(100),
    "many.zip": a_zip(),
    "many.TAR.GZ": a_tar(mode="w:gz"),
    "many.zip.001": a_zip(),
    "many.7z": b"not looked at",
    "manifest.csv": b"path,language\na.wav,de\n",
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_refused_whatever_its_name(name: str, inbox: Path, tmp_path: Path) -> None:
    (inbox / name).write_bytes(ARCHIVES[name])
    with pytest.raises(AirflowFailException, match="an upload is one recording"):
        ingest_upload({"uri": str(inbox / name)}, "upload")
    assert not (tmp_path / "lake").exists(), "something was done"


@pytest.mark.parametrize("name", ["folder", "folder.wav", "link", "pipe.wav", "absent.wav"])
def test_what_is_no_file_is_refused(name: str, inbox: Path, tmp_path: Path) -> None:
    match name:
        case "pipe.wav":
            os.mkfifo(inbox / name)
        case "link":
            (inbox / "folder").mkdir()
            (inbox / name).symlink_to(inbox / "folder")
        case "folder" | "folder.wav":
            (inbox / name).mkdir()
            (inbox / name / "a.wav").write_bytes(b"1")
    with pytest.raises(AirflowFailException, match=r"is a folder|pipe or socket|no such archive"):
        ingest_upload({"uri": str(inbox / name)}, "upload")
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "uri",
    ["http://localhost:1/a.wav", "HTTPS://me:secret@example.org/a.wav?token=1", " http://x/a"],
)
def test_a_worker_fetches_no_url(uri: str, inbox: Path, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="a worker fetches no URL") as refused:
        ingest_upload({"uri": uri}, "upload")
    assert "secret" not in str(refused.value)
    assert "token" not in str(refused.value)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("uri", ["", "   ", "\n"])
def test_no_file_is_not_taken_for_the_configured_archive(
    uri: str, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "a.wav").write_bytes(b"1")
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVES", str(inbox / "a.wav"))
    with pytest.raises(AirflowFailException, match="no file to transcribe"):
        ingest_upload({"uri": uri}, "upload")


@pytest.mark.parametrize("name", ["talk.flac", "talk", "talk.FLAC", "50%20 talk.flac", "x.flac.gz"])
def test_a_recording_is_taken(name: str, samples: Path, inbox: Path) -> None:
    shutil.copyfile(samples / "english" / "en-01.flac", inbox / name)
    if name.endswith(".gz"):
        (inbox / name).write_bytes(gzip.compress((inbox / name).read_bytes()))
    check_single_file(str(inbox / name))


@pytest.mark.parametrize("name", ["talk.mp3", "talk.wav.gz", "talk.zst"])
def test_damage_is_left_to_those_who_read_the_file(name: str, inbox: Path) -> None:
    """It is no archive: that it is no recording either is found, and noted, at ingestion."""
    (inbox / name).write_bytes(b"\x1f\x8bBuy milk.")
    check_single_file(str(inbox / name))


def test_every_sample_of_the_archive_is_one_recording(samples: Path) -> None:
    looked = [file for file in samples.rglob("*") if file.suffix in {".flac", ".mp3", ".ogg"}]
    looked += [file for file in samples.rglob("*") if file.suffix in {".wav", ".m4a", ".mp4"}]
    assert len(looked) > 25
    for file in looked:
        check_single_file(str(file))


def test_a_folder_of_a_store_is_refused(inbox: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/single-bucket/inbox/a.wav", b"RIFF")
    try:
        check_single_file("memory://single-bucket/inbox/a.wav")
        with pytest.raises(ConfigurationError, match="is a folder"):
            check_single_file("memory://single-bucket/inbox")
    finally:
        store.rm("/single-bucket", recursive=True)
