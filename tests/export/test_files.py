"""Transcripts as files: named like the recordings, and the same bytes as the engine's own."""

from __future__ import annotations

import os
import resource
import shutil
import unicodedata
import zipfile
from pathlib import Path

import pytest

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export.files import NotWritten, export, formats
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import transcripts_of
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.whisper.contract import Job, Request, Transcript
from nightscribe.whisper.engines import engine_named, load_model
from nightscribe.whisper.options import Options
from tests.lake.made_up import segment, transcript
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
    """Paths of the files below the folder of their collection."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {str(Path(*file.parts[1:])) for file in files}


def collection_of(folder: Path) -> Path:
    """The only folder of a collection."""
    [found] = folder.iterdir()
    return found


def test_files_are_named_as_the_recordings_and_lie_as_they_do(lake: Lake, tmp_path: Path) -> None:
    exported = list(export(lake, "srt", tmp_path))
    places = ["en-01.flac", "again/copy.flac", "old.zip/a/b.flac", "en-05.m4a", "en-05.mp3"]
    expected = {f"{place}{task}.srt" for place in places for task in ("", ".translate")}
    assert names(tmp_path) == expected
    written = {one.path for one in exported}
    assert {str(path.relative_to(collection_of(tmp_path))) for path in written} == expected
    assert len({one.transcript_id for one in exported}) == 6


@pytest.fixture(scope="module")
def own_results(lake: Lake) -> dict[str, dict[str, object]]:
    """What the engine itself gives, by the exported file without its format."""
    rows = read(lake, "SELECT member, recording_id FROM sources").to_pylist()
    ids = {row["member"]: row["recording_id"] for row in rows}
    jobs = tuple(Job(task, Options()) for task in ("transcribe", "translate"))
    found = {}
    for member, clip in (
        ("en-01.flac", CLIPS[0]),
        ("en-05.m4a", CLIPS[1]),
        ("en-05.mp3", CLIPS[2]),
    ):
        request = Request(ids[member], str(SAMPLES / clip), jobs)
        for result in engine_named("reference")([request], load_model("demo", "cpu")):
            assert isinstance(result, Transcript)
            suffix = ".translate" if result.job.task == "translate" else ""
            found[member + suffix] = {
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
        assert (collection_of(tmp_path) / f"{name}.{fmt}").read_bytes() == own, name


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("task = 'translate' AND member = 'en-01.flac'", {"en-01.flac.translate.txt"}),
        ("path = 'en-01.flac' AND task = 'transcribe'", {"en-01.flac.txt"}),
        ("archive LIKE '%.zip' AND task = 'transcribe'", {"old.zip/a/b.flac.txt"}),
        ("language = 'de' AND task = 'transcribe'", {"en-05.mp3.txt"}),
        ("duration_s > 3600", set()),
    ],
)
def test_where_chooses_among_transcripts_and_sources(
    lake: Lake, tmp_path: Path, where: str, expected: set[str]
) -> None:
    list(export(lake, "txt", tmp_path, where))
    assert names(tmp_path) == expected


def test_a_name_does_not_depend_on_what_else_is_exported(lake: Lake, tmp_path: Path) -> None:
    list(export(lake, "txt", tmp_path / "all"))
    for where in (
        "member = 'en-05.m4a'",
        "member = 'en-05.mp3' AND task = 'transcribe'",
        "archive LIKE '%.zip'",
        "member = 'en-01.flac' AND id = recording_id",
    ):
        list(export(lake, "txt", tmp_path / "some", where))
        some = {path for path in (tmp_path / "some").rglob("*") if path.is_file()}
        for path in some:
            same = tmp_path / "all" / path.relative_to(tmp_path / "some")
            assert path.read_bytes() == same.read_bytes(), where
    assert len(some) == 7


def lake_of_places(folder: Path, places: list[tuple[str, str, str]]) -> Lake:
    """A lake with a recording for each (collection, archive, member); its text is the member."""
    lake = open_lake(str(folder))
    ids = [f"r{number}" for number in range(len(places))]
    lake.append(
        "sources",
        rows_of(
            "sources",
            [
                {
                    "archive": archive,
                    "member": member,
                    "recording_id": name,
                    "collection": collection,
                    "position": 0,
                    "size_bytes": 1,
                    "version": "v",
                }
                for name, (collection, archive, member) in zip(ids, places, strict=True)
            ],
            "run",
        ),
    )
    rows = [
        transcript(f"t of {name}", name, text=place[2])
        for name, place in zip(ids, places, strict=True)
    ]
    lake.append("transcripts", rows_of("transcripts", rows, "run"))
    texts = [
        {**segment(row["transcript_id"]), "recording_id": row["recording_id"], "text": row["text"]}
        for row in rows
    ]
    lake.append("segments", rows_of("segments", texts))
    return lake


RADIO = "file:///data/radio"
SHARED = [
    (RADIO, RADIO, "talk.wav"),
    (RADIO, RADIO, "talk.mp3"),
    (RADIO, RADIO, "Talk.wav"),
    (RADIO, RADIO, "caf\u00e9.wav"),
    (RADIO, RADIO, "cafe\u0301.wav"),
    (RADIO, f"{RADIO}/a.zip", "talk.wav"),
    (RADIO, RADIO, "a.zip/talk.wav"),
    (RADIO, RADIO, "a//talk.wav"),
    (RADIO, RADIO, "a/talk.wav"),
    (RADIO, RADIO, "a/./talk.wav"),
    (f"{RADIO}/a", f"{RADIO}/a", "talk.wav"),
    ("s3://bucket/radio", "s3://bucket/radio", "talk.wav"),
    ("s3://bucket", "s3://bucket", "talk.wav"),
    ("file:///", "file:///", "talk.wav"),
    ("file:///elsewhere/talk.wav", "file:///elsewhere", "talk.wav"),
]


def test_no_two_places_share_a_file(tmp_path: Path) -> None:
    lake = lake_of_places(tmp_path / "lake", SHARED)
    out = tmp_path / "out"
    # Each alone, into one folder, and then all.
    for archive, member in {(archive, member) for _, archive, member in SHARED}:
        list(export(lake, "txt", out, f"archive = '{archive}' AND member = '{member}'"))
    alone = {path: path.read_text() for path in out.rglob("*.txt")}
    exported = list(export(lake, "txt", out))
    assert {path: path.read_text() for path in out.rglob("*.txt")} == alone
    assert len(alone) == len({one.path for one in exported}) == len(SHARED)
    assert sorted(alone.values()) == sorted(f"{member}\n" for _, _, member in SHARED)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("a/" * 30 + "x" * 252 + ".wav", "260 bytes long: give the recording a shorter name"),
        ("\u9332" * 84 + ".wav", "260 bytes long"),
        ("../talk.wav", "`..`"),
        ("a/../../talk.wav", "`..`"),
        ("a\nb.wav", "control characters"),
        ("a\x1b[2Jb.wav", "control characters"),
        ("a\u2028b.wav", "control characters"),
        ("./", "names no file"),
        ("talk.wav.txt/other.wav", "cannot be written: "),  # a folder of a file's name
    ],
)
def test_a_file_that_cannot_be_written_is_named_and_the_others_are_written(
    tmp_path: Path, member: str, reason: str
) -> None:
    places = [(RADIO, RADIO, name) for name in ("talk.wav", member, "zoo.wav")]
    lake = lake_of_places(tmp_path / "lake", places)
    faults: list[NotWritten] = []
    out = tmp_path / "out"
    list(export(lake, "txt", out, skip=faults.append))
    assert names(out) == {"talk.wav.txt", "zoo.wav.txt"}
    [fault] = faults
    assert fault.recording == f"{RADIO}!/{member}"
    assert reason in fault.reason
    with pytest.raises(NotWritten, match="file:///data/radio!/"):
        list(export(lake, "txt", out))
    assert [path for path in tmp_path.rglob("*.txt") if out not in path.parents] == []


def test_a_full_disk_costs_the_files_that_do_not_fit(tmp_path: Path) -> None:
    places = [(RADIO, RADIO, f"{'long ' * count}.wav") for count in (1, 40, 2)]
    lake = lake_of_places(tmp_path / "lake", places)
    faults: list[NotWritten] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = export(lake, "txt", tmp_path / "out", skip=faults.append)
    first = next(files)  # DuckDB has read what it needs
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        rest = list(files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len([first, *rest]) == 2
    [fault] = faults
    assert "long long long" in fault.recording
    assert fault.reason.endswith("cannot be written: File too large")
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_file_system_that_takes_two_names_for_one_costs_the_second_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = ["Talk.wav", "caf\u00e9.wav", "cafe\u0301.wav", "talk.wav", "zoo.wav"]
    lake = lake_of_places(tmp_path / "lake", [(RADIO, RADIO, name) for name in members])
    there = os.path.lexists

    def lexists(path: Path) -> bool:
        """As on a disk of a Mac."""
        folded = unicodedata.normalize("NFC", path.name).casefold()
        return there(path) or any(
            unicodedata.normalize("NFC", name).casefold() == folded
            for name in os.listdir(path.parent)
        )

    monkeypatch.setattr("os.path.lexists", lexists)
    for _ in range(2):  # also into the folder of another run
        faults: list[NotWritten] = []
        written = list(export(lake, "txt", tmp_path / "out", skip=faults.append))
        assert len(written) == 3
        assert len(faults) == 2
        assert all("takes the names for the same" in fault.reason for fault in faults)
    texts = {path.read_text() for path in (tmp_path / "out").rglob("*.txt")}
    assert texts == {f"{one.path.name.removesuffix('.txt')}\n" for one in written}


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
    for row, segments in found:
        assert [segment["index"] for segment in segments] == list(range(len(segments)))
        assert len(segments) == row["segment_count"]
        assert "".join(segment["text"] for segment in segments) == row["text"]
