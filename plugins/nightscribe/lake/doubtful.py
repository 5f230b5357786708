"""The query of the view `doubtful`: latest transcripts that Whisper itself doubts.

A segment is doubtful if one of its figures is beyond Whisper's own threshold (`lake/doubt.py`). A
high probability of silence counts only where there is text: it says that the text may be made up.
"""

from __future__ import annotations

from nightscribe.lake.doubt import FIGURES, LANGUAGE_PROBABILITY, Figure

__all__ = ["DOUBTFUL", "REASONS"]

REASONS = (*(figure.column for figure in FIGURES), "language_probability")
"""What the column `reasons` may have: the columns whose values are doubtful."""


def _is_doubtful(figure: Figure) -> str:
    """The condition on a row of `segments`."""
    condition = f"{figure.column} {'<' if figure.is_low else '>'} {figure.thresholds[-1]}"
    if figure.column == "no_speech_prob":
        condition += " AND trim(text) <> ''"
    return f"({condition})"


_COUNT = " + ".join(f"{_is_doubtful(figure)}::INTEGER" for figure in FIGURES)
_WORST = ", ".join(
    f"{'min' if figure.is_low else 'max'}({figure.column}) FILTER ({_is_doubtful(figure)}) "
    f"AS {figure.column}"
    for figure in FIGURES
)
_NAMES = ", ".join(
    f"CASE WHEN d.{figure.column} IS NOT NULL THEN '{figure.column}' END" for figure in FIGURES
)
_VALUES = ", ".join(f"d.{figure.column}" for figure in FIGURES)

DOUBTFUL = f"""
    SELECT t.recording_id, t.task, t.transcript_id, t.model, t.language, t.duration_s,
      string_split(concat_ws(',', {_NAMES},
        CASE WHEN t.language_probability < {LANGUAGE_PROBABILITY}
          THEN 'language_probability' END), ',') AS reasons,
      t.segment_count, coalesce(d.doubtful_segments, 0) AS doubtful_segments, d.worst_s,
      {_VALUES}, t.language_probability, archive, member
    FROM latest_transcripts AS t
    LEFT JOIN (
      SELECT recording_id, transcript_id, count(*) AS doubtful_segments, {_WORST},
        min_by(start_s, (-doubts, avg_logprob, start_s)) AS worst_s
      FROM (SELECT *, {_COUNT} AS doubts FROM files.segments
            WHERE {" OR ".join(map(_is_doubtful, FIGURES))})
      GROUP BY recording_id, transcript_id) AS d USING (recording_id, transcript_id)
    LEFT JOIN places USING (recording_id)
    WHERE d.doubtful_segments > 0 OR t.language_probability < {LANGUAGE_PROBABILITY}"""
"""One row per transcript. `worst_s` is the start of the segment with the most reasons; of these,
of the least probable. A figure is the worst one; null if no segment is doubtful by it."""
