"""`nightscribe transcribe` reads standard input, pipes and URLs as it reads files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from nightscribe import cli
from nightscribe.cli import fetching
from nightscribe.cli.inputs import Inputs, require_distinct_stems, stem_of
from nightscribe.errors import ConfigurationError
from nightscribe.settings import ArchiveLimits
from nightscribe.whisper.contract import Job
from nightscribe.whisper.options import Options
from tests.nights import SAMPLES

CLIP = SAMPLES / "english" / "en-03.ogg"
CONTENT = CLIP.read_bytes()
LIMITS = ArchiveLimits()
SMALL = ArchiveLimits(max_member_bytes=len(CONTENT) - 1)


class Handler(BaseHTTPRequestHandler):
    """Serves the clip, and every way in which a server fails to."""

    seen: ClassVar[list[tuple[str, str | None]]] = []  # path and credentials of each request
    moved: ClassVar[dict[str, str]] = {
        "/moved.ogg": "/clip.ogg",
        "/loop.ogg": "/loop.ogg",
        "/to-file.ogg": "file:///etc/passwd",
        "/to-ftp.ogg": "ftp://127.0.0.1/clip.ogg",
    }

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.seen.append((path, self.headers["Authorization"]))
        if path in self.moved:
            self.send_response(302)
            self.send_header("Location", self.moved[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path == "/silent.ogg":
            self.server.released.wait(20)  # type: ignore[attr-defined]
            return
        if path in {"/gone.ogg", "/private.ogg", "/broken.ogg"}:
            self.send_error({"/gone.ogg": 404, "/private.ogg": 403, "/broken.ogg": 500}[path])
            return
        self.send_response(200)
        if path == "/packed.ogg":
            self.send_header("Content-Encoding", "gzip")
        if path == "/chunked.ogg":
            self.send_header("Connection", "close")
        elif path == "/huge.ogg":
            self.send_header("Content-Length", str(10**15))
        elif path != "/unsized.ogg":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        body = CONTENT[: len(CONTENT) // 2] if path == "/cut.ogg" else CONTENT
        self.wfile.write(b"" if path == "/huge.ogg" else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http, pytest.MonkeyPatch.context() as p:
        p.setenv("no_proxy", "127.0.0.1")
        http.released = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.released.set()  # type: ignore[attr-defined]
        http.shutdown()


@contextmanager
def standard_input(content: bytes) -> Iterator[None]:
    """Have descriptor 0 be a pipe that gives this content."""
    reader, writer = os.pipe()
    before = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    feeding = threading.Thread(target=feed, args=(writer, content))
    feeding.start()
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        feeding.join()


def feed(writer: int, content: bytes) -> None:
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(content)
    except BrokenPipeError:
        pass


def fifo(path: Path, content: bytes = CONTENT) -> Path:
    """A pipe on disk, and a thread that writes the content into it."""
    os.mkfifo(path)

    def write() -> None:
        feed(os.open(path, os.O_WRONLY), content)

    threading.Thread(target=write, daemon=True).start()
    return path


def contents(*names: str, limits: ArchiveLimits = LIMITS) -> list[bytes]:
    """What an engine would read of each input that can be used."""
    requests = Inputs(names, limits).requests(Job("transcribe", Options()))
    return [request.audio.read() for request in requests if not isinstance(request.audio, str)]


def test_every_kind_of_input_gives_the_transcript_of_the_file(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    names = ["-", str(fifo(tmp_path / "pipe.ogg")), f"{server}/clip.ogg?version=1.2", str(CLIP)]
    flags = ["--model", "demo", "--device", "cpu", "-o", str(out), "-f", "txt", "--language", "en"]
    with standard_input(CONTENT):
        assert cli.main(["transcribe", *names, *flags]) == 0
    assert {file.name for file in out.iterdir()} == {"-.txt", "pipe.txt", "clip.txt", "en-03.txt"}
    assert len({file.read_text() for file in out.iterdir()}) == 1
    assert (out / "en-03.txt").read_text().strip()


def test_input_is_held_on_disk_beyond_the_spool_limit(server: str, tmp_path: Path) -> None:
    on_disk = ArchiveLimits(spool_bytes=100)
    names = ("-", str(fifo(tmp_path / "pipe")), f"{server}/clip.ogg", str(CLIP))
    with standard_input(CONTENT):
        assert contents(*names, limits=on_disk) == [CONTENT] * 4


def test_standard_input_may_be_a_file_or_a_part_of_one(tmp_path: Path) -> None:
    before = os.dup(0)
    try:
        for offset in (0, 100):
            descriptor = os.open(CLIP, os.O_RDONLY)
            os.lseek(descriptor, offset, os.SEEK_SET)
            os.dup2(descriptor, 0)
            os.close(descriptor)
            assert contents("-") == [CONTENT[offset:]]
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_substituted_process_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    threading.Thread(target=feed, args=(writer, CONTENT)).start()
    assert contents(f"/dev/fd/{reader}") == [CONTENT]
    os.close(reader)


def test_empty_pipes_are_told_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with standard_input(b""):
        assert contents("-", str(fifo(tmp_path / "none", b"")), str(CLIP)) == [CONTENT]
    said = capfd.readouterr().err
    assert "Skipping -: empty_file" in said
    assert f"Skipping {tmp_path / 'none'}: empty_file" in said


def test_inputs_beyond_the_limit_are_told_with_its_name(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{server}/{name}.ogg" for name in ("clip", "chunked", "unsized", "huge")]
    with standard_input(CONTENT):
        assert contents("-", str(fifo(tmp_path / "p")), *urls, limits=SMALL) == []
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 6
    assert all("NIGHTSCRIBE_ARCHIVE_MAX_MEMBER_BYTES" in line for line in lines)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gone.ogg", "/gone.ogg answers HTTP 404 Not Found"),
        ("private.ogg", "answers HTTP 403 Forbidden"),
        ("broken.ogg", "answers HTTP 500 Internal Server Error"),
        ("cut.ogg", "could not be fetched"),
        ("packed.ogg", "compressed (gzip)"),
        ("loop.ogg", "more than 10 redirects"),
        ("to-file.ogg", "redirects to something that is no http(s) URL"),
        ("to-ftp.ogg", "redirects to something that is no http(s) URL"),
        ("silent.ogg", "no bytes for"),
    ],
)
def test_url_that_cannot_be_fetched_whole_is_told(
    path: str,
    said: str,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(fetching, "READ_S", 0.5)
    assert contents(f"{server}/{path}") == []
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith(f"Skipping {server}/{path}: unreadable: ")
    assert said in line


@pytest.mark.parametrize("path", ["moved.ogg", "clip.ogg", "chunked.ogg", "unsized.ogg"])
def test_url_is_fetched_with_and_without_a_length(path: str, server: str) -> None:
    assert contents(f"{server}/{path}") == [CONTENT]


def test_server_that_is_not_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert contents("http://127.0.0.1:9/clip.ogg", "http://", "https://[x/clip.ogg") == []
    lines = capfd.readouterr().err.splitlines()
    assert [line.startswith("Skipping http") for line in lines] == [True] * 3
    assert "refused" in lines[0]


def test_secrets_of_a_url_reach_its_server_and_no_message(
    server: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host = server.removeprefix("http://")
    Handler.seen.clear()
    urls = [f"http://me:secret@{host}/{name}.ogg?key=secret" for name in ("clip", "gone")]
    assert contents(*urls) == [CONTENT]
    assert all(credentials for _, credentials in Handler.seen)
    said = capfd.readouterr()
    assert f"Skipping {server}/gone.ogg?…: " in said.err
    assert "secret" not in said.err + said.out + caplog.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file:///etc/hostname", "file: is not supported"),
        ("ftp://host/talk.mp3", "ftp: is not supported"),
        ("data:audio/wav;base64,AAAA", "data: is not supported"),
        ("concat:a.mp3|b.mp3", "concat: is not supported"),
        ("pipe:0", "pipe: is not supported"),
        ("s3://bucket/talk.mp3", "use `nightscribe run`"),
        ("12:30.wav", "No such file"),
    ],
)
def test_other_schemes_are_refused(
    name: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert contents(name) == []
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("name", ["data:1.ogg", "pipe:0", "10:30.ogg"])
def test_file_whose_name_looks_like_a_scheme_is_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(CONTENT)
    assert contents(name) == [CONTENT]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("-", "-"),
        ("/dev/fd/63", "63"),
        ("a/talk.", "talk"),
        ("https://host/a/talk.mp3", "talk"),
        ("https://host/talk.mp3?v=1.2&of=a/b.ogg#t=3", "talk"),
        ("https://host/my%20talk.mp3", "my%20talk"),
        ("https://me:pw@media.org:80/", "media"),
        ("https://media.org", "media"),
    ],
)
def test_outputs_are_named_as_the_whisper_command_names_them(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize(
    "names",
    [
        ("https://host/talk.mp3", "talk.wav"),
        ("https://host/talk.mp3?part=1", "https://host/talk.mp3?part=2"),
        ("-", "-"),
        ("-.mp3", "-"),
    ],
)
def test_two_inputs_with_one_stem_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        require_distinct_stems(names)


def test_full_disk_is_told(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    from nightscribe.archives import spooling
    from nightscribe.errors import NightscribeError

    class Full:
        """A spool on a full disk."""

        def __init__(self, max_size: int) -> None:
            self._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115

        def rollover(self) -> None:
            pass

        def write(self, data: bytes) -> int:
            return self._file.write(data)

        def close(self) -> None:
            self._file.close()

    monkeypatch.setattr(spooling.tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(NightscribeError, match="is full"):
        contents(f"{server}/clip.ogg")
