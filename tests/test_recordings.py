"""A recording's bytes are found wherever one of its sources still has them."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from nightscribe import Lake, NightscribeError, Settings, open_lake, open_recording, read
from nightscribe.errors import Rejected
from nightscribe.recordings import content_id
from nightscribe.stages.ingest import ingest
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from tests.nights import write_noise

SETTINGS = Settings()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One recording at three places: a file, a copy of it, and a member of a zip."""
    folder = tmp_path / "Wow!"
    first = write_noise(folder / "a.wav", 1)
    shutil.copy(first, folder / "b.wav")
    with zipfile.ZipFile(folder / "c.zip", "w") as packed:
        packed.write(first, "inside.wav")
    return folder


@pytest.fixture
def lake(archive: Path, tmp_path: Path) -> Lake:
    lake = open_lake(str(tmp_path / "lake"))
    found = scan(lake, [str(archive)], "run", settings=SETTINGS, folder=work_folder("run"))
    for spec in found.specs:
        ingest(lake, spec, "run", settings=SETTINGS)
    assert read(lake, "FROM sources").num_rows == 3
    return lake


def the_recording(lake: Lake) -> str:
    [row] = read(lake, "SELECT recording_id FROM recordings").to_pylist()
    return str(row["recording_id"])


def bytes_of(lake: Lake) -> bytes:
    with open_recording(lake, the_recording(lake), SETTINGS.limits) as file:
        content = file.read()
        assert file.seek(0) == 0
    return content


def test_bytes_come_from_any_source_that_still_has_them(lake: Lake, archive: Path) -> None:
    content = (archive / "a.wav").read_bytes()
    assert bytes_of(lake) == content
    (archive / "a.wav").unlink()
    assert bytes_of(lake) == content
    (archive / "b.wav").write_bytes(b"something else")
    assert bytes_of(lake) == content  # from the zip


def test_no_source_left_says_what_each_of_them_answered(lake: Lake, archive: Path) -> None:
    (archive / "a.wav").unlink()
    (archive / "b.wav").write_bytes(b"something else")
    (archive / "c.zip").unlink()
    with pytest.raises(NightscribeError) as caught:
        bytes_of(lake)
    message = str(caught.value)
    assert "a.wav: the file is no longer there" in message
    assert "b.wav: its content has changed since it was ingested" in message
    assert "c.zip!/inside.wav: the container is no longer there" in message


def test_unknown_recording_is_named(lake: Lake) -> None:
    with (
        pytest.raises(NightscribeError, match="has no recording 'abc'"),
        open_recording(lake, "abc", SETTINGS.limits),
    ):
        pass


def test_content_id_is_the_digest_of_all_bytes_and_rewinds() -> None:
    file = io.BytesIO(b"abc")
    assert content_id(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file.tell() == 0


class Growing(io.BytesIO):
    """A file that somebody writes to when it has been read to its end."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if not found:
            self.write(b"more")
        return found


def test_a_file_that_grows_while_it_is_read_has_no_identifier() -> None:
    with pytest.raises(Rejected, match=r"changed: .* 12 bytes, of which 8 were read"):
        content_id(Growing(b"the file"))
