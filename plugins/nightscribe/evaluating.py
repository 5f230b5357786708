"""Evaluate the transcripts of a lake from Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nightscribe.errors import ConfigurationError
from nightscribe.lake.tables import Lake
from nightscribe.stages.run_ids import new_run_id

if TYPE_CHECKING:
    from evaluation.lake import Evaluated

__all__ = ["evaluate"]


def evaluate(
    lake: Lake,
    *,
    gate: str | os.PathLike[str] | None = None,
    against: str | None = None,
    against_options: str | None = None,
    model: str | None = None,
    options_key: str | None = None,
) -> Evaluated | None:
    """Score every transcript of a lake that has a reference; stores scores and reports there.

    Args:
        gate: path of the rules by which the newest transcripts are judged; default: the default
            rules. The verdicts are in `findings`
        against: compare the newest transcripts of other models with those of this one, not with
            the baselines, and write nothing; a name, a path, or the first digits of a model_id
        against_options: like `against`, for transcripts with these options: an options_key, or
            its first digits
        model: compare and judge the newest transcripts of this model, not the newest of all, and
            write nothing; named like `against`
        options_key: like `model`, for transcripts with these options

    Returns:
        `Evaluated`: `scores` (an Arrow table with WER, CER, BLEU and chrF++ per language and their
        95 % intervals), `table` (the same as text), `reports`, `findings` and `against`; None if
        no transcript has a reference

    Raises:
        ConfigurationError: the rules cannot be used, or there is nothing to compare.
        LakeError: the lake cannot be read or written.
    """
    from evaluation.errors import InputError
    from evaluation.gate.rules_file import read_gate
    from evaluation.lake import evaluate_lake
    from evaluation.pairs.choices import NothingToCompare
    from evaluation.pairs.systems import chosen_system

    other = chosen_system(against, against_options)
    candidate = chosen_system(model, options_key)
    try:
        rules = None if gate is None else read_gate(Path(gate))
        return evaluate_lake(lake, new_run_id(), rules, other, candidate)
    except InputError as error:
        raise ConfigurationError(f"gate {error}") from error
    except NothingToCompare as error:
        raise ConfigurationError(f"nothing to compare: {error}") from error
