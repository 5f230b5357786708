"""What reviewers decide, from their page into the lake.

The web server may not write the lake. It puts each decision as a file into a folder that the
workers can read; `nightscribe.stages.reviews` commits the files' rows. The pages show a decision at
once; the lake has it within a minute.

A file lies at `<folder>/<transcript_id>/<decision_id>.json` and holds rows of the tables
`corrections` and `reviews`, all of one person and one moment.
A file `<folder>/.open/<transcript_id>` has the name of the person who opened a transcript last.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightscribe.errors import NightscribeError
from nightscribe.lake.rows import rows_of
from nightscribe.settings import Settings

__all__ = ["Decision", "Decisions"]

_SUFFIX = ".json"
_TABLES = ("corrections", "reviews")
_OPEN = ".open"
_OPEN_S = 1800.0  # a person who has decided nothing for so long has gone
_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


@dataclass(frozen=True)
class Decision:
    """What one person decided about one transcript at one moment.

    Attributes:
        corrections: rows of `corrections` without `run_id`
        reviews: rows of `reviews` without `run_id`, one at most
    """

    decision_id: str
    transcript_id: str
    corrections: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)

    @property
    def recordings(self) -> frozenset[str]:
        """The recordings that it is about: one."""
        return frozenset(row["recording_id"] for row in (*self.corrections, *self.reviews))

    def rows(self, table: str, run_id: str) -> pa.Table:
        """Its rows of a table."""
        return rows_of(table, getattr(self, table), run_id)


@dataclass(frozen=True)
class Decisions:
    """The folder of decisions that may not be in the lake yet."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> Decisions:
        """The folder beside the uploads, which web server and workers share."""
        return cls(Path(settings.uploads).absolute() / ".reviews")

    def add(
        self, decision: Decision, transcripts: Iterable[str] = (), seen: Collection[str] = ()
    ) -> bool:
        """Keep a decision. Raises `OSError` if the folder cannot be written.

        Args:
            transcripts: ids; nothing is kept if the folder has a decision about one of these
            seen: ids of decisions that do not count for that: the person knows them

        Returns:
            whether it is kept. If two people decide at the same moment, one of them is refused.
        """
        place = self._place(decision.transcript_id)
        content = {name: getattr(decision, name) for name in _TABLES}
        place.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{uuid.uuid4().hex}"
        with self._alone():
            there = [path.stem for one in transcripts for path in _files(self._place(one))]
            if not set(there) <= set(seen):
                return False
            place.mkdir(exist_ok=True)  # it may have been removed meanwhile
            try:
                with unfinished.open("x", encoding="utf-8") as file:
                    json.dump(content, file, ensure_ascii=False, default=datetime.isoformat)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(place / f"{decision.decision_id}{_SUFFIX}")
            finally:
                unfinished.unlink(missing_ok=True)
        return True

    def about(self, transcript_id: str) -> list[Decision]:
        """The decisions about a transcript, oldest first.

        Raises `NightscribeError` if one cannot be read.
        """
        return _oldest_first(_read(path) for path in _files(self._place(transcript_id)))

    def paths(self) -> list[Path]:
        """The files of all decisions."""
        if not self.folder.is_dir():
            return []
        return [file for place in sorted(self.folder.iterdir()) for file in _files(place)]

    def all(self) -> tuple[list[Decision], list[str]]:
        """All decisions, oldest first, and what is wrong with each file that holds none."""
        decisions: list[Decision | None] = []
        unreadable = []
        for path in self.paths():
            try:
                decisions.append(_read(path))
            except NightscribeError as error:
                unreadable.append(str(error))
        return _oldest_first(decisions), unreadable

    def files_about(self, transcript_id: str) -> list[Path]:
        """The files of all decisions about a transcript."""
        return list(_files(self._place(transcript_id)))

    def remove(self, decision: Decision, older_than_s: float) -> None:
        """Remove a decision that the lake has, if its file has this age."""
        path = self._place(decision.transcript_id) / f"{decision.decision_id}{_SUFFIX}"
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than_s:
                with self._alone():
                    path.unlink()
                    with suppress(OSError):  # other decisions are there
                        path.parent.rmdir()

    def note_open(self, transcript_id: str, person: str) -> None:
        """Note that a person has the page of a transcript open, if the folder can be written."""
        place = self.folder / _OPEN / self._place(transcript_id).name
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(person, encoding="utf-8")

    def open_to_others(self, person: str) -> dict[str, str]:
        """Transcript id → who else has opened its page within the last half hour."""
        found = {}
        with suppress(OSError):
            for place in (self.folder / _OPEN).iterdir():
                with suppress(OSError):
                    if time.time() - place.stat().st_mtime > _OPEN_S:
                        place.unlink()
                    else:
                        found[place.name] = place.read_text(encoding="utf-8")
        return {transcript_id: name for transcript_id, name in found.items() if name != person}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Waits until no other thread or process changes the folder, and keeps them waiting."""
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _place(self, transcript_id: str) -> Path:
        if not _ID.fullmatch(transcript_id):
            raise NightscribeError(f"{transcript_id!r} cannot be the id of a transcript")
        return self.folder / transcript_id


def _files(place: Path) -> list[Path]:
    try:
        return sorted(
            file
            for file in place.iterdir()
            if file.suffix == _SUFFIX and not file.name.startswith(".")
        )
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> Decision | None:
    """The decision in a file; None if it was removed meanwhile, because the lake has it.

    Raises `NightscribeError` if the file holds none that the lake can take.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: [_with_time(row) for row in content[name]] for name in _TABLES}
        decision = Decision(path.stem, path.parent.name, **rows)
        for name in _TABLES:
            _check(decision, decision.rows(name, "check"))
        if len(decision.reviews) > 1:
            raise ValueError("it has more than one review")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise NightscribeError(
            f"{path} is no decision of a reviewer: {error}. Remove it, or restore it from a copy"
        ) from error
    return decision


def _check(decision: Decision, rows: pa.Table) -> None:
    """Raises `ValueError` for rows of another one, and for rows that no table takes."""
    for column in rows.schema:
        if not column.nullable and rows[column.name].null_count:
            raise ValueError(f"a row has no {column.name}")
    if set(rows["decision_id"].to_pylist()) - {decision.decision_id}:
        raise ValueError("its name is not the id of the decision")


def _with_time(row: dict[str, Any]) -> dict[str, Any]:
    created_at = datetime.fromisoformat(row["created_at"])
    if created_at.tzinfo is None:
        raise ValueError("a time has no zone")
    return {**row, "created_at": created_at}


def _oldest_first(decisions: Iterable[Decision | None]) -> list[Decision]:
    def moment(decision: Decision) -> datetime:
        times: list[datetime] = [
            row["created_at"] for row in (*decision.corrections, *decision.reviews)
        ]
        return min(times)

    found = [d for d in decisions if d is not None and (d.corrections or d.reviews)]
    return sorted(found, key=lambda d: (moment(d), d.decision_id))
