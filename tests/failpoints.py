"""Moments around the commits of a night at which a process may be killed, by name.

A failpoint is the name of a table or file of the lake and one of `before`, `amid` (files are
written, the log is not yet) and `after` its commit, such as `segments:amid`. Commits are wrapped
from outside: what is shipped knows nothing of them.

Processes that a test does not start itself, such as Airflow's tasks, get failpoints from their
environment. `DIE_ONCE_AT` lists them, and each process that comes to one is killed there, unless
its name is in the folder `DIED_AT` already.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nightscribe.lake.tables import Lake

_THRICE = ("before", "amid", "after")


class KillAt(NamedTuple):
    """A moment of a night: before, amid or after a commit."""

    table: str
    when: str

    def __str__(self) -> str:
        return f"{self.table}:{self.when}"


FAILPOINTS = (
    KillAt("lake.json", "before"),
    KillAt("lake.json", "after"),
    KillAt("rejected", "amid"),
    *(KillAt("recordings", when) for when in _THRICE),
    *(KillAt("sources", when) for when in _THRICE),
    KillAt("reference_texts", "amid"),
    *(KillAt("scans", when) for when in _THRICE),
    *(KillAt("segments", when) for when in _THRICE),
    *(KillAt("batches", when) for when in _THRICE),
    *(KillAt("transcripts", when) for when in _THRICE),
    KillAt("catalog.duckdb", "before"),
    KillAt("catalog.duckdb", "after"),
)
"""Of a night on an archive with audio, a file that is none, and a manifest; in their order."""


def arrange_death(moments: Collection[KillAt], died: Path | None = None) -> None:
    """Kill this process when it comes to one of the moments.

    With `died`, a folder for the names of moments at which processes were killed, it goes on at a
    moment whose name is there. `amid` may be missed, if the commit is too fast: then a process goes
    on, so that the next one is killed there; without `died`, it is killed after the commit.
    """

    def is_next(moment: KillAt) -> bool:
        return moment in moments and (died is None or not (died / str(moment)).exists())

    def die(moment: KillAt) -> None:
        if died is not None:
            (died / str(moment)).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def commit_and_die(lake: Lake, table: str, commit: Callable[[], Any]) -> Any:
        before, amid, after = (KillAt(table, when) for when in _THRICE)
        if is_next(before):
            die(before)
        committed = threading.Event()
        waits = is_next(amid)
        if waits:
            _when_a_file_appears(Path(lake.uri) / table, committed, lambda: die(amid))
        result = commit()
        committed.set()
        if is_next(after) or (waits and died is None):
            die(after)
        return result

    around_commits(commit_and_die)


def arrange_from(environment: Mapping[str, str]) -> None:
    """Kill this process as its environment says, if it says something."""
    if named := environment.get("DIE_ONCE_AT"):
        moments = [KillAt(*name.split(":")) for name in named.split(",")]
        arrange_death(moments, Path(environment["DIED_AT"]))


def around_commits(wrap: Callable[[Lake, str, Callable[[], Any]], Any]) -> None:
    """Have `wrap` called in place of each write to the lake; it gets the table's or file's name."""

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(lake: Lake, name: str, *arguments: Any, **options: Any) -> Any:
            return wrap(lake, name, lambda: method(lake, name, *arguments, **options))

        return call

    for name in ("append", "insert_new", "upsert", "delete", "mark", "put_file"):
        setattr(Lake, name, wrapped(getattr(Lake, name)))


def _when_a_file_appears(table: Path, over: threading.Event, act: Callable[[], None]) -> None:
    there = set(os.listdir(table))

    def watch() -> None:
        while there.issuperset(os.listdir(table)):
            if over.is_set():
                return
        act()

    threading.Thread(target=watch, daemon=True).start()
