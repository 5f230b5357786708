"""Multilingual LibriSpeech: a list for each language and split, audio by speaker and book."""

from __future__ import annotations

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

_SUFFIXES = (".flac", ".opus", ".wav", ".mp3")


def read_mls(root: Path, languages: Sequence[ChosenLanguage], split: str) -> Iterator[Utterance]:
    """Utterances of the split; without translations."""
    required = f"{split}/transcripts.txt"
    for folder, language in language_folders(root, languages, required, prefix="mls_"):
        path = folder / required
        archive = first_existing([folder / split / "audio"], f"{folder / split}: there is no audio")
        for line, cells in read_tsv_rows(path):
            parts = cells[0].split("_")
            if len(cells) != 2 or len(parts) != 3:
                raise ConfigurationError(
                    f"{line_of(path, line)}: expected <speaker>_<book>_<number>, a tab, and words"
                )
            identifier, text = cells
            yield make_utterance(
                archive,
                _with_suffix(archive, f"{parts[0]}/{parts[1]}/{identifier}"),
                language,
                text=text,
                split=split,
                speaker=parts[0],
                listed_in=line_of(path, line),
            )


def _with_suffix(archive: Path, stem: str) -> str:
    """The audio file of this stem: FLAC or Opus, by the release; FLAC if there is none."""
    names = [f"{stem}{suffix}" for suffix in _SUFFIXES]
    return next((name for name in names if (archive / name).is_file()), names[0])
