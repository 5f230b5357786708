"""What an evaluation leaves out, in words: references without a transcript of a system."""

from __future__ import annotations

from evaluation.languages import language_label
from evaluation.measure.scoring import Evaluation
from evaluation.pairs.table import group_of, tag_of

__all__ = ["left_out"]


def left_out(evaluation: Evaluation) -> list[str]:
    """A sentence for each group and system of which references have no transcript."""
    found = {
        (*group_of(row), row["model_id"], row["options_key"]): row
        for row in evaluation.scores.to_pylist()
        if row["metric"] in ("wer", "bleu", "hallucination_rate")
        and row["utterances"] < row["of_references"]
    }
    return [
        *(
            f"{language_label(tag_of(row))} of {row['dataset']}, {row['task']}: "
            f"{row['of_references'] - row['utterances']} of {row['of_references']} references have "
            f"no transcript of {row['model']}"
            for row in found.values()
        ),
        *map(str, evaluation.not_scored),
    ]
