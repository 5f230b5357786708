"""What a lake is like after many nights, before and after maintenance.

Makes a lake of nights (`tools.made_up_nights`) that nobody has maintained. Then everything is
measured in new processes, maintained as if all of it were older than `NIGHTSCRIBE_KEEP_DAYS`, and
measured again.

    python tools/measure_nights.py [--nights N] [--batches N] [--recordings N] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TIMES = (
    "open one table",
    "count segments",
    "hours by language",
    "one recording's segments",
    "plan",
    "publish",
    "commit a batch",
)


def made(uri: str, *numbers: str) -> None:
    """Make a lake, see `make_lake`."""
    from tools.made_up_nights import make_lake

    make_lake(uri, *map(int, numbers))


def measured(uri: str) -> dict[str, float]:
    """Seconds of what people and nights do with the lake, and what is on the disk."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.reading import connect
    from nightscribe.stages.publish import publish
    from tools.made_up_nights import Pattern
    from tools.measure_plan import peak_mb, plan_once

    lake = open_lake(uri)
    result: dict[str, float] = {}

    def timed(name: str, act: Callable[[], object]) -> None:
        started = time.monotonic()
        act()
        result[name] = time.monotonic() - started

    def sql(query: str, *views: str) -> Callable[[], object]:
        def run() -> object:
            with connect(lake, views=views) as connection:
                return connection.execute(query).fetchall()

        return run

    timed("open one table", lambda: lake.table("segments"))
    count = "SELECT count(*) FROM segments"
    timed("count segments", sql(count, "segments"))
    hours = "SELECT language, sum(duration_s) FROM latest_transcripts GROUP BY ALL"
    timed("hours by language", sql(hours, "latest_transcripts"))
    one = "SELECT * FROM segments WHERE recording_id = (SELECT min(recording_id) FROM recordings)"
    timed("one recording's segments", sql(one, "segments", "recordings"))
    timed("plan", lambda: plan_once(uri, "new-model", "file:///archives/radio"))
    timed("publish", lambda: publish(lake))
    with connect(lake, views=["recordings"]) as connection:
        found = connection.execute("SELECT recording_id FROM recordings LIMIT 10").fetchall()
    ids = [recording_id for (recording_id,) in found]
    of_new_model = Pattern(len(ids)).attempt(ids, datetime.now(UTC), model_id=uuid.uuid4().hex)
    timed("commit a batch", lambda: of_new_model.commit_all(lake))
    folder = Path(uri)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        **result,
        "peak memory, MB": peak_mb(),
        "files": len(files),
        "files of logs": sum("_delta_log" in path.parts for path in files),
        "size, MB": sum(path.stat().st_size for path in files) / 1e6,
    }


def maintained(uri: str) -> dict[str, float]:
    """Maintain the lake as if all of it were old. Returns seconds and memory."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.settings import Settings
    from nightscribe.stages.maintain import maintain
    from tools.measure_plan import peak_mb

    settings = Settings().model_copy(update={"keep_days": 0.0, "batch_hours_max": 0.0})
    started = time.monotonic()
    done = maintain(
        open_lake(uri), settings, "measure", say=lambda line: print(line, file=sys.stderr)
    )
    print(done.summary(), file=sys.stderr)
    return {"seconds": time.monotonic() - started, "peak memory, MB": peak_mb()}


def checked(uri: str) -> dict[str, float]:
    """Check the lake's invariants. RuntimeError if one does not hold."""
    from nightscribe.lake.invariants import check
    from nightscribe.lake.opening import open_lake
    from tools.measure_plan import peak_mb

    started = time.monotonic()
    if findings := check(open_lake(uri)):
        raise RuntimeError(f"this lake is damaged: {findings}")
    return {"seconds": time.monotonic() - started, "peak memory, MB": peak_mb()}


def forgotten(uri: str, recordings: str) -> dict[str, float]:
    """Forget so many recordings. Returns seconds, memory, and the files that were removed."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.reading import read
    from nightscribe.settings import Settings
    from nightscribe.stages.forget import forget
    from tools.measure_plan import peak_mb

    lake = open_lake(uri)
    query = "SELECT recording_id FROM recordings ORDER BY recording_id LIMIT $n"
    ids = read(lake, query, n=int(recordings))["recording_id"].to_pylist()
    started = time.monotonic()
    done = forget(lake, ids, Settings(), "measure")
    seconds = time.monotonic() - started
    print(done.summary(), file=sys.stderr)
    left = read(
        lake,
        """SELECT count(*) AS n FROM files.segments
           WHERE recording_id IN (SELECT unnest($ids))""",
        ids=ids,
    )
    if left["n"][0].as_py():
        raise RuntimeError("it is not forgotten")
    return {"seconds": seconds, "peak memory, MB": peak_mb(), "files": done.table_files}


STEPS: dict[str, Callable[..., Any]] = {
    "make": made,
    "measure": measured,
    "maintain": maintained,
    "check": checked,
    "forget": forgotten,
}


def main(folder: str, nights: int, batches: int, recordings: int) -> None:
    """Make a lake, measure, maintain, measure, check, forget; print a table."""
    from nightscribe.text_tables import markdown_table
    from tools.measure_plan import in_own_process

    run = functools.partial(in_own_process, script=__file__)
    lake = f"{folder}/lake"
    if not Path(lake).exists():
        run("--make", lake, nights, batches, recordings)
    before = run("--measure", lake)
    maintenance = run("--maintain", lake)
    after = run("--measure", lake)
    again = run("--maintain", lake)
    print(f"{nights} nights of {batches} batches of {recordings} recordings\n")
    lines = []
    for name in before:
        digits, unit = (2, ", s") if name in TIMES else (0, "")
        cells = (f"{found[name]:,.{digits}f}" for found in (before, after))
        lines.append([f"{name}{unit}", *cells])
    print(markdown_table(["what", "before", "after"], lines))
    print()
    alone = {
        "maintenance": maintenance,
        "maintenance once more, with nothing to do": again,
        "check": run("--check", lake),
        "forget one recording": run("--forget", lake, 1),
        f"forget {recordings * batches} recordings": run("--forget", lake, recordings * batches),
    }
    lines = [
        [what, f"{took['seconds']:,.1f}", f"{took['peak memory, MB']:,.0f}"]
        for what, took in alone.items()
    ]
    print(markdown_table(["afterwards, in this order", "s", "peak memory, MB"], lines))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader such as `head` may go away
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if sys.argv[1:2] and (chosen := STEPS.get(sys.argv[1].removeprefix("--"))):
        print(json.dumps(chosen(*sys.argv[2:])), flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=1_000)
    parser.add_argument("--batches", type=int, default=66, help="a night: three commits each")
    parser.add_argument("--recordings", type=int, default=10, help="of a batch")
    parser.add_argument("--folder", help="where the lake is made, or is already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as temporary:
        main(given.folder or temporary, given.nights, given.batches, given.recordings)
