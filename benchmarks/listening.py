"""How soon a long recording plays: `python -m benchmarks.listening --hours 10`.

Makes one recording of noise in each of many formats with the ffmpeg command, packs some into zips
and tars, and ingests them. Then a server process answers a player: the first bytes at the start, in
the middle and near the end, each in a server that has just started; then many players at once.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tarfile
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from benchmarks.pages import server
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.scan import scan

_PIECE_BYTES = 64 * 1024  # 2 s, with which a player begins
_LISTENER_S = 30  # seconds of audio that each of many players gets

_SOUND = "anoisesrc=color=pink:sample_rate=44100:seed=1:duration={seconds},tremolo=f=0.3:d=0.9"
_FORMATS = {
    "wma.wma": "-c:a wmav2 -b:a 64k",
    "alac.m4a": "-ar 16000 -c:a alac",
    "aiff24.aif": "-ar 32000 -c:a pcm_s24be",
    "spx.spx": "-ar 16000 -c:a libspeex",
    "gsm.gsm": "-ar 8000 -c:a libgsm",
    "ac3.ac3": "-ar 48000 -ac 2 -c:a ac3 -b:a 192k",
    "mp2.mp2": "-c:a mp2 -b:a 128k",
    "ac3-44100.ac3": "-ar 44100 -ac 2 -c:a ac3 -b:a 192k",
    "mp3.mp3": "-c:a libmp3lame -b:a 64k",
    "opus.opus": "-c:a libopus -b:a 32k",
}
_PACKED = {
    "deflated.zip": ("wma.wma", "mp3.mp3"),
    "packed.tar": ("alac.m4a",),
    "packed.tar.gz": ("spx.spx", "opus.opus"),
}


def make(folder: Path, hours: float) -> None:
    """Make the files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 3600 * hours
    for name, options in _FORMATS.items():
        if not (folder / name).exists():
            sound = _SOUND.format(seconds=seconds)
            command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", sound]
            subprocess.run([*command, *options.split(), str(folder / name)], check=True)
    if not (folder / "amr.amr").exists():
        _make_amr(folder / "amr.amr", seconds)
    for name, members in _PACKED.items():
        path = folder / name
        if path.exists():
            continue
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for member in members:
                    # Other bytes, so that it is another recording: a tag at the end.
                    content = (folder / member).read_bytes() + bytes(100)
                    archive.writestr(f"zip-{member}", content)
        else:
            with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as tar:  # type: ignore[call-overload]
                for member in members:
                    copy = folder / f".{member}"
                    copy.write_bytes((folder / member).read_bytes() + bytes(100))
                    tar.add(copy, f"tar-{member}")
                    copy.unlink()


def _make_amr(path: Path, seconds: float) -> None:
    """The ffmpeg command of Debian has no encoder for AMR; PyAV has one."""
    import av

    sound = path.with_suffix(".wav")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i"]
    command += [_SOUND.format(seconds=600), "-ar", "8000", str(sound)]
    subprocess.run(command, check=True)
    part = path.with_suffix(".part.amr")
    with av.open(str(sound)) as source, av.open(str(part), "w", format="amr") as out:
        stream = out.add_stream("libopencore_amrnb", rate=8_000, layout="mono")
        for frame in source.decode(audio=0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = part.read_bytes()
    with path.open("wb") as file:
        file.write(content[:6])
        for _ in range(round(seconds / 600)):
            file.write(content[6:])
    sound.unlink()
    part.unlink()


def take_in(lake: Lake, folder: Path) -> None:
    """Scan and ingest the folder."""
    found = scan(lake, [str(folder)], "run", settings=Settings(), folder="_plans/run")
    for spec in found.specs:
        ingest(lake, spec, "run", settings=Settings())


def _first_bytes_s(url: str, recording: str, part: float) -> float:
    """Seconds until a player has the first bytes from a part of the file."""
    begun = time.monotonic()
    with httpx.Client(timeout=600) as client:
        head = client.head(f"{url}/media/{recording}")
        size = int(head.headers["content-length"])
        start = int(part * size)
        headers = {"range": f"bytes={start}-{min(size, start + _PIECE_BYTES) - 1}"}
        client.get(f"{url}/media/{recording}", headers=headers).raise_for_status()
    return time.monotonic() - begun


def _memory_mb(process: psutil.Process) -> tuple[float, float]:
    """Resident memory of the server, and of its decoders together, in MB."""
    children = process.children(recursive=True)
    decoders = sum(child.memory_info().rss for child in children)
    return process.memory_info().rss / 1e6, decoders / 1e6


def _one_listener(lake: Lake, rows: list[dict[str, object]]) -> None:
    print("| recording | start | middle | then a third | last minute | server | decoder |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for row in rows:
        took, name = [], str(row["member"])
        near_end = 1 - 60 / float(str(row["duration_s"]))
        for parts in ((0.0,), (0.5, 0.3), (near_end,)):
            with server(lake.uri) as (url, process):
                httpx.get(f"{url}/recordings/{row['recording_id']}", timeout=60).raise_for_status()
                times = [_first_bytes_s(url, str(row["recording_id"]), part) for part in parts]
                took += times
                memory = _memory_mb(process)
        cells = [f"{seconds:.2f} s" for seconds in took] + [f"{size:.0f} MB" for size in memory]
        print(f"| {' | '.join([name, *cells])} |", flush=True)


def _many_listeners(lake: Lake, rows: list[dict[str, object]], count: int) -> None:
    """Each plays another part of one of the recordings."""
    with server(lake.uri) as (url, process):

        def listen(number: int) -> tuple[float, float]:
            row = rows[number % len(rows)]
            start = 44 + 32_000 * int(float(str(row["duration_s"])) * (number + 0.5) / (count + 1))
            headers = {"range": f"bytes={start}-{start + 32_000 * _LISTENER_S - 1}"}
            begun = time.monotonic()
            with (
                httpx.Client(timeout=600) as client,
                client.stream("GET", f"{url}/media/{row['recording_id']}", headers=headers) as got,
            ):
                got.raise_for_status()
                stream = got.iter_bytes(_PIECE_BYTES)
                next(stream)
                first = time.monotonic() - begun
                for _ in stream:
                    continue
            return first, time.monotonic() - begun

        listen(0)
        with ThreadPoolExecutor(count) as threads:
            times = list(threads.map(listen, range(count)))
        memory = _memory_mb(process)
    firsts = sorted(first for first, _ in times)
    print(
        f"{count} listeners of {len(rows)} recordings at once: first bytes after "
        f"{statistics.median(firsts):.2f} s (slowest {firsts[-1]:.2f} s), {_LISTENER_S} s of audio "
        f"each after {max(last for _, last in times):.2f} s at the latest; server "
        f"{memory[0]:.0f} MB, decoders {memory[1]:.0f} MB"
    )


def main() -> None:
    """Make the recordings and the lake, ask for audio, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--listeners", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="keep the files here (default: remove them)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        make(folder / "archive", arguments.hours)
        is_new = not (folder / "lake").exists()
        lake = open_lake(str(folder / "lake"))
        if is_new:
            take_in(lake, folder / "archive")
        rows = read(
            lake,
            "SELECT member, recording_id, codec, duration_s FROM sources "
            "JOIN recordings USING (recording_id) ORDER BY member",
        ).to_pylist()
        _one_listener(lake, rows)
        entered = [row for row in rows if row["codec"] in ("amrnb", "wmav2", "alac", "pcm_s24be")]
        _many_listeners(lake, entered, arguments.listeners)


if __name__ == "__main__":
    main()
