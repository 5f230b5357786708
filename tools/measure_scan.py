"""How long scanning takes and how memory grows with the number of files.

Makes archives of many tiny WAVs, takes them in once and scans them again unchanged; each in
a fresh process, so that its peak memory is its own.

    python tools/measure_scan.py [FILES …]
"""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nightscribe.settings import Settings

SIZES = (1_000, 10_000)
SECONDS = 0.2


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
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "new_files": found.new_files,
    }


def measure(archive: Path, lake: Path) -> dict[str, float]:
    """`take_in`, in a process of its own."""
    command = [sys.executable, __file__, "--take-in", str(archive), str(lake)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main(sizes: list[int]) -> None:
    """Print a table."""
    print("|  files | what        |    new | seconds | peak memory, MB |")
    print("| -----: | ----------- | -----: | ------: | --------------: |")
    for files in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as folder:
            archive, lake = Path(folder, "archive"), Path(folder, "lake")
            write_archive(archive, files)
            for what in ("first night", "next night"):
                row = measure(archive, lake)
                print(
                    f"| {files:6} | {what} | {row['new_files']:6} | {row['seconds']:7.2f} "
                    f"| {row['peak_mb']:15.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--take-in"]:
        print(json.dumps(take_in(*sys.argv[2:4])), flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
