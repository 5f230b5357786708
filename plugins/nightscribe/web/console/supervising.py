"""Start the process of a query, end it in time, remove what it leaves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

from nightscribe.errors import explain_full_disk
from nightscribe.lake.tables import Lake
from nightscribe.web.console.answers import QueryFailed, Rows, read_answer
from nightscribe.web.console.environment import environment_for
from nightscribe.web.console.limits import QueryLimits
from nightscribe.web.console.program import FILE, Job

__all__ = ["supervise"]

_UNEXPECTED = (
    "The process of this query has ended: it needed more memory than it may use, or failed."
)


async def supervise(
    lake: Lake,
    text: str,
    form: str,
    offset: int,
    limits: QueryLimits,
    until_gone: Callable[[], Coroutine[Any, Any, None]],
) -> Rows | BinaryIO:
    """Run a query in a process of its own. Returns a page of rows, or the open file of a download.

    Raises:
        QueryFailed: the query failed, reached a limit, or `until_gone` has returned.
        NightscribeError: the temporary folder is full.
    """
    with explain_full_disk():
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="nightscribe-sql-"))
    process: asyncio.subprocess.Process | None = None
    answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    try:
        job = Job(
            text,
            form,
            offset,
            lake.uri,
            lake.storage_options,
            str(folder),
            dataclasses.asdict(limits),
        )
        process = await asyncio.create_subprocess_exec(
            # Without -P, -m puts the working folder first on Python's path.
            *(sys.executable, "-P", "-m", "nightscribe.web.console.program"),
            stdin=asyncio.subprocess.PIPE,
            stdout=answer,
            env=environment_for(lake, os.environ, sys.path),
            cwd=folder,
        )
        await _end(process, json.dumps(dataclasses.asdict(job)).encode(), limits, until_gone)
        if process.returncode:
            raise QueryFailed(_UNEXPECTED)
        rows = await asyncio.to_thread(read_answer, answer, limits.page_bytes)
        return rows if rows is not None else _download(folder / FILE)
    finally:
        answer.close()
        # Shielded: a cancelled request must leave neither a process nor files.
        await asyncio.shield(_clean(process, folder))


async def _end(
    process: asyncio.subprocess.Process,
    job: bytes,
    limits: QueryLimits,
    until_gone: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Wait for the end of a process. Raises `QueryFailed` if it must be killed first."""
    talk = asyncio.ensure_future(process.communicate(job))
    gone = asyncio.ensure_future(until_gone())
    try:
        await asyncio.wait({talk, gone}, timeout=limits.wall_s, return_when=asyncio.FIRST_COMPLETED)
        if talk.done():
            return
        if gone.done():
            raise QueryFailed("Nobody waits for this query any more.")
        raise QueryFailed(f"The query was stopped after {limits.wall_s:g} seconds.")
    finally:
        gone.cancel()
        if not talk.done():
            process.kill()
            talk.cancel()


async def _clean(process: asyncio.subprocess.Process | None, folder: Path) -> None:
    if process is not None:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _download(path: Path) -> BinaryIO:
    """Open a download. Its process may have put anything in its place, such as a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise QueryFailed(_UNEXPECTED) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise QueryFailed(_UNEXPECTED)
    return os.fdopen(descriptor, "rb")
