"""CoVoST 2: translations of Common Voice, in lists of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.manifests.layouts.common_voice import clip_name
from nightscribe.manifests.layouts.folders import ChosenLanguage, language_folders
from nightscribe.manifests.layouts.lists import read_tsv
from nightscribe.manifests.layouts.utterance import Utterance, line_of, make_utterance


def read_covost2(
    root: Path, languages: Sequence[ChosenLanguage], split: str
) -> Iterator[Utterance]:
    """Utterances of the split with their English translations.

    Locales without a list are skipped: Common Voice has languages that CoVoST 2 does not translate,
    and more regions of some languages.
    """
    for folder, language in language_folders(root, languages, "clips"):
        name = f"covost_v2.{folder.name}_en.{split}.tsv"
        paths = [parent / name for parent in (folder, root) if (parent / name).is_file()]
        if not paths:
            continue
        for line, row in read_tsv(paths[0], ("path", "translation")):
            yield make_utterance(
                folder / "clips",
                clip_name(row["path"]),
                language,
                text=row.get("sentence"),
                translation=row["translation"],
                split=split,
                speaker=row.get("client_id"),
                listed_in=line_of(paths[0], line),
            )
