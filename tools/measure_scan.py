"""How long scanning takes and how memory grows with the number of files.

Makes archives of many tiny WAVs, takes them in once and scans them again unchanged; each in
a fresh process, so that its peak memory is its own.

    python tools/measure_scan.py [FILES …]

With `--scan-only`, nothing is ingested, so that there may be a million files: a file system that
makes up its listing is scanned for a lake that knows all its files, with rows written straight to
its tables, and for an empty one.

    python tools/measure_scan.py --scan-only [FILES …]
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nightscribe.settings import Settings

SIZES = (1_000, 10_000)
SCAN_ONLY_SIZES = (100_000, 1_000_000)
SECONDS = 0.2
COMMIT = 50_000
"""Rows of a table that are written at a time."""

SOURCE = """
  SELECT $archive AS archive, format('{:05}/{:08}.wav', i // 1000, i) AS member,
         sha256(i::VARCHAR) AS recording_id, $archive AS collection, i AS position,
         100 AS size_bytes, i::VARCHAR AS version, NULL AS language_hint, NULL AS metadata,
         'measure' AS run_id, now() AS created_at
  FROM range($first, $last) AS t(i)"""


def write_archive(folder: Path, files: int) -> None:
    """So many WAVs of 0.2 s, 16 kHz mono, each with its own content, 1,000 to a folder."""
    count = int(16_000 * SECONDS)
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    header = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 2 * count)
    header = b"RIFF" + struct.pack("<I", len(header) + 2 * count) + header
    for number in range(files):
        path = folder / f"{number // 1000:03}" / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + struct.pack("<I", number) * (count // 2))


def take_in(archive: str, lake_uri: str) -> dict[str, float]:
    """Scan an archive, ingest what is new, apply manifests; seconds, peak memory and counts."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.manifests.annotate import finish_manifests
    from nightscribe.stages.ingest import ingest
    from nightscribe.stages.run_ids import new_run_id, work_folder
    from nightscribe.stages.scan import scan

    started = time.monotonic()
    lake, run_id = open_lake(lake_uri), new_run_id()
    found = scan(lake, [archive], run_id, settings=Settings(), folder=work_folder(run_id))
    for spec in found.specs:
        ingest(lake, spec, run_id, settings=Settings())
    finish_manifests(lake, work_folder(run_id), run_id)
    return {
        "seconds": time.monotonic() - started,
        "peak_mb": peak_mb(),
        "new_files": found.new_files,
    }


def register_listing() -> None:
    """Make `made://N` a prefix of N files, 1,000 to a folder, which can be listed only."""
    import fsspec

    class Made(fsspec.AbstractFileSystem):  # type: ignore[misc]
        """Makes up what it lists; a path is N, or N and a folder's number."""

        protocol = "made"

        def info(self, path: str, **given: Any) -> dict[str, Any]:
            return {"name": path, "size": 0, "type": "directory"}

        def ls(self, path: str, detail: bool = True, **given: Any) -> list[dict[str, Any]]:
            count, _, folder = path.partition("/")
            if not folder:
                return [self.info(f"{path}/{n:05}") for n in range(math.ceil(int(count) / 1000))]
            first = int(folder) * 1000
            return [
                {"name": f"{path}/{n:08}.wav", "size": 100, "type": "file", "ETag": str(n)}
                for n in range(first, min(first + 1000, int(count)))
            ]

    fsspec.register_implementation("made", Made)


def write_lake(lake_uri: str, files: str) -> None:
    """A lake that knows all files of `made://N`."""
    import duckdb

    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.schema import SCHEMAS

    lake = open_lake(lake_uri)
    with duckdb.connect() as connection:
        for first in range(0, int(files), COMMIT):
            given = {"archive": f"made://{files}", "first": first}
            given["last"] = min(first + COMMIT, int(files))
            rows = connection.sql(SOURCE, params=given).to_arrow_table()
            lake.append("sources", rows.select(SCHEMAS["sources"].names))


def scan_only(lake_uri: str, files: str) -> dict[str, float]:
    """Scan `made://N`; seconds, peak memory and counts."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.stages.scan import scan

    register_listing()
    started = time.monotonic()
    found = scan(
        open_lake(lake_uri),
        [f"made://{files}"],
        "measure",
        settings=Settings(),
        folder="_plans/measure",
    )
    return {
        "seconds": time.monotonic() - started,
        "cpu_s": time.process_time(),
        "peak_mb": peak_mb(),
        "files": found.files,
        "new_files": found.new_files,
    }


def peak_mb() -> float:
    """Most memory of this process that was resident, in MB of 2**20 bytes.

    Linux's own count: `ru_maxrss` of a process that was just started is its parent's.
    """
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def measure(step: str, *arguments: object) -> Any:
    """A step of this file, in a process of its own."""
    command = [sys.executable, __file__, step, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(sizes: list[int]) -> None:
    """Print a table."""
    print("|  files | what        |    new | seconds | peak memory, MB |")
    print("| -----: | ----------- | -----: | ------: | --------------: |")
    for files in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as folder:
            archive, lake = Path(folder, "archive"), Path(folder, "lake")
            write_archive(archive, files)
            for what in ("first night", "next night"):
                row = measure("--take-in", archive, lake)
                print(
                    f"| {files:6} | {what} | {row['new_files']:6} | {row['seconds']:7.2f} "
                    f"| {row['peak_mb']:15.0f} |",
                    flush=True,
                )


def main_scan_only(sizes: list[int]) -> None:
    """Print a table."""
    print("|   files | the lake    |     new | seconds | CPU s | peak memory, MB |")
    print("| ------: | ----------- | ------: | ------: | ----: | --------------: |")
    for files in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as folder:
            measure("--write-lake", Path(folder, "full"), files)
            for what, lake in (("knows them", "full"), ("is empty", "empty")):
                row = measure("--scan", Path(folder, lake), files)
                print(
                    f"| {files:7} | {what:11} | {row['new_files']:7} | {row['seconds']:7.2f} "
                    f"| {row['cpu_s']:5.2f} | {row['peak_mb']:15.0f} |",
                    flush=True,
                )


STEPS = {"--take-in": take_in, "--write-lake": write_lake, "--scan": scan_only}

if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.argv[1:2] and sys.argv[1] in STEPS:
        print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])), flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    elif sys.argv[1:2] == ["--scan-only"]:
        main_scan_only([int(size) for size in sys.argv[2:]] or list(SCAN_ONLY_SIZES))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
