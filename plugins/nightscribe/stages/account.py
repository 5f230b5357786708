"""The account of a run: what became of every file below a collection.

Every file is exactly one of: known from an earlier run, used, rejected, or passed over because of
its name. The account has parts, which `write_accounts` writes to the table `account_parts`: one
from the scan, which counts the files of the collection, and one from each ingest task, which counts
what became of its new files and of the members of the containers that it read. A container that is
unchanged counts as one known file; its members are not counted again. A hidden folder, and a folder
that cannot be read, count as one file.

The view `accounts` adds the parts up. A file whose ingest task failed is `unfinished`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from nightscribe.archives.entries import PassedOver
from nightscribe.lake.keys import KEYS
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake

__all__ = ["SCAN", "Account", "accounts_of", "write_accounts"]

SCAN = "scan"
"""The part that a scan writes."""

_MAX_SUFFIXES = 50
"""Suffixes that a collection's account names; names are strangers' text without a limit."""
_MAX_SUFFIX = 12
"""Characters of a suffix that is named."""
_OTHER = "(other)"


@dataclass
class Account:
    """The counts of one collection, or of a part of its files.

    Attributes:
        new: files that a scan gives to ingestion, or that ingestion has not finished; in the part
            of an ingest task, minus the number of files that it has finished
    """

    collection: str
    known: int = 0
    new: int = 0
    used: int = 0
    rejected: int = 0
    suffixes: Counter[str] = field(default_factory=Counter)  # files passed over

    @property
    def passed_over(self) -> int:
        """Files that are not read because of their name."""
        return self.suffixes.total()

    @property
    def found(self) -> int:
        """All files."""
        return self.known + self.new + self.used + self.rejected + self.passed_over

    def pass_over(self, entry: PassedOver) -> None:
        """Count a file that is passed over."""
        suffix = entry.suffix
        named = suffix in self.suffixes or (
            len(suffix) <= _MAX_SUFFIX and len(self.suffixes) < _MAX_SUFFIXES
        )
        self.suffixes[suffix if named else _OTHER] += 1

    def line(self) -> str:
        """The account as a sum, in one line for people.

        >>> Account("s3://radio", known=1100, new=90, suffixes=Counter({".pdf": 9})).line()
        's3://radio: found 1,199 = 1,100 known + 90 new + 0 rejected + 9 passed over (.pdf 9)'
        """
        terms = [(self.known, "known"), (self.new, "new"), (self.used, "used")]
        parts = [f"{count:,} {what}" for count, what in terms if count]
        parts += [f"{self.rejected:,} rejected", f"{self.passed_over:,} passed over"]
        by_suffix = ", ".join(f"{suffix} {count:,}" for suffix, count in self._by_count())
        return f"{self.collection}: found {self.found:,} = {' + '.join(parts)}" + (
            f" ({by_suffix})" if by_suffix else ""
        )

    def remark(self) -> str | None:
        """What a person should notice: a collection without any recording."""
        if self.found and self.passed_over == self.found:
            return (
                f"{self.collection}: ALL {self.found:,} files were passed over, since no name is "
                "that of audio, an archive or a manifest"
            )
        if not self.known + self.new + self.used:
            what = f"none of its {self.found:,} files can be used" if self.found else "it is empty"
            return f"{self.collection}: NO RECORDING here: {what}"
        return None

    def counts(self) -> dict[str, Any]:
        """The counts as plain values, for metadata."""
        return {
            "collection": self.collection,
            "found": self.found,
            "known": self.known,
            "used": self.used,
            "rejected": self.rejected,
            "passed_over": self.passed_over,
            "unfinished": self.new,
            "suffixes": dict(self._by_count()),
        }

    def _by_count(self) -> list[tuple[str, int]]:
        return sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))


def write_accounts(lake: Lake, run_id: str, part: str, accounts: Iterable[Account]) -> None:
    """Write one part of the accounts of a run. A repeated part replaces the former one.

    Args:
        part: `SCAN`, or the path of an ingest spec
    """
    rows = [
        {
            "collection": account.collection,
            "part": part,
            "found": account.found,
            "known": account.known,
            "used": account.used,
            "rejected": account.rejected,
            "passed_over": account.passed_over,
            "suffixes": [
                {"suffix": suffix, "files": count} for suffix, count in account._by_count()
            ],
        }
        for account in accounts
    ]
    lake.upsert("account_parts", rows_of("account_parts", rows, run_id), KEYS["account_parts"])


def accounts_of(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[Account]:
    """The accounts of a run, by collection; `new` are the files that were not finished.

    `connection` has the lake's views.
    """
    rows = connection.execute(
        """SELECT collection, known, unfinished, used, rejected, suffixes FROM accounts
           WHERE run_id = ? ORDER BY collection""",
        [run_id],
    ).fetchall()
    return [
        Account(
            collection,
            known,
            new,
            used,
            rejected,
            Counter({one["suffix"]: one["files"] for one in suffixes or ()}),
        )
        for collection, known, new, used, rejected, suffixes in rows
    ]
