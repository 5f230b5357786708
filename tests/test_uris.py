"""A place is found again by its URI, also where folders are called `Wow!`."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nightscribe.airflow.upload import ingest_upload
from nightscribe.cli import main
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import Night, run
from nightscribe.stages.order import Order
from nightscribe.uris import (
    canonical_uri,
    child_uri,
    encode_path,
    join_uri,
    places_of,
    split_uri,
)
from tests.nights import write_noise

_NAME = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6
) | st.text("!%215aF .", min_size=1, max_size=8)
_PATH = st.lists(_NAME, min_size=1, max_size=4).map("/".join)


@st.composite
def archives(draw: st.DrawFn) -> str:
    """Canonical URIs of folders on a disk and of prefixes in a bucket."""
    path = draw(_PATH)
    return canonical_uri(draw(st.sampled_from([f"/{path}", f"s3://bucket/{path}", "/"])))


MEMBERS = _PATH.map(encode_path)
"""Paths as the lake writes them."""


@given(archives(), MEMBERS)
@example("file:///Wow!", "talk.wav")
@example("file:///Wow!/radio", "Wow!/talk.wav")
@example("file:///Wow%21/radio", "talk.wav")
@example("file:///Wow%2521!/%2521/radio!", "!/talk.wav")
@example("s3://bucket/%21", "/absolute.wav")
def test_splitting_a_uri_gives_back_what_was_joined(archive: str, member: str) -> None:
    assert split_uri(join_uri(archive, member)) == (archive, member)
    assert split_uri(join_uri(archive, "")) == (archive, "")


@given(archives(), MEMBERS)
@example("file:///", "talk.wav")
@example("s3://bucket/a%41", "b%2541.wav")
def test_a_file_is_found_in_each_folder_above_it(archive: str, member: str) -> None:
    assume(not {"", ".", ".."} & set(member.split("/")))
    places = places_of(child_uri(archive, member))
    assert (archive, member) in places
    assert len(places) == len(set(places))
    assert {child_uri(*place) for place in places} == {child_uri(archive, member)}


# An archive below a folder `Wow!`


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bad files among good ones, a zip in the same state, and a damaged zip."""
    folder = tmp_path_factory.mktemp("uris") / "Wow!" / "radio"
    write_noise(folder / "good.wav", seed=1)
    (folder / "empty.wav").touch()
    (folder / "notes.mp3").write_text("milk, eggs, flour")
    (folder / "manifest.csv").write_text("path,language\ngood.wav,de\nlost.wav,de\n")
    (folder / "damaged.zip").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    with zipfile.ZipFile(folder / "packed.zip", "w") as packed:
        packed.write(write_noise(folder.parent / "other.wav", seed=2), "Wow!/good.wav")
        packed.writestr("Wow!/notes.mp3", "milk, eggs, flour")
        packed.writestr("Wow!/manifest.csv", "path,language\ngood.wav,fr\nlost.wav,fr\n")
    return folder


@pytest.fixture(scope="module")
def lake(radio: Path) -> Lake:
    return open_lake(str(radio.parents[1] / "lake"))


def a_night(lake: Lake, archive: Path) -> Night:
    return run(lake, Order((str(archive),), "demo", language="en"), Settings(device="cpu"))


@pytest.fixture(scope="module")
def night(lake: Lake, radio: Path) -> Night:
    return a_night(lake, radio)


def places(rows: list[dict[str, str]], radio: Path) -> dict[tuple[str, str], str]:
    """(archive below `Wow!`, member) → reason, of rows of `rejected`."""
    found = {}
    for row in rows:
        archive, member = split_uri(row["uri"])
        root = canonical_uri(str(radio.parent)) + "/"
        assert archive.startswith(root)
        found[archive.removeprefix(root), member] = row["reason"]
    assert len(found) == len(rows)
    return found


REJECTED = {
    ("radio", "empty.wav"): "empty_file",
    ("radio", "notes.mp3"): "not_audio",
    ("radio", "lost.wav"): "manifest_missing_file",
    ("radio/damaged.zip", ""): "corrupt_archive",
    ("radio/packed.zip", "Wow!/notes.mp3"): "not_audio",
    ("radio/packed.zip", "Wow!/lost.wav"): "manifest_missing_file",
}


@pytest.mark.usefixtures("night")
def test_rejections_lead_to_the_files(lake: Lake, radio: Path) -> None:
    rows = read(lake, "SELECT uri, reason FROM rejected").to_pylist()
    assert places(rows, radio) == REJECTED


@pytest.mark.usefixtures("night")
def test_sources_lead_to_the_recordings_with_what_their_manifests_say(
    lake: Lake, radio: Path
) -> None:
    archive = canonical_uri(str(radio))
    rows = read(lake, "SELECT archive, member, language_hint FROM sources ORDER BY ALL").to_pylist()
    assert rows == [
        {"archive": archive, "member": "good.wav", "language_hint": "de"},
        {
            "archive": f"{archive}/packed.zip",
            "member": "Wow!/good.wav",
            "language_hint": "fr",
        },
    ]


@pytest.mark.usefixtures("night")
def test_a_damaged_zip_is_rejected_as_the_file_that_it_is_and_is_not_read_to_its_end(
    lake: Lake,
) -> None:
    [row] = read(lake, "SELECT version FROM rejected WHERE reason = 'corrupt_archive'").to_pylist()
    assert row["version"] != ""
    scanned = read(lake, "SELECT uri FROM scans WHERE kind = 'container'")["uri"].to_pylist()
    assert [uri.rpartition("/")[2] for uri in scanned] == ["packed.zip"]


def test_the_next_night_finds_nothing_new(lake: Lake, radio: Path, night: Night) -> None:
    assert sum(batch.transcripts for batch in night.transcribed) == 2
    before = read(lake, "SELECT uri, version FROM rejected ORDER BY ALL")
    again = a_night(lake, radio)
    assert (again.scanned.specs, again.transcribed) == ([], [])
    assert read(lake, "SELECT uri, version FROM rejected ORDER BY ALL") == before


@pytest.mark.usefixtures("night")
def test_transcripts_are_exported_to_the_paths_of_the_recordings(
    lake: Lake, tmp_path: Path
) -> None:
    assert main(["export", "--lake", lake.uri, "--format", "txt", "--out", str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.txt")}
    assert {str(Path(*path.parts[1:])) for path in written} == {
        *("good.wav.txt", "packed.zip/Wow!/good.wav.txt"),
    }
    [collection] = {path.parts[0] for path in written}
    assert re.fullmatch("radio-[0-9a-f]{8}", collection)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("notes.mp3", "cannot be transcribed: not_audio: "),
        ("damaged.zip", "is an archive by its name: an upload is one recording"),
    ],
)
def test_an_upload_that_cannot_be_used_fails_with_its_reason(
    name: str, reason: str, radio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exceptions = pytest.importorskip("airflow.sdk.exceptions")
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_UPLOADS", str(radio))
    with pytest.raises(exceptions.AirflowFailException, match=rf"{name} {reason}"):
        ingest_upload({"uri": str(radio / name), "model": "demo"}, "upload")
