"""What must hold between the tables of a lake, and what to do about it if it does not."""

from __future__ import annotations

from dataclasses import dataclass

from nightscribe.lake.damage import damage_of
from nightscribe.lake.keys import KEYS
from nightscribe.lake.published import published_versions
from nightscribe.lake.reading import connect
from nightscribe.lake.schema import SCHEMAS, SEQUENCE
from nightscribe.lake.tables import Lake

__all__ = ["INVARIANTS", "Finding", "Invariant", "check", "unpublished"]

_MEMORY = "512MB"
"""Of DuckDB; what does not fit is written to the temporary folder."""

_MOST = 10_000
"""Rows that are looked at again where an invariant does not hold."""

_AGAIN = "`nightscribe run --force` with its archive transcribes it again"
_BACKUP = "copy the table back from a backup"


@dataclass(frozen=True)
class Invariant:
    """A sentence about the tables.

    Attributes:
        name: the sentence
        query: rows that contradict it; their first column names the row
        remedy: what to do about such rows
    """

    name: str
    query: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """What contradicts an invariant.

    Attributes:
        rows: how many do, up to `_MOST`
        example: one of them
    """

    invariant: str
    rows: int
    example: str
    remedy: str


def _refers(table: str, column: str, to: str) -> Invariant:
    return Invariant(
        f"every row of {table} has its row of {to}",
        f"SELECT {column} FROM files.{table} ANTI JOIN files.{to} USING ({column})",
        _BACKUP,
    )


def _unique(table: str, key: tuple[str, ...]) -> Invariant:
    columns = ", ".join(f'"{column}"' for column in key)
    return Invariant(
        f"no key is twice in {table}",
        f"SELECT concat_ws(', ', {columns}) FROM files.{table} GROUP BY {columns} "
        "HAVING count(*) > 1",
        _BACKUP,
    )


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "every transcript has its segments",
        """SELECT transcript_id FROM files.transcripts LEFT JOIN (
             SELECT transcript_id, count(*) AS rows, count(DISTINCT "index") AS distinct_rows,
               max("index") AS last
             FROM files.segments GROUP BY transcript_id) USING (transcript_id)
           WHERE coalesce(rows, 0) <> segment_count
             OR coalesce(distinct_rows, 0) <> segment_count
             OR coalesce(last, -1) <> segment_count - 1""",
        _AGAIN,
    ),
    Invariant(
        "every segment is of its transcript's recording",
        """SELECT s.transcript_id FROM files.segments AS s
           JOIN files.transcripts AS t USING (transcript_id)
           WHERE s.recording_id <> t.recording_id""",
        _AGAIN,
    ),
    Invariant(
        "no id is twice in transcripts",
        "SELECT transcript_id FROM files.transcripts GROUP BY ALL HAVING count(*) > 1",
        _BACKUP,
    ),
    *(_unique(table, key) for table, key in KEYS.items()),
    _refers("sources", "recording_id", "recordings"),
    _refers("transcripts", "recording_id", "recordings"),
    _refers("transcripts", "attempt_id", "batches"),
    Invariant(
        "no attempt has more transcripts than it wrote",
        """SELECT attempt_id FROM files.batches JOIN (
             SELECT attempt_id, count(*) AS rows FROM files.transcripts GROUP BY attempt_id)
             USING (attempt_id)
           WHERE rows > transcripts""",
        _BACKUP,
    ),
)


def check(lake: Lake) -> list[Finding]:
    """Everything that contradicts an invariant, damage of files first. Reads every file.

    What a run commits between two looks at the tables is no contradiction, so that the tables are
    looked at once more where there is one. Raises `LakeError` if they cannot be read at all.
    """
    if (damage := damage_of(lake, everything=True)) is not None:
        return [Finding("every file is there and whole", 1, damage, _BACKUP)]
    found = _contradictions(lake)
    again = _contradictions(lake) if found else {}
    both = {one: found[one] & again[one] for one in found.keys() & again.keys()}
    return [
        Finding(one.name, len(rows), min(rows), one.remedy)
        for one, rows in sorted(both.items(), key=lambda item: item[0].name)
        if rows
    ]


def _contradictions(lake: Lake) -> dict[Invariant, set[str]]:
    """Invariant → the rows that contradict it, `_MOST` at most."""
    found = {}
    with connect(lake, memory_limit=_MEMORY) as connection:
        for invariant in (*INVARIANTS, *_numbered(lake)):
            rows = connection.execute(
                f"""SELECT DISTINCT f.found::VARCHAR FROM ({invariant.query}) AS f(found)
                    ORDER BY ALL LIMIT {_MOST}"""
            ).fetchall()
            if rows:
                found[invariant] = {str(row) for (row,) in rows}
    return found


def _numbered(lake: Lake) -> list[Invariant]:
    """No row has a number of a commit that has not been made; see `nightscribe.lake.tables`."""
    return [
        Invariant(
            f"no row of {name} is of a later commit than the newest",
            f"SELECT sequence FROM files.{name} WHERE sequence NOT BETWEEN 1 AND {version}",
            _BACKUP,
        )
        for name, version in lake.versions().items()
        if SEQUENCE in SCHEMAS[name].names and version >= 0
    ]


def unpublished(lake: Lake) -> list[str]:
    """Tables with commits that `catalog.duckdb` does not show yet.

    After a run there are none; during one there may be. Raises `LakeError`.
    """
    published = published_versions(lake)
    return [name for name, version in lake.versions().items() if version > published.get(name, -1)]
