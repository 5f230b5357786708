"""Names that look the same: match those that are canonically equal, describe the others.

`é` is one code point or two (NFC, NFD). macOS, its zips and many spreadsheets differ in this, and
nobody sees it.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import islice, zip_longest
from typing import Any

import duckdb

from nightscribe.uris import split_uri

__all__ = ["MOST_NAMES", "match_spellings", "missing_detail", "same_spelling"]

MOST_NAMES = 2_000
"""Names of a folder with which one that is missing is compared."""


def same_spelling(name: str) -> str:
    """The form that canonically equal names have in common (NFC)."""
    return unicodedata.normalize("NFC", name)


def match_spellings(connection: duckdb.DuckDBPyConnection, named: str, files: str) -> None:
    """Write the members of the table `named` as those of the table `files` are written.

    A member that is in `files` stays, and so does one that is canonically equal to several of them.
    Both tables have the columns `archive` and `member`.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE unmatched AS
            SELECT n.rowid AS number, n.archive, nfc_normalize(n.member) AS same
            FROM {named} AS n ANTI JOIN {files} USING (archive, member)"""
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE candidates AS
            SELECT archive, member, nfc_normalize(member) AS same
            FROM {files} SEMI JOIN (SELECT DISTINCT archive FROM unmatched) USING (archive)"""
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE respelled AS
           SELECT number, any_value(member) AS member
           FROM unmatched JOIN candidates USING (archive, same)
           GROUP BY number HAVING count(*) = 1"""
    )
    connection.execute(
        f"UPDATE {named} SET member = r.member FROM respelled AS r WHERE {named}.rowid = r.number"
    )


def missing_detail(row: Mapping[str, Any], others: Iterable[str]) -> str:
    """Why a line of a manifest names no file, and the nearest of the other names, if one is near.

    Names that differ may look the same. So the first difference is told as code points.

    Args:
        row: with the member, the manifest's URI, and the line
        others: members of the same folder
    """
    name, manifest = row["member"], split_uri(row["manifest"])[1] or row["manifest"]
    detail = f"named in line {row['line']} of {manifest}, but not in the archive"
    candidates = islice(others, MOST_NAMES)
    found = difflib.get_close_matches(name, candidates, n=1, cutoff=0.75)
    if not found:
        return detail
    other = found[0]
    differing = (at for at, pair in enumerate(zip_longest(name, other)) if pair[0] != pair[1])
    at = next(differing, 0)
    return (
        f"{detail}; the nearest is {other!r}, which has {_code_point(other, at)} "
        f"instead of {_code_point(name, at)}"
    )


def _code_point(text: str, at: int) -> str:
    if at >= len(text):
        return "nothing"
    return f"U+{ord(text[at]):04X} {unicodedata.name(text[at], 'without a name')}"
