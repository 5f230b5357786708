"""What a batch costs besides transcription: each task of Airflow is a process of its own.

    python tools/measure_batch.py --model base.pt --archives FOLDER [--minutes 20]

makes a lake in a temporary folder, scans, ingests and plans the archives, then transcribes one
batch in a new process, as a worker does. Prints the seconds of each part, and their share of a
batch of so many minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time

BATCH = """
import json, sys, time
begun = float(sys.argv[4])
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.engines import engine_named, model_loader
import torch, whisper  # the engine imports them when it is called
parts = {"start and imports": time.time() - begun}
settings = Settings()
load = model_loader(settings)

def timed(name):
    now = time.time()
    model = load(name)
    parts["load the model"] = time.time() - now
    return model

lake, spec, run_id, _ = sys.argv[1:]
now = time.time()
done = transcribe_batch(
    open_lake(lake), spec, run_id, timed, engine_named(settings.engine), settings=settings
)
took = time.time() - now
parts["transcribe"] = done.wall_s
parts["read the plan, commit"] = took - done.wall_s - parts["load the model"]
print(json.dumps(parts))
"""


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--archives", required=True, action="append")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of a batch")
    given = parser.parse_args()
    from nightscribe.lake.opening import open_lake
    from nightscribe.settings import Settings
    from nightscribe.stages.ingest import ingest_scanned
    from nightscribe.stages.order import Order
    from nightscribe.stages.plan import plan_run
    from nightscribe.stages.run_ids import work_folder
    from nightscribe.stages.scan import scan
    from nightscribe.text_tables import markdown_table

    with tempfile.TemporaryDirectory() as folder:
        lake, settings, run_id = open_lake(f"{folder}/lake"), Settings(), "measure"
        order = Order(archives=tuple(given.archives), model=given.model)
        order.wanted(settings)
        scanned = scan(lake, order.archives, run_id, settings=settings, folder=work_folder(run_id))
        for spec in scanned.specs:
            ingest_scanned(lake, spec, run_id, settings=settings)
        planned = plan_run(lake, order, run_id, settings, 1)
        done = subprocess.run(
            [sys.executable, "-c", BATCH, lake.uri, *planned.specs, run_id, str(time.time())],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    besides = sum(seconds for part, seconds in parts.items() if part != "transcribe")
    print(markdown_table(["part", "s"], [[part, f"{s:.1f}"] for part, s in parts.items()]))
    whole = given.minutes * 60
    share = besides / (whole + besides)
    print(f"besides transcription: {besides:.1f} s, {share:.1%} of {given.minutes:g} min more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
