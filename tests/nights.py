"""A whole night in a process of its own, which a test may kill.

Starting Python and importing torch takes seconds, so the processes are forked from a server
that has imported this module and nothing else: no thread runs in it, no lake is open.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import wave
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy
import pandas  # noqa: F401  DuckDB imports it, which is slow
import pyarrow as pa
import torch
from whisper.tokenizer import get_tokenizer

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.failpoints import KillAt, around_commits, arrange_death

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "archive"

# One thread: forked processes share two cores, and every run sums in the same order.
torch.set_num_threads(1)
# Its regular expressions take half a second to compile.
get_tokenizer(True, num_languages=99, language="en", task="transcribe").encode("a")


def archive_of(folder: Path, clips: Iterable[str]) -> Path:
    """A folder archive with copies of some sample clips, by their paths in the samples."""
    for clip in clips:
        target = folder / Path(clip).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SAMPLES / clip, target)
    return folder


def write_noise(path: Path, seed: int, seconds: float = 0.3) -> Path:
    """A WAV of noise, 16 kHz mono, that no other seed gives."""
    samples = numpy.random.default_rng(seed).integers(-3000, 3000, int(16_000 * seconds), "int16")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def night(
    lake: str,
    archive: str,
    *,
    order: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    kill_at: KillAt | None = None,
    meet: Barrier | None = None,
) -> None:
    """Run the nightly job, and be killed at a moment of it if there is one.

    With `meet`, processes wait for each other before they first commit transcripts.
    """
    os.environ.update(environment or {})
    if kill_at is not None:
        arrange_death([kill_at])
    if meet is not None:
        _arrange_meeting(meet)
    given = {"model": "demo", **(order or {})}
    run(
        open_lake(lake),
        Order(archives=(archive,), **given),
        Settings(device="cpu", **(settings or {})),
    )


def night_context() -> ForkServerContext:
    """Makes processes that have torch and whisper imported from the start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def start(context: ForkServerContext, *arguments: str, **options: Any) -> ForkServerProcess:
    """Start a night."""
    process = context.Process(target=night, args=arguments, kwargs=options, daemon=True)
    process.start()
    return process


def finish(*processes: ForkServerProcess, timeout_s: float = 120) -> None:
    """Wait for nights to end well."""
    for process in processes:
        process.join(timeout_s)
        assert process.exitcode == 0, f"exit code {process.exitcode}"


# Identifiers, times, numbers of commits and names of runs are new in every run; all else is the
# same in every run.
PROBABILITIES = {"language_probability", "avg_logprob", "no_speech_prob"}
CONTENTS = {
    "recordings": "SELECT * EXCLUDE (run_id, created_at) FROM recordings",
    "sources": "SELECT * EXCLUDE (run_id, created_at) FROM sources",
    "scans": "SELECT * EXCLUDE (run_id, created_at) FROM scans",
    "rejected": "SELECT * EXCLUDE (run_id, created_at) FROM rejected",
    "reference_texts": "SELECT * EXCLUDE (run_id, created_at) FROM reference_texts",
    "transcripts": "SELECT * EXCLUDE (transcript_id, batch_id, attempt_id, run_id, created_at, "
    "sequence) FROM transcripts",
    "segments": "SELECT s.* EXCLUDE (transcript_id), t.model_id, t.task, t.options_key "
    "FROM segments AS s JOIN transcripts AS t USING (transcript_id)",
}


def contents(lake: str) -> dict[str, pa.Table]:
    """Every row of the lake's tables, but for what must differ between two runs."""
    with connect(open_lake(lake)) as connection:
        return {
            name: connection.sql(f"SELECT * FROM ({query}) ORDER BY ALL").to_arrow_table()
            for name, query in CONTENTS.items()
        }


def assert_same_tables(found: dict[str, pa.Table], expected: dict[str, pa.Table]) -> None:
    """Two lakes hold the same rows, every one of them as often.

    Which recordings share a batch decides how the network's products round: the last digits of
    probabilities may differ.
    """
    for name, rows in expected.items():
        ours, theirs = (_without_probabilities(table) for table in (found[name], rows))
        assert ours.to_pylist() == theirs.to_pylist(), name
        for column in set(rows.column_names) & PROBABILITIES:
            pairs = zip(found[name][column].to_pylist(), rows[column].to_pylist(), strict=True)
            assert all(a == b or math.isclose(a, b, abs_tol=1e-4) for a, b in pairs), (name, column)


AT_ONCE = Settings().model_copy(update={"keep_days": 0.0, "batch_hours_max": 0.0})
"""With which maintenance keeps nothing for later; not validated, since that would refuse them."""


def visible_batches(lake: Lake) -> tuple[int, int, int]:
    """Batches in the lake; transcripts that lack segments; batches that lack transcripts."""
    with connect(lake, views=["batches", "transcripts", "segments"]) as connection:
        [(visible,)] = connection.execute("SELECT count(*) FROM batches").fetchall()
        [(torn,)] = connection.execute(
            """SELECT count(*) FROM transcripts AS t WHERE segment_count <>
                 (SELECT count(*) FROM segments AS s WHERE s.transcript_id = t.transcript_id)"""
        ).fetchall()
        [(unfinished,)] = connection.execute(
            """SELECT count(*) FROM batches AS b WHERE transcripts <>
                 (SELECT count(*) FROM transcripts AS t WHERE t.attempt_id = b.attempt_id)"""
        ).fetchall()
    return visible, torn, unfinished


def _without_probabilities(table: pa.Table) -> pa.Table:
    return table.drop_columns(list(set(table.column_names) & PROBABILITIES))


def _arrange_meeting(meet: Barrier) -> None:
    def commit_together(lake: Lake, table: str, commit: Callable[[], Any]) -> Any:
        if table == "transcripts" and not met:
            meet.wait(60)
            met.append(True)
        return commit()

    met: list[bool] = []
    around_commits(commit_together)
