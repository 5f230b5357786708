"""Bad inputs from one end to the other: each is one row of `rejected`, and the rest goes on."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.night import Night, run
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import Transcribed, transcribe_batch
from nightscribe.whisper.engines import engine_named, model_loader
from tests.audio.crashes import crash_decoders
from tests.nights import SAMPLES, archive_of, write_noise
from tests.unprivileged import unprivileged

ENGLISH = SAMPLES / "english"
CUT = (SAMPLES / "english" / "en-01.flac").read_bytes()[:50_000]

EXPECTED = {
    "empty.wav": "empty_file",
    "notes.mp3": "not_audio",
    "silent-film.mp4": "no_audio_stream",
    "tick.wav": "too_short",
    "corrupt.zip": "corrupt_archive",
    "cut.tar": "corrupt_archive",
    "locked.zip!/locked.wav": "encrypted_member",
    "unsafe.tar!/../climb.wav": "unsafe_member_name",
    "unsafe.tar!//absolute.wav": "unsafe_member_name",
    "unsafe.tar!/soft.wav": "link_member",
    "unsafe.tar!/hard.wav": "link_member",
    "bomb.zip!/zeros.wav": "archive_limit",
    "crowd.zip": "archive_limit",
    "nested.zip!/inner.zip": "nested_archive",
    "missing/manifest.csv#3": "manifest_bad_row",
    "missing/lost.wav": "manifest_missing_file",
    "latin/manifest.csv": "manifest_unreadable",
    "packed.zip!/lost.wav": "manifest_missing_file",
}
"""Place below the archive → reason."""

GOOD = {
    "good.mp3",
    "cut.flac",
    "locked.zip!/open.ogg",
    "unsafe.tar!/good.mp3",
    "two\nlines 🎙.wav",
    "missing/here.wav",
    "packed.zip!/here.wav",
    *(f"five/{number}.flac" for number in range(5)),
}


@dataclass(frozen=True)
class Nights:
    """A lake after two runs over the same archive, and what they did."""

    lake: Lake
    root: str
    first: Night
    second: Night
    rejected_first: int


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("bad") / "archive"
    write_bad_archive(folder)
    lake = open_lake(str(folder.parent / "lake"))
    order = Order((str(folder),), "demo", language="en")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_RATIO", "20")
        patch.setenv("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "10")
        settings = Settings(device="cpu")
        first = run(lake, order, settings)
        rejected = len(rejections(lake))
        second = run(lake, order, settings)
    return Nights(lake, f"file://{folder}", first, second, rejected)


def write_bad_archive(folder: Path) -> None:
    """An archive with one of everything that goes wrong, and good recordings among it."""
    archive_of(folder, ["bad/empty.wav", "bad/silent-film.mp4"])
    shutil.copyfile(ENGLISH / "en-02.mp3", folder / "good.mp3")
    (folder / "notes.mp3").write_text("milk, eggs, flour")
    (folder / "cut.flac").write_bytes(CUT)
    write_noise(folder / "tick.wav", seed=1, seconds=0.05)
    write_noise(folder / "two\nlines 🎙.wav", seed=2)
    (folder / "five").mkdir()
    for number in range(5):
        shutil.copyfile(ENGLISH / "en-01.flac", folder / "five" / f"{number}.flac")

    (folder / "corrupt.zip").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    (folder / "cut.tar").write_bytes(tarred({"a.wav": CUT})[:20_000])
    (folder / "locked.zip").write_bytes(
        zipped({"locked.wav": CUT, "open.ogg": (ENGLISH / "en-03.ogg").read_bytes()}, lock=1)
    )
    with tarfile.open(folder / "unsafe.tar", "w") as unsafe:
        for name in ("../climb.wav", "/absolute.wav"):
            unsafe.addfile(member(name, len(CUT)), io.BytesIO(CUT))
        for name, kind in (("soft.wav", tarfile.SYMTYPE), ("hard.wav", tarfile.LNKTYPE)):
            link = member(name, 0)
            link.type, link.linkname = kind, "/etc/passwd"
            unsafe.addfile(link)
        unsafe.add(ENGLISH / "en-02.mp3", "good.mp3")
    (folder / "bomb.zip").write_bytes(zipped({"zeros.wav": bytes(8 << 20)}))
    (folder / "crowd.zip").write_bytes(zipped({f"{number}.txt": b"x" for number in range(11)}))
    (folder / "nested.zip").write_bytes(zipped({"inner.zip": zipped({"a.wav": CUT})}))

    write_noise(folder / "missing" / "here.wav", seed=3)
    (folder / "missing" / "manifest.csv").write_text(
        "path,language,text\nlost.wav,en,Gone.\nhere.wav,klingon,Qapla'\n"
    )
    (folder / "latin").mkdir()
    (folder / "latin" / "manifest.csv").write_bytes("path,text\na.wav,garçon\n".encode("latin-1"))
    here = write_noise(folder.parent / "here.wav", seed=4).read_bytes()
    (folder / "packed.zip").write_bytes(
        zipped({"manifest.csv": b"path,text\nhere.wav,Hi\nlost.wav,Gone\n", "here.wav": here})
    )


def member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            archive.addfile(member(name, len(content)), io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes], lock: int = 0) -> bytes:
    """A zip; the first `lock` members are marked as encrypted."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        infos = archive.infolist()[:lock]
    data = bytearray(buffer.getvalue())
    directory = data.index(b"PK\x01\x02")
    for info in infos:
        data[info.header_offset + 6] |= 1
        data[directory + 8] |= 1
    return bytes(data)


def rejections(lake: Lake) -> list[tuple[str, str]]:
    rows = read(lake, "SELECT uri, reason FROM rejected ORDER BY ALL").to_pylist()
    return [(row["uri"], row["reason"]) for row in rows]


def below(root: str, uri: str) -> str:
    return uri.removeprefix(root).removeprefix("!/").removeprefix("/")


@pytest.mark.parametrize(("place", "reason"), EXPECTED.items())
def test_bad_input_is_one_row_that_says_why(nights: Nights, place: str, reason: str) -> None:
    rows = [r for uri, r in rejections(nights.lake) if below(nights.root, uri) == place]
    assert rows == [reason]


def test_nothing_else_is_rejected(nights: Nights) -> None:
    found = Counter(below(nights.root, uri) for uri, _ in rejections(nights.lake))
    assert found == Counter(EXPECTED.keys())


def test_every_rejection_says_in_words_what_was_found(nights: Nights) -> None:
    details = read(nights.lake, "SELECT detail FROM rejected")["detail"].to_pylist()
    assert len(details) == len(EXPECTED)
    assert min(map(len, details)) > 10


def test_good_recordings_of_the_same_archives_get_their_transcripts(nights: Nights) -> None:
    rows = read(
        nights.lake,
        """SELECT archive, member FROM sources JOIN transcripts USING (recording_id)
           WHERE task = 'transcribe'""",
    ).to_pylist()
    places = [
        f"{row['archive']}!/{row['member']}".removeprefix(f"{nights.root}!/").removeprefix(
            f"{nights.root}/"
        )
        for row in rows
    ]
    assert sorted(places) == sorted(GOOD)


def test_recording_cut_off_in_the_middle_is_transcribed_and_carries_a_warning(
    nights: Nights,
) -> None:
    rows = read(
        nights.lake,
        """SELECT warning, r.duration_s, t.text FROM recordings AS r
           JOIN sources USING (recording_id) JOIN transcripts AS t USING (recording_id)
           WHERE member = 'cut.flac'""",
    ).to_pylist()
    assert len(rows) == 1
    assert rows[0]["warning"]
    assert 1.0 < rows[0]["duration_s"] < 4.0
    assert rows[0]["text"]
    others = read(nights.lake, "SELECT count(*) AS n FROM recordings WHERE warning IS NOT NULL")
    assert others["n"].to_pylist() == [1]


def test_manifest_row_with_a_bad_language_still_gives_its_text(nights: Nights) -> None:
    rows = read(
        nights.lake,
        "SELECT text, language FROM reference_texts WHERE dataset = 'archive' ORDER BY text",
    ).to_pylist()
    assert {"text": "Qapla'", "language": "und"} in rows


def test_second_run_adds_no_row_and_transcribes_nothing(nights: Nights) -> None:
    assert nights.rejected_first == len(rejections(nights.lake))
    assert nights.second.scanned.specs == []
    assert nights.second.plan.specs == []
    assert nights.second.transcribed == []
    assert nights.second.plan.already_done == nights.first.plan.transcripts


# Unreadable places

_TWICE = """
import json, sys
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.settings import Settings
lake = open_lake(sys.argv[1])
for _ in range(2):
    night = run(lake, Order((sys.argv[2],), "demo", language="en"), Settings(device="cpu"))
    rows = read(lake, "SELECT uri, reason FROM rejected ORDER BY uri").to_pylist()
    print(json.dumps([sum(b.transcripts for b in night.transcribed), rows]))
"""


def test_unreadable_folder_and_file_are_rejected_and_are_used_once_they_can_be_read(
    tmp_path: Path,
) -> None:
    folder = archive_of(tmp_path / "archive", ["english/en-03.ogg"])
    write_noise(folder / "locked" / "x.wav", seed=1)
    write_noise(folder / "locked.wav", seed=2)
    locked = [folder / "locked", folder / "locked.wav"]
    for path in locked:
        path.chmod(0)
    lake = open_lake(str(tmp_path / "lake"))
    try:
        lines = unprivileged(_TWICE, lake.uri, str(folder))
    finally:
        for path in locked:
            path.chmod(0o700)
    expected = [
        {"uri": f"file://{folder}!/locked", "reason": "unreadable"},
        {"uri": f"file://{folder}!/locked.wav", "reason": "unreadable"},
    ]
    assert [json.loads(line) for line in lines] == [[1, expected], [0, expected]]
    night = run(lake, Order((str(folder),), "demo", language="en"), Settings(device="cpu"))
    assert [batch.transcripts for batch in night.transcribed] == [2]


# Files that change under a run


def test_file_that_changes_before_its_turn_is_rejected_and_taken_up_by_the_next_run(
    tmp_path: Path,
) -> None:
    folder = archive_of(tmp_path / "archive", ["english/en-03.ogg"])
    write_noise(folder / "changes.wav", seed=1)
    write_noise(folder / "goes.wav", seed=2)
    lake = open_lake(str(tmp_path / "lake"))
    plan_night(lake, folder)
    write_noise(folder / "changes.wav", seed=3)
    (folder / "goes.wav").unlink()
    done = transcribe_planned(lake, folder)
    assert (done.transcripts, done.rejections) == (1, 2)
    assert rejections(lake) == [
        (f"file://{folder}!/changes.wav", "changed"),
        (f"file://{folder}!/goes.wav", "changed"),
    ]
    night = run(lake, Order((str(folder),), "demo", language="en"), Settings(device="cpu"))
    assert [batch.transcripts for batch in night.transcribed] == [1]
    assert len(rejections(lake)) == 2


def test_other_place_of_the_same_recording_is_used_when_one_changes(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    for name in ("a.wav", "b/c.wav"):
        write_noise(folder / name, seed=1)
    lake = open_lake(str(tmp_path / "lake"))
    plan_night(lake, folder)
    write_noise(folder / "a.wav", seed=2)
    done = transcribe_planned(lake, folder)
    assert (done.transcripts, done.rejections) == (1, 0)
    assert rejections(lake) == []


# Files that crash the decoder


@pytest.mark.parametrize("engine", ["batched", "reference"])
@pytest.mark.parametrize("others", [0, 3])
def test_file_that_crashes_the_decoder_in_transcription_is_one_row_and_is_not_tried_again(
    others: int, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "archive"
    content = write_noise(folder / "crashes.wav", seed=1).read_bytes()
    for number in range(others):
        write_noise(folder / f"good{number}.wav", seed=2 + number)
    lake = open_lake(str(tmp_path / "lake"))
    plan_night(lake, folder)
    crash_decoders(tmp_path / "crashes", monkeypatch, [content])
    done = transcribe_planned(lake, folder, engine)
    assert (done.transcripts, done.rejections) == (others, 1)
    rows = read(lake, "SELECT uri, reason, detail, task FROM rejected").to_pylist()
    assert [(row["uri"], row["reason"], row["task"]) for row in rows] == [
        (f"file://{folder}!/crashes.wav", "transcription_failed", "transcribe")
    ]
    assert "exit status -11 (signal 11, Segmentation fault)" in rows[0]["detail"]

    night = run(lake, Order((str(folder),), "demo", language="en"), Settings(device="cpu"))
    assert (night.scanned.specs, night.plan.specs) == ([], [])
    (folder / "crashes.wav").rename(folder / "elsewhere.wav")  # a new source of it
    night = run(lake, Order((str(folder),), "demo", language="en"), Settings(device="cpu"))
    assert [(batch.transcripts, batch.rejections) for batch in night.transcribed] == [(0, 1)]


RUN_ID = "changing"


def plan_night(lake: Lake, folder: Path) -> None:
    order, settings = Order((str(folder),), "demo", language="en"), Settings(device="cpu")
    found = scan(lake, order.archives, RUN_ID, settings=settings, folder=work_folder(RUN_ID))
    for spec in found.specs:
        ingest(lake, spec, RUN_ID, settings=settings)
    assert len(plan_run(lake, order, RUN_ID, settings, 10).specs) == 1


def transcribe_planned(lake: Lake, folder: Path, engine: str = "batched") -> Transcribed:
    settings = Settings(device="cpu", engine=engine)
    spec = f"{work_folder(RUN_ID)}/batch-00000.parquet"
    chosen = engine_named(settings.engine, slots=settings.slots)
    return transcribe_batch(lake, spec, RUN_ID, model_loader(settings), chosen, settings=settings)
