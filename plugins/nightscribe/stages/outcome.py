"""What a run reports at its end: its accounts, its rejections by name, its warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightscribe.lake.damage import explains
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.stages.account import Account, accounts_of
from nightscribe.uris import join_uri

__all__ = ["NAMED", "Outcome", "named", "outcome_of"]

NAMED = 20
"""Inputs that are named; the rest is a count."""


@dataclass(frozen=True)
class Outcome:
    """What became of the inputs of one run.

    Attributes:
        rejections: (URI, reason, detail) of the first `NAMED` inputs that this run rejected
        warnings: (URI, kind, detail) of the first `NAMED` flaws of its new recordings
        flawed: new recordings that are used with a warning
        missing_s: seconds that these lack, as far as it is known
    """

    accounts: list[Account]
    rejected: int
    rejections: list[tuple[str, str, str]]
    flawed: int
    missing_s: float
    warned: int
    warnings: list[tuple[str, str, str]]

    def lines(self) -> list[str]:
        """The report for people."""
        lines = named("rejected", self.rejections, self.rejected)
        lines += named("warning", self.warnings, self.warned)
        if self.flawed:
            lines.append(
                f"warnings: {self.flawed:,} new recordings are used with a warning; at least "
                f"{self.missing_s:.1f} s of audio are missing in them "
                "(`nightscribe warnings` lists all)"
            )
        for account in self.accounts:
            lines.append(f"account: {account.line()}")
            if remark := account.remark():
                lines.append(remark)
        return lines

    def metadata(self) -> dict[str, Any]:
        """The counts as plain values."""
        return {
            "accounts": [account.counts() for account in self.accounts],
            "rejected": self.rejected,
            "warnings": {"recordings": self.flawed, "missing_s": round(self.missing_s, 3)},
        }


def named(what: str, inputs: Sequence[tuple[str, str, str]], count: int) -> list[str]:
    """A line for each of the inputs, and one for those beyond them.

    >>> named("rejected", [("file:///a!/b.wav", "empty_file", "the file has no bytes")], 3)
    ['rejected: file:///a!/b.wav: empty_file: the file has no bytes', 'rejected: 2 more']
    """
    lines = [f"{what}: {uri}: {reason}: {detail}" for uri, reason, detail in inputs[:NAMED]]
    if count > len(lines):
        lines.append(f"{what}: {count - len(lines):,} more")
    return lines


@explains
def outcome_of(lake: Lake, run_id: str) -> Outcome:
    """Read from the lake what became of the inputs of a run."""
    with connect(lake, views=["rejected", "warnings", "sources", "accounts"]) as connection:
        [(rejected,)] = connection.execute(
            "SELECT count(*) FROM rejected WHERE run_id = ?", [run_id]
        ).fetchall()
        rejections = connection.execute(
            f"""SELECT uri, reason, detail FROM rejected WHERE run_id = ?
                ORDER BY created_at, uri LIMIT {NAMED}""",
            [run_id],
        ).fetchall()
        [(flawed, missing_s, warned)] = connection.execute(
            """SELECT count(DISTINCT recording_id), coalesce(sum(missing_s), 0), count(*)
               FROM warnings WHERE run_id = ?""",
            [run_id],
        ).fetchall()
        warnings = connection.execute(
            f"""SELECT recording_id, place[1], place[2], kind, detail FROM warnings
                LEFT JOIN (SELECT recording_id, min((archive, member)) AS place
                           FROM sources GROUP BY recording_id) USING (recording_id)
                WHERE run_id = ? ORDER BY place, recording_id, kind LIMIT {NAMED}""",
            [run_id],
        ).fetchall()
        return Outcome(
            accounts=accounts_of(connection, run_id),
            rejected=rejected,
            rejections=rejections,
            flawed=flawed,
            missing_s=missing_s,
            warned=warned,
            warnings=[
                (join_uri(archive, member) if archive else recording_id, kind, detail)
                for recording_id, archive, member, kind, detail in warnings
            ],
        )
