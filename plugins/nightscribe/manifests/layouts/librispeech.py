"""LibriSpeech: English, a list of transcripts in each chapter's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.languages import Language
from nightscribe.manifests.layouts.folders import ChosenLanguage, first_existing
from nightscribe.manifests.layouts.lists import text_of
from nightscribe.manifests.layouts.utterance import Utterance, line_of, make_utterance


def read_librispeech(
    root: Path, languages: Sequence[ChosenLanguage], split: str
) -> Iterator[Utterance]:
    """Utterances of the split, such as `test-clean`, which is part of the data set's name."""
    if other := [language.name for language in languages if language.code != "en"]:
        raise ConfigurationError(f"LibriSpeech is English: there is no {', '.join(other)}")
    fault = f"{root}: there is no {split!r}"
    folder = first_existing([root / split, root / "LibriSpeech" / split], fault)
    # Not `glob`, which leaves out folders that it cannot list.
    chapters = [one for speaker in _folders_in(folder) for one in _folders_in(speaker)]
    paths = sorted(
        path for one in chapters for path in one.iterdir() if path.name.endswith(".trans.txt")
    )
    if not paths:
        raise ConfigurationError(f"{folder}: no <speaker>/<chapter>/*.trans.txt below it")
    for path in paths:
        chapter = path.parent.relative_to(folder)
        for line, identifier, text in _read_transcripts(path):
            yield make_utterance(
                folder,
                (chapter / f"{identifier}.flac").as_posix(),
                Language("en"),
                text=text,
                split=split,
                speaker=chapter.parts[0],
                dataset=f"librispeech-{split}",
                listed_in=line_of(path, line),
            )


def _read_transcripts(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, id, words) of each line of `<id> <words>`."""
    for line, content in enumerate(text_of(path).split("\n"), start=1):
        if not content.strip():
            continue
        identifier, _, text = content.partition(" ")
        if not text.strip():
            raise ConfigurationError(f"{line_of(path, line)}: expected an id and words")
        yield line, identifier, text


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]
