"""The program of a query's process: reads a job from standard input, answers on standard output.

python -P -m nightscribe.web.console.program
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from nightscribe.errors import NightscribeError
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.web.console.confinement import Memory, confine
from nightscribe.web.console.limits import QueryLimits
from nightscribe.web.console.running import page_of, write_csv, write_parquet

__all__ = ["FILE", "Job", "main"]

FILE = "result"
"""Name of a download in the folder of the job."""

_kept: list[duckdb.DuckDBPyConnection] = []

_FILES = {"csv": write_csv, "parquet": write_parquet}


@dataclass(frozen=True)
class Job:
    """A query, and where its result goes.

    Attributes:
        folder: the only folder into which the process may write
        form: `csv` or `parquet` for a download, `page` for rows from `offset` on
    """

    text: str
    form: str
    offset: int
    lake: str
    storage_options: dict[str, str]
    folder: str
    limits: dict[str, Any]


def main() -> None:
    """Do one job, and end."""
    job = Job(**json.load(sys.stdin))
    limits = QueryLimits(**job.limits)
    lake, folder = Lake(job.lake, job.storage_options), Path(job.folder)
    _import_the_rest(lake)
    memory = Memory()
    confine(lake, folder, limits)
    answer = _answer(job, lake, folder, limits, memory)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # Threads of a failed query may still run; nothing waits for them.
    os._exit(0)


def _answer(
    job: Job, lake: Lake, folder: Path, limits: QueryLimits, memory: Memory
) -> dict[str, Any]:
    spill = folder / "spill"
    try:
        # It is never closed: while a failed query has rows that nobody has read, DuckDB aborts.
        connection = connect(
            lake,
            memory_limit=f"{limits.memory_mib}MiB",
            spill_to=spill,
            spill_limit=f"{limits.spill_mib}MiB",
        )
        _kept.append(connection)
        memory.limit((limits.memory_mib + limits.beyond_mib) << 20)
        if job.form == "page":
            return page_of(connection, job.text, job.offset, limits)
        _FILES[job.form](connection, job.text, folder / FILE, limits)
        return {"file": True}
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        return {"error": f"The query needs more memory than it may use. {_told(error, folder)}"}
    except NightscribeError as error:
        return {"error": str(error).replace(repr(job.text), "This", 1)}
    except (duckdb.Error, ValueError, OverflowError, UnicodeError) as error:
        return {"error": _told(error, folder)}
    except Exception as error:
        traceback.print_exc()
        if "out of memory" in str(error).lower() or "alloc" in str(error).lower():
            return {"error": "The query needs more memory than it may use."}
        return {"error": "The query could not be run; the log of the server says why."}


def _told(error: BaseException, folder: Path) -> str:
    """The message of an error, without places of the server and without a stack trace."""
    text = str(error).partition("Stack Trace:")[0].strip()
    # What follows are settings, which a query cannot change.
    text = text.partition("\n\nPossible solutions:")[0]
    return text.replace(str(folder), "(temporary folder)")[:4_000]


def _import_the_rest(lake: Lake) -> None:
    """Import what libraries import when they are first used: later, it cannot be read."""
    if lake.is_local:  # others are not confined, and their file systems start threads
        lake.native_path("")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.sql("SELECT 'a' AS a").to_arrow_table().to_pylist()


if __name__ == "__main__":
    main()
