"""Ten nights of a cluster, each disturbed on a schedule of its own, against a quiet one.

    python -m tests.cluster [--nights 10] [--recordings 300] [--lake S3] [--out FILE]

Nights with an even number have lake and archive on S3 (a server of moto), and two of their three
workers on a second machine that shares the servers with the first and no folder. Those with an odd
number have them in folders of one machine. In every third, the clock of one worker is five minutes
ahead. A night must end by itself, within twice the time of the quiet one and the outages, with the
same tables. Exit code 1 if one does not.

After them, a night whose tasks are killed at every failpoint, see `tests.failpoints`, and triggered
until it ends well. With `--nights 0`, that is all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from nightscribe.errors import NightscribeError
from nightscribe.lake.invariants import check
from nightscribe.lake.opening import open_lake
from nightscribe.lake.orphans import find_orphans
from nightscribe.settings import Settings
from nightscribe.stages.maintain import maintain
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.cluster import container, host
from tests.cluster.archive import KEYS, uploaded, write_archive
from tests.cluster.cluster import NIGHTLY, WORKERS, Cluster
from tests.cluster.disturbances import disturb, schedule
from tests.cluster.services import WITH_CHANGES
from tests.failpoints import FAILPOINTS
from tests.faulty_requests import FaultyRequests
from tests.nights import AT_ONCE, assert_same_tables, contents, write_noise
from tests.preloaded import clock_ahead

BUCKET = "nights"
BATCHES = {"NIGHTSCRIBE_EXPECTED_RTFX": "1", "NIGHTSCRIBE_BATCH_MINUTES": "1"}
DISTURBANCES = 4
PATIENCE_S = 1800


@dataclass
class Night:
    """A night, and what was wrong with it."""

    name: str
    place: str
    disturbances: list[str] = field(default_factory=list)
    seconds: float = 0.0
    limit_s: float = 0.0
    again: int = 0
    faults: list[str] = field(default_factory=list)

    def row(self) -> str:
        """For a Markdown table."""
        limit = f"{self.limit_s:.0f}" if self.limit_s else ""
        said = "; ".join(self.faults) or "same tables"
        what = ", ".join(self.disturbances) or "none"
        cells = [self.name, self.place, what, f"{self.seconds:.0f}", limit, self.again, said]
        return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> int:
    """Run the nights; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first night")
    parser.add_argument("--lake", choices=["folder", "S3"], help="only nights with such a lake")
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--out", type=Path, help="also write the nights as JSON to this file")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes are ended
    if why := container.missing() or host.missing():
        print(f"error: {why}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="nightscribe-cluster-"))
    folder.chmod(0o755)  # for the user of Postgres
    os.environ.update(KEYS)
    nights: list[Night] = []
    try:
        archive = write_archive(folder / "archive", given.recordings)
        quiet = {}
        places = {"folder": (False,), "S3": (True,)}.get(given.lake, (False, True))
        numbers = [
            number
            for number in range(given.first, given.first + given.nights)
            if (number % 2 == 0) in places
        ]
        for on_store in sorted({number % 2 == 0 for number in numbers}):
            night, tables = _night(folder, archive, "quiet", None, on_store, None)
            nights.append(night)
            quiet[on_store] = night.seconds, tables
        for number in numbers:
            on_store = number % 2 == 0
            night, _ = _night(folder, archive, str(number), number, on_store, quiet[on_store])
            nights.append(night)
            _write(given.out, nights)
        (folder / "failpoints").mkdir(mode=0o755)
        nights.append(_failpoint_night(folder / "failpoints"))
        _write(given.out, nights)
    except BaseException:
        print(f"kept with its logs: {folder}", file=sys.stderr)
        raise
    if any(night.faults for night in nights):
        print(f"kept with its logs: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    print("\n| night | lake | disturbed by | s | limit, s | tries again | result |")
    print("| --- | --- | --- | --: | --: | --: | --- |")
    for night in nights:
        print(night.row())
    return 1 if any(night.faults for night in nights) else 0


def _write(out: Path | None, nights: list[Night]) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps([asdict(night) for night in nights], indent=2))


def _night(
    folder: Path,
    archive: Path,
    name: str,
    seed: int | None,
    on_store: bool,
    quiet: tuple[float, Mapping[str, pa.Table]] | None,
) -> tuple[Night, dict[str, pa.Table]]:
    night = Night(name, "S3" if on_store else "folder")
    print(f"night {name}, lake in {night.place}", flush=True)
    folder = folder / f"{name}-{on_store}"
    folder.mkdir()
    with _lake(folder, on_store) as (lake, store):
        more = dict(BATCHES)
        place = uploaded(archive, BUCKET, "archive") if on_store else str(archive)
        if store is not None:
            more |= {**KEYS, "AWS_ENDPOINT_URL": store.url}
        one = {}
        if seed is not None and seed % 3 == 0 and (ahead := clock_ahead(folder)):
            one = {"gpu-worker": ahead}
            night.disturbances.append("clock 5 min ahead")
        away = ("cpu-worker-2", "gpu-worker") if on_store else ()
        with Cluster(
            folder / name / "cluster", lake, place, more, store=store, one=one, away=away
        ) as cluster:
            cluster.wait_for_dag(NIGHTLY)
            cluster.unpause(NIGHTLY)
            begun = time.monotonic()
            run_id = cluster.trigger(NIGHTLY)
            if seed is not None and quiet is not None:
                planned = schedule(seed, DISTURBANCES, quiet[0], on_store=on_store)
                night.disturbances += [name for _, name in planned]
                night.limit_s = 2 * quiet[0] + disturb(cluster, seed, planned)
            try:
                state = cluster.wait_for_run(NIGHTLY, run_id, PATIENCE_S)
            except NightscribeError as error:  # that of the next night may end
                state = str(error)
            night.seconds = time.monotonic() - begun
            tasks = cluster.tasks(NIGHTLY, run_id)
            night.again = sum(max(0, task["try_number"] - 1) for task in tasks)
            if state != "success":
                failed = [
                    f"{t['task_id']} {t['map_index']}" for t in tasks if t["state"] == "failed"
                ]
                night.faults.append(f"the run ended as {state}: {', '.join(failed)}")
            else:
                for other in cluster.runs(NIGHTLY):
                    cluster.wait_for_run(NIGHTLY, other["dag_run_id"], PATIENCE_S)
        if night.limit_s and night.seconds > night.limit_s:
            night.faults.append("too late")
        found = contents(lake)
        if quiet is not None:
            night.faults += _differences(lake, found, quiet[1])
    print(night.row(), flush=True)
    return night, found


def _failpoint_night(folder: Path) -> Night:
    """Kill a task at every failpoint, and trigger the night until it ends well.

    A task may miss a moment amid a commit, and what is committed is not committed again. So as long
    as there is such a moment, the archive gets more files, and another night.
    """
    night = Night("failpoints", "folder", [f"{len(FAILPOINTS)} failpoints"])
    archive = write_archive(folder / "archive", 12)
    (archive / "manifest.csv").write_text("path,language,text\n")
    _add_of_each_kind(archive, 0)
    died = folder / "died"
    died.mkdir()
    lake = str(folder / "lake")
    named = ",".join(map(str, FAILPOINTS))
    dying = {**WITH_CHANGES, "DIE_ONCE_AT": named, "DIED_AT": str(died)}
    one = dict.fromkeys(WORKERS, dying)
    begun = time.monotonic()
    with Cluster(folder / "cluster", lake, str(archive), BATCHES, one=one) as cluster:
        cluster.wait_for_dag(NIGHTLY)
        cluster.unpause(NIGHTLY)
        state, left = "", [*FAILPOINTS]
        while (state != "success" or left) and night.again < len(FAILPOINTS):
            if state == "success":
                _add_of_each_kind(archive, night.again)
            state = cluster.wait_for_run(NIGHTLY, cluster.trigger(NIGHTLY), PATIENCE_S)
            night.again += 1
            left = [one for one in FAILPOINTS if not (died / str(one)).exists()]
    night.seconds = time.monotonic() - begun
    if left:
        night.faults.append(f"nothing was killed at {', '.join(map(str, left))}")
    if state != "success":
        night.faults.append("no run ended well")
    quiet = open_lake(str(folder / "quiet"))
    run(quiet, Order((str(archive),), "demo"), Settings(device="cpu", threads=1))
    night.faults += _differences(lake, contents(lake), contents(quiet.uri))
    print(night.row(), flush=True)
    return night


def _add_of_each_kind(archive: Path, number: int) -> None:
    """Add a recording with a reference, and a file that is none, after all others of the archive.

    The table `sources` has the position of a file among the others, as it was first seen.
    """
    place = f"z{number:02}"
    write_noise(archive / place / "noise.wav", number)
    (archive / place / "notes.mp3").write_text(f"milk, eggs, {number} kg flour")
    with (archive / "manifest.csv").open("a") as manifest:
        manifest.write(f"{place}/noise.wav,en,Hello {number}.\n")


def _differences(
    lake: str, found: dict[str, pa.Table], expected: Mapping[str, pa.Table]
) -> list[str]:
    """What is wrong with a lake after its night, and after maintenance removed the rest of it."""
    # A second trigger scans the archive once more.
    wanted = {name: rows for name, rows in expected.items() if name != "scans"}
    faults = []
    try:
        assert_same_tables(found, wanted)
    except AssertionError as error:
        faults.append(f"other tables: {str(error).splitlines()[0]}")
    opened = open_lake(lake)
    faults += [str(finding) for finding in check(opened)]
    # What a killed attempt has left is noted by the first call and removed by the second.
    for _ in range(2):
        maintain(opened, AT_ONCE, "maintenance")
    left = find_orphans(opened, datetime.now(UTC))
    faults += [f"orphans in {name}" for name, keys in left.items() if keys.num_rows]
    faults += [f"after maintenance: {finding}" for finding in check(opened)]
    try:
        assert_same_tables(contents(lake), wanted)
    except AssertionError as error:
        faults.append(f"other tables after maintenance: {str(error).splitlines()[0]}")
    return faults


@contextmanager
def _lake(folder: Path, on_store: bool) -> Iterator[tuple[str, FaultyRequests | None]]:
    """A place for a lake: its folder or URI, and the server if it is on S3."""
    if not on_store:
        yield str(folder / "lake"), None
        return
    import boto3
    from s3fs import S3FileSystem

    store = FaultyRequests()
    os.environ["AWS_ENDPOINT_URL"] = store.url
    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}/lake", store
    finally:
        store.close()
        del os.environ["AWS_ENDPOINT_URL"]
        S3FileSystem.clear_instance_cache()  # it keeps the address of this server


if __name__ == "__main__":
    sys.exit(main())
