"""Every metric of a table of scores: its name for people, its scale and its direction.

To add a metric, name it here and compute it in `rates`, `shares` or `translation`, or, if it is an
error rate after another normalizer, in `beside`, or, of recordings without speech, in
`hallucinations`. `scoring` makes its row, `signatures` states how
it was measured, and the comment of the column `metric` in `nightscribe.lake.schema` lists it. To
show it: `report.headline_table`, `report.markdown` and
`report.html`. To compare two systems by it: `comparison`. To judge it: `gate.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.measure.normalize import is_unspaced


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        label: as tables show it, with its unit
        points: the factor that brings a value to points, 0 to 100; rates are stored as fractions,
            BLEU and chrF++ as points, words per hour as they are
        lower_is_better: whether a smaller value is a better one
    """

    label: str
    points: int = 100
    lower_is_better: bool = False


METRICS = {
    "wer": Metric("WER %", lower_is_better=True),
    "cer": Metric("CER %", lower_is_better=True),
    "mer": Metric("MER %", lower_is_better=True),
    "wil": Metric("WIL %", lower_is_better=True),
    "insertion_bursts": Metric("Invented %", lower_is_better=True),
    "deletion_bursts": Metric("Missing %", lower_is_better=True),
    "wer_raw": Metric("WER raw %", lower_is_better=True),
    "cer_nfc": Metric("CER NFC %", lower_is_better=True),
    "wer_leaderboard": Metric("WER Leaderboard %", lower_is_better=True),
    "cer_whisper": Metric("CER Whisper %", lower_is_better=True),
    "text_over_silence": Metric("Over silence %", lower_is_better=True),
    "hallucination_rate": Metric("Hallucinated %", lower_is_better=True),
    "hallucinated_words_per_hour": Metric("Hallucinated words/h", points=1, lower_is_better=True),
    "lid_accuracy": Metric("LID %"),
    "bleu": Metric("BLEU", points=1),
    "chrf": Metric("chrF++", points=1),
}
"""Name in the column `metric` → metric."""

ERROR_RATES = ("wer", "cer")


def headline_error_rate(language: str) -> str:
    """The error rate to quote: `cer` for languages written without spaces, else `wer`."""
    return "cer" if is_unspaced(language) else "wer"
