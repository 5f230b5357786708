"""How much audio the files have that no run has read yet."""

from __future__ import annotations

from dataclasses import dataclass

from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.stages.new_files import Found

__all__ = ["Unread", "unread"]

_SUFFIX = r"lower(regexp_extract(member, '\.([^./]+)$', 1))"


@dataclass(frozen=True)
class Unread:
    """New files.

    Attributes:
        files, size_bytes: as they are listed; a zip or tar is one file
        audio_s: length of their audio as estimated from their sizes; None if the lake has no
            recording to tell from
    """

    files: int
    size_bytes: int
    audio_s: float | None


def unread(lake: Lake, found: Found) -> Unread:
    """Estimate the audio of new files from the seconds per byte of the lake's recordings.

    These are of the recordings with the same suffix, or of all, if none has it, as of zips and
    tars.
    """
    fresh = found.database.execute(
        f"""SELECT {_SUFFIX}, sum(size_bytes)::DOUBLE FROM fresh
            WHERE kind <> 'manifest' GROUP BY ALL"""
    ).fetchall()
    known = read(
        lake,
        f"""SELECT {_SUFFIX} AS suffix, sum(duration_s) AS audio_s,
              sum(r.size_bytes)::DOUBLE AS bytes
            FROM recordings AS r JOIN (
              SELECT recording_id, any_value(member) AS member FROM sources
              GROUP BY recording_id) USING (recording_id)
            GROUP BY ALL""",
    ).to_pylist()
    all_bytes = sum(row["bytes"] for row in known)
    audio_s = None
    if all_bytes or not fresh:
        rates = {row["suffix"]: row["audio_s"] / row["bytes"] for row in known}
        usual = sum(row["audio_s"] for row in known) / all_bytes if all_bytes else 0.0
        audio_s = sum(size * rates.get(suffix, usual) for suffix, size in fresh)
    return Unread(found.new_files, found.new_bytes, audio_s)
