"""The texts of a recording as its page shows them: transcripts side by side, a part at a time.

A day of audio has some ten thousand segments. A page shows a part of them, around a second; all
texts of a page show the same time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nightscribe.lake.doubt import described, step_of
from nightscribe.splits import split_name
from nightscribe.web.differences import Comparison, Kind, Piece, compare
from nightscribe.web.snapshot import Snapshots

__all__ = ["PART", "Asked", "Column", "Part", "Reading", "read_recording"]

PART = 1_000
"""Segments of a part, of the transcript that has the most."""

Row = dict[str, Any]


class Asked(BaseModel):
    """What of a recording is shown: the query of an address.

    Attributes:
        transcript: id of the transcript that is shown of its task; else the newest
        compare: id of a transcript of the same task that it is compared with
        reference: data set of the reference that transcripts are compared with
        corrected: show the text of record, with the corrections of people
        from_s: a second of the part that is shown
    """

    model_config = ConfigDict(extra="ignore")

    transcript: str = ""
    compare: str = ""
    reference: str = ""
    corrected: bool = False
    from_s: float = Field(0, alias="from", ge=0, allow_inf_nan=False)

    def address(self, **changes: Any) -> dict[str, Any]:
        """The values of the address with changes; without the part."""
        kept: dict[str, Any] = {
            name: getattr(self, name) for name in ("transcript", "compare", "reference")
        }
        return {**kept, "corrected": 1 if self.corrected else None, **changes}


class Part(NamedTuple):
    """A part of a recording.

    Attributes:
        starts: seconds at which the parts begin; the first is 0
        number: of this part, from 0
    """

    starts: list[float]
    number: int

    @property
    def from_s(self) -> float:
        """The second at which the part begins."""
        return self.starts[self.number]

    @property
    def until_s(self) -> float | None:
        """The second at which the next part begins; None for the last."""
        following = self.starts[self.number + 1 :]
        return following[0] if following else None


class Word(NamedTuple):
    """A stretch of text, with its seconds if the transcript has timed words."""

    text: str
    start: float | None
    end: float | None


class Stretch(NamedTuple):
    """A stretch of a segment as it is shown: its own text, or what another text has instead."""

    kind: Kind
    words: list[Word]
    other: str


@dataclass(frozen=True)
class Column:
    """A transcript as it is shown.

    Attributes:
        segments: rows of `segments` of the part, each with `doubt` (0 to 3), `suspicious` (figures
            in words) and `stretches`
        against: what it is compared with: a row of `transcripts` or `reference_texts`
    """

    transcript: Row
    segments: list[Row]
    comparison: Comparison | None
    against: Row | None


@dataclass(frozen=True)
class Reading:
    """What the page shows of texts.

    Attributes:
        transcripts: rows of `transcripts_of_record` of the recording, the newest of each task
            first; `text` is the shown one, `is_corrected` if people have changed it
        references: all of the recording
        columns: one transcript of each task
    """

    asked: Asked
    transcripts: list[Row]
    references: list[Row]
    columns: list[Column]
    part: Part

    def alternatives(self, task: str) -> int:
        """How many texts a transcript of a task can be compared with."""
        others = [row for row in (*self.transcripts, *self.references) if row["task"] == task]
        return len(others) - 1


def read_recording(snapshots: Snapshots, recording_id: str, asked: Asked) -> Reading:
    """Read what a page shows of a recording."""
    transcripts = snapshots.rows(
        """FROM transcripts_of_record WHERE recording_id = ?
           ORDER BY task, sequence DESC NULLS LAST, created_at DESC, transcript_id""",
        [recording_id],
    )
    for row in transcripts:
        row["is_corrected"] = row["text"] != row["model_text"]
        if not asked.corrected:
            row["text"] = row["model_text"]
    references = snapshots.rows(
        """SELECT task, dataset, language, text, split FROM reference_texts
           WHERE recording_id = ? ORDER BY ALL""",
        [recording_id],
    )
    shown = _shown(transcripts, asked.transcript)
    part = _part(snapshots, shown, asked.from_s)
    columns = [
        _column(snapshots, row, _against(row, transcripts, references, asked), part, asked)
        for row in shown
    ]
    return Reading(asked, transcripts, references, columns, part)


def _shown(transcripts: list[Row], chosen: str) -> list[Row]:
    """One transcript of each task: the newest, or the chosen one."""
    shown: dict[str, Row] = {}
    for row in transcripts:
        if row["task"] not in shown or row["transcript_id"] == chosen:
            shown[row["task"]] = row
    return list(shown.values())


def _against(
    transcript: Row, transcripts: list[Row], references: list[Row], asked: Asked
) -> Row | None:
    """What a transcript is compared with, if there is such a text of its task."""
    for row in transcripts:
        is_other = row["transcript_id"] not in ("", transcript["transcript_id"])
        if is_other and (row["transcript_id"], row["task"]) == (asked.compare, transcript["task"]):
            return row
    for row in references:
        # A link from a figure has the name under which the split is scored.
        names = row["dataset"], split_name(row["dataset"], row["split"])
        if asked.reference in names and row["task"] == transcript["task"]:
            return row
    return None


def _part(snapshots: Snapshots, shown: list[Row], second: float) -> Part:
    longest = max(shown, key=lambda row: row["segment_count"], default=None)
    if longest is None or longest["segment_count"] <= PART:
        return Part([0.0], 0)
    rows = snapshots.rows(
        f"""SELECT DISTINCT start_s FROM segments
            WHERE recording_id = ? AND transcript_id = ? AND "index" % {PART} = 0
              AND "index" > 0 AND start_s > 0 ORDER BY start_s""",
        [longest["recording_id"], longest["transcript_id"]],
    )
    starts = [0.0, *(row["start_s"] for row in rows)]
    return Part(starts, bisect_right(starts, second) - 1)


def _column(
    snapshots: Snapshots, transcript: Row, against: Row | None, part: Part, asked: Asked
) -> Column:
    table = "segments_of_record" if asked.corrected else "segments"
    place = [transcript["recording_id"], transcript["transcript_id"]]
    segments = snapshots.rows(
        f"""SELECT * EXCLUDE (tokens) FROM {table}
           WHERE recording_id = ? AND transcript_id = ? AND start_s >= ?
             AND start_s < coalesce(?, 'infinity'::DOUBLE) ORDER BY "index" """,
        [*place, part.from_s, part.until_s],
    )
    comparison = None
    places: dict[int, int] = {}
    if against is not None:
        # Words of a segment may differ from its text in spaces; pages show the words.
        texts = snapshots.rows(
            f"""SELECT "index", coalesce(array_to_string([one.word FOR one IN words], ''), text)
                 AS text
               FROM {table} WHERE recording_id = ? AND transcript_id = ? ORDER BY "index" """,
            place,
        )
        comparison = compare([row["text"] for row in texts], against["text"])
        places = {row["index"]: at for at, row in enumerate(texts)}
    for row in segments:
        row["doubt"] = step_of(row)
        row["suspicious"] = described(row)
        text = "".join(word["word"] for word in row["words"] or []) or row["text"]
        pieces = (
            comparison.pieces(places[row["index"]])
            if comparison is not None
            else [Piece(Kind.SAME, 0, len(text))]
        )
        row["stretches"] = [
            Stretch(one.kind, _words(row, text, one.start, one.end), one.other) for one in pieces
        ]
    return Column(transcript, segments, comparison, against)


def _words(row: Row, text: str, start: int, end: int) -> list[Word]:
    """The timed words in `start` to `end` of a segment's text, cut at both."""
    if not row["words"]:
        return [Word(text[start:end], None, None)] if end > start else []
    found = []
    at = 0
    for word in row["words"]:
        first, last = max(start, at), min(end, at + len(word["word"]))
        at += len(word["word"])
        if last > first:
            found.append(Word(text[first:last], word["start"], word["end"]))
    return found
