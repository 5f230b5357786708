"""FLEURS: 102 languages, in which sentences with the same id are translations of each other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.manifests.layouts.folders import (
    ChosenLanguage,
    first_existing,
    language_folders,
)
from nightscribe.manifests.layouts.lists import read_tsv_rows
from nightscribe.manifests.layouts.utterance import Utterance, line_of, make_utterance

log = logging.getLogger(__name__)

_COLUMNS = ("id", "file_name", "raw_transcription", "transcription", "letters", "length", "")
_ENGLISH = "en_us"


def read_fleurs(root: Path, languages: Sequence[ChosenLanguage], split: str) -> Iterator[Utterance]:
    """Utterances of the split; translations are the English sentences with the same id.

    Whisper's published error rates are on the column `transcription` (openai/whisper, discussion
    1762), which is normalised. A translation is scored with its case and punctuation.
    """
    english = _english_sentences(root, split)
    for folder, language in language_folders(root, languages, f"{split}.tsv"):
        path = folder / f"{split}.tsv"
        archive = first_existing(
            [folder / "audio" / f"{split}.tar.gz", folder / "audio" / split],
            f"{folder}: has the list {path.name} and no audio",
        )
        # The tar holds a folder of the split's name.
        prefix = f"{split}/" if archive.is_file() else ""
        for line, row in _read_rows(path):
            yield make_utterance(
                archive,
                prefix + row["file_name"],
                language,
                text=row["transcription"],
                translation=None if language.code == "en" else english.get(row["id"]),
                split=split,
                listed_in=line_of(path, line),
            )


def _english_sentences(root: Path, split: str) -> dict[str, str]:
    path = root / _ENGLISH / f"{split}.tsv"
    if not path.is_file():
        return {}
    sentences: dict[str, str] = {}
    different: set[str] = set()
    for _, row in _read_rows(path):
        sentence = sentences.setdefault(row["id"], row["raw_transcription"])
        if sentence.split() != row["raw_transcription"].split():
            different.add(row["id"])
    if different:
        shown = ", ".join(sorted(different)[:5])
        log.warning(
            "%s: %d ids have different English sentences, which are no translations: %s%s",
            *(path, len(different), shown, ", …" if len(different) > 5 else ""),
        )
    return {name: text for name, text in sentences.items() if name not in different}


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in read_tsv_rows(path):
        if len(cells) != len(_COLUMNS):
            raise ConfigurationError(
                f"{line_of(path, line)}: has {len(cells)} columns, FLEURS has "
                f"{len(_COLUMNS)}, separated by tabs"
            )
        yield line, dict(zip(_COLUMNS, cells, strict=True))
