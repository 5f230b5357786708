"""Common Voice: a list for each locale and split, all clips of the locale in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.manifests.layouts.folders import (
    ChosenLanguage,
    first_existing,
    language_folders,
)
from nightscribe.manifests.layouts.lists import read_tsv
from nightscribe.manifests.layouts.utterance import Utterance, line_of, make_utterance


def read_common_voice(
    root: Path, languages: Sequence[ChosenLanguage], split: str
) -> Iterator[Utterance]:
    """Utterances of the split, with the ids of their speakers; without translations."""
    for folder, language in language_folders(root, languages, f"{split}.tsv"):
        path = folder / f"{split}.tsv"
        fault = f"{folder}: has the list {path.name} and no audio"
        clips = first_existing([folder / "clips"], fault)
        for line, row in read_tsv(path, ("path", "sentence")):
            yield make_utterance(
                clips,
                clip_name(row["path"]),
                language,
                text=row["sentence"],
                split=split,
                speaker=row.get("client_id"),
                listed_in=line_of(path, line),
            )


def clip_name(name: str) -> str:
    """The file name of a clip; lists of old releases leave out its suffix."""
    return name if re.search(r"\.\w{2,4}$", name) else f"{name}.mp3"
