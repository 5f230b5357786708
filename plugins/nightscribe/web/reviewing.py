"""One transcript with the corrections of people, and the decisions that they take about it.

What the lake has and what still waits in the folder of decisions count alike.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from nightscribe.decisions import Decision, Decisions
from nightscribe.web.site import Site

__all__ = ["Chosen", "Record", "Verdict", "decision", "is_repeated", "record_of", "undoing"]

Row: TypeAlias = dict[str, Any]
Verdict: TypeAlias = Literal["accepted", "skipped"]
Chosen: TypeAlias = Literal["sample", "doubtful", "selected"]

_REVIEW = ("transcript_id", "recording_id", "task", "verdict", "queue", "language", "text")


@dataclass(frozen=True)
class Record:
    """A transcript as people have left it.

    Attributes:
        transcript: row of `transcripts`
        segments: rows of `segments` with the text of record; `model_text` is the model's (None for
            a segment that the model did not write), `version` counts the corrections
        reviews: rows of `reviews` of this recording and task, oldest first
        last: the newest decision about this transcript
        transcripts: ids of all transcripts of this recording and task
        decisions: ids of the decisions about these: who has seen fewer has an old page
    """

    transcript: Row
    segments: list[Row]
    reviews: list[Row]
    last: Decision | None
    transcripts: list[str]
    decisions: frozenset[str]

    @property
    def review(self) -> Row | None:
        """The newest review, if it is about this transcript and was not undone."""
        newest = self.reviews[-1] if self.reviews else None
        if newest is None or newest["transcript_id"] != self.transcript["transcript_id"]:
            return None
        return None if newest["verdict"] == "reopened" else newest

    @property
    def verdict(self) -> str:
        """`open`, `accepted` or `skipped`."""
        return "open" if self.review is None else str(self.review["verdict"])

    @property
    def corrected(self) -> int:
        """How many segments have another text than the model's."""
        return sum(row["text"] != (row["model_text"] or "") for row in self.segments)


def record_of(site: Site, transcript_id: str) -> Record | None:
    """The record of a transcript; None if the lake has no such transcript."""
    found = {
        row["transcript_id"]: row
        for row in site.snapshots.rows(
            """FROM transcripts SEMI JOIN (
                 SELECT recording_id, task FROM transcripts WHERE transcript_id = ?
               ) USING (recording_id, task)""",
            [transcript_id],
        )
    }
    if not found:
        return None
    transcript = found[transcript_id]
    by_id = {one.decision_id: one for one in _of_lake(site, transcript)}
    inbox = Decisions.of(site.settings)
    # A file is whole; the lake has the corrections of a decision before its review.
    by_id |= {one.decision_id: one for name in found for one in inbox.about(name)}
    decisions = sorted(by_id.values(), key=lambda one: (_moment(one), one.decision_id))
    reviews = [row for one in decisions for row in one.reviews]
    own = [one for one in decisions if one.transcript_id == transcript_id]
    return Record(
        transcript,
        _segments(site, transcript, [row for one in own for row in one.corrections]),
        sorted(reviews, key=_order),
        own[-1] if own else None,
        list(found),
        frozenset(by_id),
    )


def decision(
    record: Record,
    person: str,
    texts: Mapping[int, str],
    verdict: Verdict | None,
    queue: Chosen,
    language: str,
) -> Decision | None:
    """What it means that a person leaves a transcript with these texts; None if nothing.

    Args:
        texts: index of a segment → its text; other segments stay as they are
        verdict: None to keep the one there is
        queue: how the transcript was chosen
        language: spoken language, as a code
    """
    corrections = []
    now: list[str] = []
    for row in record.segments:
        text = row["text"]
        if row["index"] in texts:
            text = _text_of(record, row, texts[row["index"]])
        if text != row["text"]:
            corrections.append(_correction(record, row, text))
        now.append(text)
    reviews = []
    kept = record.review if record.verdict == "accepted" and verdict is None else None
    if kept is not None and corrections:
        # The text that was accepted is now this one.
        reviews.append(_review(record, "accepted", kept["queue"], kept["language"], now))
    elif verdict is not None:
        reviews.append(_review(record, verdict, queue, language, now))
    return _made(record, person, corrections, reviews)


def is_repeated(
    record: Record, person: str, texts: Mapping[int, str], verdict: Verdict | None
) -> bool:
    """Whether a person's newest decision has left the transcript like this: a click was doubled."""
    if record.last is None or verdict not in (None, record.verdict):
        return False
    same = all(
        _text_of(record, row, texts[row["index"]]) == row["text"]
        for row in record.segments
        if row["index"] in texts
    )
    return same and (record.last.corrections or record.last.reviews)[0]["person"] == person


def undoing(record: Record, person: str) -> Decision | None:
    """The decision that takes back the last one; None if there is none."""
    if record.last is None:
        return None
    texts = {row["index"]: row["replaced"] for row in record.last.corrections}
    corrections = [
        _correction(record, row, texts[row["index"]])
        for row in record.segments
        if texts.get(row["index"], row["text"]) != row["text"]
    ]
    reviews = []
    if record.last.reviews and record.reviews[-1]["decision_id"] == record.last.decision_id:
        *before, undone = record.reviews
        # As it was: it may be the review of another transcript of the recording.
        restored = before[-1] if before else {**undone, "verdict": "reopened", "text": None}
        version = undone["version"] + 1
        reviews.append({name: restored[name] for name in _REVIEW} | {"version": version})
    return _made(record, person, corrections, reviews)


def _of_lake(site: Site, transcript: Row) -> list[Decision]:
    """The decisions about a recording and task that the lake has."""
    key = [transcript["recording_id"], transcript["task"]]
    rows = {
        table: site.snapshots.rows(
            f"FROM {table} WHERE recording_id = ? AND task = ? ORDER BY created_at, version", key
        )
        for table in ("corrections", "reviews")
    }
    found: dict[str, Decision] = {}
    for table, of_table in rows.items():
        for row in of_table:
            one = found.setdefault(
                row["decision_id"], Decision(row["decision_id"], row["transcript_id"])
            )
            getattr(one, table).append(row)
    return list(found.values())


def _moment(one: Decision) -> datetime:
    moment: datetime = (one.corrections or one.reviews)[0]["created_at"]
    return moment


def _order(row: Row) -> tuple[Any, ...]:
    return row["version"], row["created_at"]


def _segments(site: Site, transcript: Row, corrections: list[Row]) -> list[Row]:
    segments = site.snapshots.rows(
        """SELECT "index", start_s, end_s, text, avg_logprob, compression_ratio, no_speech_prob,
             temperature FROM segments WHERE transcript_id = ? ORDER BY "index" """,
        [transcript["transcript_id"]],
    ) or [
        # Whisper heard nothing: there is one place to write what was said.
        {
            "index": 0,
            "start_s": 0.0,
            "end_s": transcript["duration_s"],
            "text": None,
            "avg_logprob": None,
            "compression_ratio": None,
            "no_speech_prob": None,
            "temperature": None,
        }
    ]
    newest: dict[int, Row] = {}
    for row in sorted(corrections, key=_order):
        newest[row["index"]] = row
    for segment in segments:
        correction = newest.get(segment["index"])
        segment["model_text"] = segment["text"]
        segment["text"] = correction["text"] if correction else segment["text"] or ""
        segment["version"] = correction["version"] if correction else 0
        segment["corrected_by"] = correction["person"] if correction else None
    return segments


def _text_of(record: Record, segment: Row, text: str) -> str:
    """A person's text of a segment in one line, with the space before it that belongs there.

    A text that differs in spaces only is no other text.
    """
    line = " ".join(text.split())
    if line == " ".join(segment["text"].split()):
        return str(segment["text"])
    model_text = segment["model_text"] or ""
    if not model_text.strip():  # as other segments have it: Chinese has no spaces
        model_text = next((row["model_text"] for row in record.segments if row["model_text"]), "")
    space = model_text[: len(model_text) - len(model_text.lstrip())]
    return space + line if line else ""


def _correction(record: Record, segment: Row, text: str) -> Row:
    return {
        **{name: record.transcript[name] for name in ("transcript_id", "recording_id", "task")},
        **{name: segment[name] for name in ("index", "start_s", "end_s")},
        "is_added": segment["model_text"] is None,
        "version": segment["version"] + 1,
        "replaced": segment["text"],
        "text": text,
    }


def _review(record: Record, verdict: str, queue: str, language: str, texts: list[str]) -> Row:
    return {
        **{name: record.transcript[name] for name in ("transcript_id", "recording_id", "task")},
        "version": (record.reviews[-1]["version"] if record.reviews else 0) + 1,
        "verdict": verdict,
        "queue": queue,
        "language": language,
        "text": "".join(texts).strip() if verdict == "accepted" else None,
    }


def _made(
    record: Record, person: str, corrections: list[Row], reviews: list[Row]
) -> Decision | None:
    if not corrections and not reviews:
        return None
    decision_id = uuid.uuid4().hex
    # Decisions are ordered by time, and the clocks of two web servers may differ.
    before = [row["created_at"] for row in record.reviews[-1:]]
    before += [_moment(record.last)] if record.last else []
    moment = max([datetime.now(UTC), *(time + timedelta(microseconds=1) for time in before)])
    stamp = {"decision_id": decision_id, "person": person, "created_at": moment}
    return Decision(
        decision_id,
        record.transcript["transcript_id"],
        [{**stamp, **row} for row in corrections],
        [{**stamp, **row} for row in reviews],
    )
