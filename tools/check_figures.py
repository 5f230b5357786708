"""Checks the newest figures of a lake against jiwer and sacrebleu themselves.

Reads references and transcripts from the lake, normalises them as each figure's signature says, and
computes the figure again. It uses Whisper's normalizers, OpenCC, jiwer and sacrebleu, and nothing
of `evaluation`, except for the normalizer of the Open ASR Leaderboard, of which there is no other.

    python tools/check_figures.py LAKE
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jiwer
import opencc
import regex
import sacrebleu
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from evaluation.measure.leaderboard import LeaderboardNormalizer
from nightscribe.lake.opening import open_to_read
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake

METRICS = ("wer", "cer", "mer", "wil", "wer_raw", "cer_nfc", "wer_leaderboard", "cer_whisper")
METRICS += ("bleu", "chrf")

SCORES = f"FROM latest_scores WHERE metric IN {METRICS} ORDER BY ALL"

# A language whose references name one region or none is scored as a whole. Splits are scored apart:
# `test` by the name of the data set.
PAIRS = """
SELECT if(split IS NULL OR split = 'test' OR ends_with(r.dataset, '-' || split), r.dataset,
    r.dataset || '-' || split) AS dataset, r.language, task, t.model_id, t.options_key,
  CASE WHEN NOT (count(DISTINCT coalesce(variety, '')) OVER same = 2
    AND bool_or(variety IS NULL) OVER same) THEN variety END AS variety,
  r.text AS reference, t.text AS hypothesis
FROM reference_texts AS r JOIN transcripts AS t USING (recording_id, task)
SEMI JOIN sources USING (recording_id)
WINDOW same AS (PARTITION BY r.dataset, r.split, r.language)"""

GROUP = ("dataset", "language", "variety", "task", "model_id", "options_key")

LATIN = "a b v g d đ e ž z i j k l m n o p r s t ć u f h c č š lj nj dž"
CYRILLIC = "а б в г д ђ е ж з и ј к л м н о п р с т ћ у ф х ц ч ш љ њ џ"
SERBIAN = dict(zip(LATIN.split(), CYRILLIC.split(), strict=True))

ERROR_RATES: dict[str, Callable[[Any, Any], float]] = {
    "wer": jiwer.wer,
    "mer": jiwer.mer,
    "wil": jiwer.wil,
    "cer": jiwer.cer,
}


def check(lake: Lake) -> tuple[int, list[str]]:
    """How many figures were computed again, and a line for each that differs."""
    with connect(lake) as connection:
        scores = connection.sql(SCORES).to_arrow_table().to_pylist()
        found: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
        for pair in connection.sql(PAIRS).to_arrow_table().to_pylist():
            key = tuple(pair[name] for name in GROUP)
            found[key].append((pair["reference"], pair["hypothesis"]))
    wrong = []
    for score in scores:
        pairs = found[tuple(score[name] for name in GROUP)]
        expected = figure(score, [one for one, _ in pairs], [other for _, other in pairs])
        if len(pairs) != score["utterances"] or abs(expected - score["value"]) > 1e-9:
            wrong.append(
                f"{score['dataset']}, {score['variety'] or score['language']}, {score['metric']}: "
                f"{score['value']} of {score['utterances']} recordings in the lake, {expected} of "
                f"{len(pairs)} by the libraries"
            )
    return len(scores), wrong


def figure(score: dict[str, Any], references: list[str], hypotheses: list[str]) -> float:
    """The figure, as its signature says."""
    if score["metric"] == "bleu":
        return float(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    if score["metric"] == "chrf":
        return float(sacrebleu.corpus_chrf(hypotheses, [references], word_order=2).score)
    facts = dict(part.partition(":")[::2] for part in score["signature"].split("|"))
    prepare = normalizer(facts["normalizer"], score["language"])
    texts = [[prepare(text) for text in side] for side in (references, hypotheses)]
    name = score["metric"].partition("_")[0]
    if facts["unit"] == "letter":  # a letter is a word here, and a space is nothing
        texts = [[" ".join(graphemes(text)) for text in side] for side in texts]
        name = "wer" if name == "cer" else name
    return ERROR_RATES[name](*texts)


@cache
def normalizer(name: str, language: str) -> Callable[[str], str]:
    """The normalizer of this name."""
    if name == "none":
        return str
    if name == "nfc-lower":
        return lambda text: marks_kept(text, language)
    if name.startswith("open-asr-leaderboard"):
        return LeaderboardNormalizer()
    if name == "whisper-english":
        return EnglishTextNormalizer()
    basic = BasicTextNormalizer()
    if name.endswith("-cyrillic"):
        return lambda text: cyrillic(basic(text))
    return (lambda text: basic(simplified(text))) if name.endswith("-simplified") else basic


def marks_kept(text: str, language: str) -> str:
    """NFC in lower case without brackets, punctuation and symbols."""
    text = unicodedata.normalize("NFC", simplified(text) if language in ("zh", "yue") else text)
    if language in ("tr", "az"):
        text = text.translate({ord("İ"): "i", ord("I"): "ı"})
    text = regex.sub(r"<[^>]*>|\[[^\]]*\]|\([^)]*\)", "", text)
    text = regex.sub(r"[\p{P}\p{S}\s]+", " ", unicodedata.normalize("NFC", text.lower())).strip()
    if language == "sr":
        return cyrillic(text)
    unspaced = ("zh", "yue", "ja", "th", "lo", "my", "ko")
    return text.replace(" ", "") if language in unspaced else text


def cyrillic(text: str) -> str:
    """Lower-case Serbian in Cyrillic."""
    letters = "|".join(sorted(SERBIAN, key=len, reverse=True))
    return re.sub(letters, lambda found: SERBIAN[found[0]], text)


def simplified(text: str) -> str:
    """Chinese in simplified characters."""
    converted: str = opencc.OpenCC("t2s").convert(text)
    return converted


def graphemes(text: str) -> Sequence[str]:
    """What a reader takes for letters, without spaces."""
    found: list[str] = regex.findall(r"\X", re.sub(r"\s", "", text))
    return found


def main() -> int:
    """Check a lake; returns 1 if a figure differs or there is none."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lake", help="its folder or URI")
    count, wrong = check(open_to_read(parser.parse_args().lake))
    print("\n".join(wrong) or f"{count} figures are those of jiwer and sacrebleu")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
