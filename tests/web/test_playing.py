"""The player's audio: decoded where it is played, from wherever it lies."""

from __future__ import annotations

import gzip
import io
import socket
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray

from nightscribe.audio.decode import decode
from nightscribe.audio.piece_decoders import PIECE_BYTES, Encoded, PieceDecoders
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.scan import scan
from nightscribe.web.decoded_audio import DecodedAudio
from tests.audio.crashes import CRASHING, crash_decoders
from tests.web.conftest import PREFIX, Pages
from tools.compare_audio import Case, encode

CHROMIUM = Path("/usr/bin/chromium")
RATE = 16_000
SECONDS = 100
HEADER = 44

FORMATS = {
    "amr": Case("AMR", "amr", "amr", "libopencore_amrnb", "s16", 8_000),
    "wma": Case("WMA", "wma", "asf", "wmav2", "fltp", 16_000),
    "aiff": Case("AIFF", "aiff", "aiff", "pcm_s24be", "s32", 16_000),
    "m4a": Case("ALAC", "m4a", "ipod", "alac", "s16p", 16_000),
    "mp2": Case("MP2", "mp2", "mp2", "mp2", "s16", 16_000),
    "rm": Case("RealAudio", "rm", "rm", "real_144", "s16", 8_000),
    "mp3": Case("MP3", "mp3", "mp3", "libmp3lame", "fltp", 16_000),
}
DECODED = ["amr", "m4a", "wma", "aiff", "mp2", "rm"]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Suffix → a recording of 100 s."""
    folder = tmp_path_factory.mktemp("recordings")
    generator = np.random.default_rng(5)
    loudness = generator.choice([0.02, 0.1, 0.5], SECONDS * 10).repeat(RATE // 10)
    sound = (generator.normal(0, 0.3, SECONDS * RATE) * loudness).clip(-0.9, 0.9)
    return {
        suffix: encode(sound.astype(np.float32), RATE, case, folder / f"a.{suffix}").read_bytes()
        for suffix, case in FORMATS.items()
    }


@pytest.fixture(scope="module")
def sources(contents: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with a file, a zip with both kinds of members, tars, a compressed recording."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "a.amr").write_bytes(contents["amr"])
    (folder / "a.rm.gz").write_bytes(gzip.compress(contents["rm"], 1))
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.wma", contents["wma"], zipfile.ZIP_DEFLATED)
        archive.writestr("a.mp3", contents["mp3"], zipfile.ZIP_DEFLATED)
        archive.writestr("a.aiff", contents["aiff"], zipfile.ZIP_STORED)
    for name, mode, suffix in (("b.tar", "w", "m4a"), ("c.tar.gz", "w:gz", "mp2")):
        with tarfile.open(folder / name, mode) as tar:  # type: ignore[call-overload]
            info = tarfile.TarInfo(f"a.{suffix}")
            info.size = len(contents[suffix])
            tar.addfile(info, io.BytesIO(contents[suffix]))
    return folder


@pytest.fixture(scope="module")
def ids(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """A lake with these, and suffix → recording_id."""
    lake = open_lake(str(tmp_path_factory.mktemp("lake") / "lake"))
    found = scan(lake, [str(sources)], "run", settings=Settings(), folder="_plans/run")
    for spec in found.specs:
        ingest(lake, spec, "run", settings=Settings())
    rows = read(lake, "SELECT member, recording_id FROM sources").to_pylist()
    return lake.uri, {row["member"].rpartition(".")[2]: row["recording_id"] for row in rows}


@pytest.fixture
def player(ids: tuple[str, dict[str, str]], pages_over: Callable[[str], Pages]) -> Iterator[Any]:
    """Gets a range of a recording, by its suffix."""
    pages = pages_over(ids[0])

    def get(suffix: str, start: int | None = None, end: int | str = "") -> Any:
        headers = {} if start is None else {"range": f"bytes={start}-{end}"}
        return pages.client.get(f"/media/{ids[1][suffix]}", headers=headers)

    get.pages = pages  # type: ignore[attr-defined]
    yield get
    pages.site.audio._decoders.close()


def samples_of(content: bytes) -> NDArray[np.int16]:
    return (decode(io.BytesIO(content)).samples * 32768).astype(np.int16)


def likeness(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


def test_every_recording_is_in_the_lake(ids: tuple[str, dict[str, str]]) -> None:
    assert set(ids[1]) == set(FORMATS)


@pytest.mark.parametrize("suffix", DECODED)
def test_what_browsers_cannot_play_is_decoded_from_any_place(
    suffix: str, player: Any, contents: dict[str, bytes]
) -> None:
    whole = samples_of(contents[suffix])
    at = 80 * RATE
    jump = player(suffix, HEADER + 2 * at, HEADER + 2 * (at + RATE) - 1)
    assert (jump.status_code, jump.headers["content-type"]) == (206, "audio/wav")
    assert likeness(np.frombuffer(jump.content, np.int16), whole[at : at + RATE]) > 0.99
    for start in (0, 43, 44, 45, 319_999, 320_043, 320_045):
        part = player(suffix, start, start + 99)
        skipped, first = HEADER - start, 0
        if start > HEADER:
            skipped, first = (start - HEADER) % 2, (start - HEADER + 1) // 2
        heard = np.frombuffer(part.content[skipped : skipped + 50], np.int16)
        np.testing.assert_allclose(heard, whole[first : first + len(heard)], atol=2)


def test_the_whole_file_is_what_whisper_hears(player: Any, contents: dict[str, bytes]) -> None:
    answer = player("wma")
    assert int(answer.headers["content-length"]) == len(answer.content)
    whole = samples_of(contents["wma"])
    np.testing.assert_array_equal(
        np.frombuffer(answer.content[HEADER:], np.int16)[: len(whole)], whole
    )
    assert len(answer.content) - HEADER == pytest.approx(2 * len(whole), abs=32)
    tail = player("wma", -10)
    assert tail.status_code == 200  # no range at all, so the whole


def test_what_browsers_play_comes_from_a_compressed_zip_as_it_is(
    player: Any, contents: dict[str, bytes]
) -> None:
    assert player("mp3", 1000, 1999).content == contents["mp3"][1000:2000]
    assert player("mp3").content == contents["mp3"]


def test_a_head_decodes_nothing(player: Any, ids: tuple[str, dict[str, str]]) -> None:
    pages = player.pages
    head = pages.client.head(f"/media/{ids[1]['amr']}")
    assert int(head.headers["content-length"]) == pytest.approx(2 * SECONDS * RATE, abs=1000)
    assert [process._worker for process in pages.site.audio._decoders._processes] == [None, None]


def test_many_listeners_decode_a_piece_once(
    player: Any, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: Counter[int] = Counter()
    towards = PieceDecoders.towards

    def count(self: PieceDecoders, encoded: Encoded, piece: int) -> tuple[int, bytes]:
        found = towards(self, encoded, piece)
        decoded[found[0]] += 1
        return found

    monkeypatch.setattr(PieceDecoders, "towards", count)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: player("rm"), range(12)))
    assert len({answer.content for answer in answers}) == 1
    assert set(decoded.values()) == {1}
    assert sorted(decoded) == list(range(-(-len(answers[0].content) // PIECE_BYTES)))


def test_space_is_bounded_and_given_back(
    player: Any, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.web.audio_files._DISK_BYTES", 1_000_000)
    audio = player.pages.site.audio
    whole = samples_of(contents["rm"])
    for suffix in ("amr", "rm"):
        assert len(player(suffix).content) > 3_000_000
        assert audio._disk_bytes() <= 1_000_000
    heard = np.frombuffer(player("rm", HEADER, HEADER + 2 * RATE - 1).content, np.int16)
    np.testing.assert_array_equal(heard, whole[:RATE])  # was forgotten, and is decoded again
    assert len(audio._open) == 1


def test_a_file_that_cannot_be_decoded_says_so_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, player: Any, sources: Path
) -> None:
    crash_decoders(tmp_path, monkeypatch, [(sources / "a.amr").read_bytes(), CRASHING])
    answer = player("amr", 0)
    assert answer.status_code == 404
    assert "cannot be decoded any more" in answer.text
    assert player("aiff", 0, 99).status_code == 206


def test_a_listener_at_the_start_does_not_wait_for_one_far_ahead() -> None:
    """Where a recording cannot be entered, the pieces on the way are heard as they come."""
    order: list[str] = []

    class Slow(PieceDecoders):
        at = 0

        def towards(self, encoded: Encoded, piece: int) -> tuple[int, bytes]:
            time.sleep(0.01)
            self.at += 1
            return self.at - 1, bytes(4)

    audio = DecodedAudio(Encoded(99, 1000.0, lambda at, count: b""), Slow(0), lambda: None)

    def listen(name: str, piece: int) -> None:
        audio.read(HEADER + 320_000 * piece, 100)
        order.append(name)

    far = threading.Thread(target=listen, args=("far", 99))
    far.start()
    time.sleep(0.1)
    listen("near", 0)
    far.join()
    assert order == ["near", "far"]


# A browser


@pytest.fixture
def address(player: Any) -> Iterator[str]:
    """The pages, on a port of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outer = FastAPI()
    outer.mount(PREFIX, player.pages.app)
    config = uvicorn.Config(outer, host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}{PREFIX}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")
def test_a_browser_jumps(address: str, ids: tuple[str, dict[str, str]]) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page()
        page.goto(f"{address}/recordings/{ids[1]['amr']}")
        took, seconds = page.evaluate(
            """async () => {
                const audio = document.querySelector("audio");
                const end = performance.now() + 20000;
                const until = async (reached) => {
                    while (!reached() && performance.now() < end)
                        await new Promise(done => setTimeout(done, 10));
                };
                audio.muted = true;
                await until(() => audio.readyState >= 1);
                audio.play();
                const begun = performance.now();
                audio.currentTime = 90;
                await until(() => audio.currentTime > 90.05 && !audio.seeking);
                return [performance.now() - begun, audio.duration];
            }"""
        )
        browser.close()
    assert seconds == pytest.approx(SECONDS, abs=0.2)
    assert took < 3000  # on a machine with other work
