"""A data set of your own: a file with the columns of a manifest, whatever it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.errors import ConfigurationError, Rejected
from nightscribe.manifests.layouts.folders import ChosenLanguage
from nightscribe.manifests.layouts.utterance import Utterance, line_of
from nightscribe.manifests.manifest import parse_manifest


def read_manifest_file(
    path: Path, languages: Sequence[ChosenLanguage], split: str
) -> Iterator[Utterance]:
    """Utterances of a manifest; paths in it start from its own folder.

    A file with a problem in any line is refused: as a data set, it would be scored without it.
    `split` may be "all".
    """
    if path.is_dir():
        raise ConfigurationError(f"{path}: is a folder; give --path the manifest's file")
    try:
        rows, problems = parse_manifest(path.name, path.read_bytes())
    except (OSError, Rejected) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    if problems:
        line, detail = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigurationError(f"{line_of(path, line)}: {detail}{more}")
    for row in rows:
        is_chosen = not languages or any(
            language.includes(row.language, row.variety) for language in languages
        )
        if is_chosen and split in ("all", row.split):
            yield Utterance(
                archive=path.parent,
                member=row.path,
                language=row.language,
                variety=row.variety,
                text=row.text,
                translation=row.translation,
                split=row.split,
                dataset=row.dataset,
                speaker=row.speaker,
                session=row.session,
                listed_in=line_of(path, row.line),
                metadata=json.dumps(row.metadata, ensure_ascii=False) if row.metadata else None,
            )
