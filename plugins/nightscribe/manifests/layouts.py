"""Evaluation data sets in the layouts in which they are distributed: who says what in which file.

| layout | below the path that is given |
| --- | --- |
| `fleurs` | `<locale>/<split>.tsv` (7 columns, no header), audio in `<locale>/audio/<split>.tar.gz` or `<locale>/audio/<split>/` |
| `common-voice` | `<locale>/<split>.tsv` (columns `path`, `sentence`), audio in `<locale>/clips/` |
| `covost2` | the same, and `covost_v2.<locale>_en.<split>.tsv` (`path`, `translation`) beside or in the locale's folder |
| `librispeech` | `<split>/<speaker>/<chapter>/*.trans.txt`, FLAC beside them |
| `mls` | `mls_<language>/<split>/transcripts.txt`, audio in `audio/<speaker>/<book>/` |
| `manifest` | itself a CSV, TSV or JSONL file, see `nightscribe.manifests.manifest` |

Nothing is opened but the lists. What is wrong with a tree is a `ConfigurationError` that names the
file and says what was expected.
"""  # noqa: E501  a table's row is a line

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightscribe.errors import ConfigurationError, Rejected
from nightscribe.languages import language_code
from nightscribe.manifests.manifest import parse_manifest
from nightscribe.uris import encode_path

_FLEURS_COLUMNS = ("id", "file_name", "raw_transcription", "transcription", "letters", "length", "")
_FLEURS_ENGLISH = "en_us"
_AUDIO = (".flac", ".opus", ".wav", ".mp3")
_CELL_LIMIT = 16 * 1024 * 1024  # characters


@dataclass(frozen=True)
class Utterance:
    """One line of a data set's list.

    Attributes:
        archive: folder or tar that holds the audio
        member: path in it, written as `nightscribe.storage.encode_path` does
        language: one of Whisper's codes; None where the list does not say
        text, translation: the words, and their English, where the data set has them
        named_in: list and line, for messages
    """

    archive: Path
    member: str
    language: str | None
    text: str | None
    translation: str | None
    split: str | None
    dataset: str | None
    named_in: str
    metadata: str | None = None  # a JSON object


@dataclass(frozen=True)
class _Asked:
    """A language as somebody named it, and its code."""

    name: str
    code: str

    @staticmethod
    def of(language: str) -> _Asked:
        code = language_code(language)
        if code is None:
            raise ConfigurationError(f"language {language!r}: is none of Whisper's")
        return _Asked(language, code)


@dataclass(frozen=True)
class Layout:
    """How to read a data set.

    Attributes:
        dataset: its name in reports, unless another is given
        read: called with the tree, the languages (none: all) and the split
        split: which one is read if none is named
    """

    dataset: str
    read: Callable[[Path, Sequence[_Asked], str], Iterator[Utterance]]
    split: str = "test"


def read_layout(
    name: str, path: Path, languages: Sequence[str] = (), split: str | None = None
) -> list[Utterance]:
    """Read a data set's lists.

    Args:
        name: of `LAYOUTS`
        languages: codes, locales or English names; empty: all that Whisper knows

    Raises:
        ConfigurationError: the tree is not as the layout wants it, or holds nothing that was asked
            for
    """
    layout = LAYOUTS[name]
    if not path.exists():
        raise ConfigurationError(f"{path}: is not there: give --path the data set's folder")
    path = path.absolute()  # its name tells a language where it is the folder of one
    found = list(layout.read(path, [_Asked.of(one) for one in languages], split or layout.split))
    if not found:
        raise ConfigurationError(f"{path}: its lists name no recording")
    return [replace(one, dataset=one.dataset or layout.dataset) for one in found]


def _fleurs(root: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    # Whisper's figures are on the column `transcription` (openai/whisper, discussion 1762), which
    # is normalised; a translation is scored with its case and punctuation.
    english_list = root / _FLEURS_ENGLISH / f"{split}.tsv"
    english = {}
    if english_list.is_file():
        english = {row["id"]: row["raw_transcription"] for _, row in _fleurs_rows(english_list)}
    for folder, language in _locales(root, languages, f"{split}.tsv"):
        names = folder / f"{split}.tsv"
        archive = _first(
            [folder / "audio" / f"{split}.tar.gz", folder / "audio" / split],
            f"{folder}: has the list {names.name} and no audio",
        )
        # The tar holds a folder of the split's name.
        prefix = f"{split}/" if archive.is_file() else ""
        for line, row in _fleurs_rows(names):
            yield _utterance(
                archive,
                prefix + row["file_name"],
                language,
                row["transcription"],
                None if language == "en" else english.get(row["id"]),
                split,
                names,
                line,
            )


def _fleurs_rows(names: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in _lines(names):
        if len(cells) != len(_FLEURS_COLUMNS):
            raise ConfigurationError(
                f"{names}, line {line}: has {len(cells)} columns, FLEURS has "
                f"{len(_FLEURS_COLUMNS)}, separated by tabs"
            )
        yield line, dict(zip(_FLEURS_COLUMNS, cells, strict=True))


def _common_voice(root: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    for folder, language in _locales(root, languages, f"{split}.tsv"):
        names = folder / f"{split}.tsv"
        clips = _first([folder / "clips"], f"{folder}: has the list {names.name} and no audio")
        for line, row in _named_columns(names, ("path", "sentence")):
            member = _with_suffix(row["path"], ".mp3")
            yield _utterance(clips, member, language, row["sentence"], None, split, names, line)


def _covost2(root: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    for folder, language in _locales(root, languages, "clips"):
        # Common Voice has more languages than CoVoST, and of some more regions.
        name = f"covost_v2.{folder.name}_en.{split}.tsv"
        names = next((at / name for at in (folder, root) if (at / name).is_file()), None)
        if names is None:
            continue
        for line, row in _named_columns(names, ("path", "translation")):
            member = _with_suffix(row["path"], ".mp3")
            yield _utterance(
                folder / "clips",
                member,
                language,
                row.get("sentence"),
                row["translation"],
                split,
                names,
                line,
            )


def _librispeech(root: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    if other := [asked.name for asked in languages if asked.code != "en"]:
        raise ConfigurationError(f"LibriSpeech is English: there is no {', '.join(other)}")
    folder = _first([root / split, root / "LibriSpeech" / split], f"{root}: there is no {split!r}")
    lists = sorted(folder.glob("*/*/*.trans.txt"))
    if not lists:
        raise ConfigurationError(f"{folder}: no <speaker>/<chapter>/*.trans.txt below it")
    for names in lists:
        for line, text in enumerate(_text(names).split("\n"), start=1):
            identifier, _, said = text.partition(" ")
            if not text.strip():
                continue
            if not said.strip():
                raise ConfigurationError(f"{names}, line {line}: expected an id and words")
            member = names.parent.relative_to(folder) / f"{identifier}.flac"
            yield replace(
                _utterance(folder, member.as_posix(), "en", said, None, split, names, line),
                dataset=f"librispeech-{split}",
            )


def _mls(root: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    for folder, language in _locales(root, languages, f"{split}/transcripts.txt", prefix="mls_"):
        names = folder / split / "transcripts.txt"
        archive = _first([folder / split / "audio"], f"{folder / split}: there is no audio")
        for line, cells in _lines(names):
            parts = cells[0].split("_")
            if len(cells) != 2 or len(parts) != 3:
                raise ConfigurationError(
                    f"{names}, line {line}: expected <speaker>_<book>_<number>, a tab, and words"
                )
            stem = "/".join([*parts[:2], cells[0]])
            suffix = next((one for one in _AUDIO if (archive / f"{stem}{one}").is_file()), ".flac")
            yield _utterance(
                archive, f"{stem}{suffix}", language, cells[1], None, split, names, line
            )


def _manifest(path: Path, languages: Sequence[_Asked], split: str) -> Iterator[Utterance]:
    if path.is_dir():
        raise ConfigurationError(f"{path}: is a folder; give --path the manifest's file")
    try:
        rows, problems = parse_manifest(path.name, path.read_bytes())
    except (OSError, Rejected) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    if problems:
        line, detail = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigurationError(f"{path}, line {line}: {detail}{more}")
    codes = {asked.code for asked in languages}
    for row in rows:
        if (not codes or row.language in codes) and split in ("all", row.split):
            yield Utterance(
                archive=path.parent,
                member=row.path,
                language=row.language,
                text=row.text,
                translation=row.translation,
                split=row.split,
                dataset=row.dataset,
                named_in=f"{encode_path(str(path))}, line {row.line}",
                metadata=json.dumps(row.metadata, ensure_ascii=False) if row.metadata else None,
            )


LAYOUTS: dict[str, Layout] = {
    "fleurs": Layout("fleurs", _fleurs),
    "common-voice": Layout("common_voice", _common_voice),
    "covost2": Layout("covost2", _covost2),
    "librispeech": Layout("librispeech", _librispeech, split="test-clean"),
    "mls": Layout("mls", _mls),
    "manifest": Layout("manifest", _manifest, split="all"),
}


def _locales(
    root: Path, languages: Sequence[_Asked], holds: str, prefix: str = ""
) -> Iterator[tuple[Path, str]]:
    """The folders of the languages that are asked for, in which there is such a file.

    Who names a folder (`zh-TW`) gets that one, who names a language all of it. `root` may itself be
    the folder of a language.
    """
    places = [root] if (root / holds).exists() else sorted(root.glob(f"{prefix}*"))
    found: dict[Path, str] = {}
    for place in places:
        code = language_code(place.name.removeprefix(prefix).removesuffix("_opus"))
        if code is not None and (place / holds).exists():
            found[place] = code
    if not found:
        raise ConfigurationError(
            f"{root}: no folder in it is named as a language and holds {holds}: give --path the "
            "folder above those of the languages, and --split one that is there"
        )
    wanted: set[Path] = set()
    for asked in languages:
        of_language = {place for place, code in found.items() if code == asked.code}
        if not of_language:
            there = ", ".join(sorted(place.name for place in found))
            raise ConfigurationError(f"{root}: no {holds} of {asked.name}; there are {there}")
        wanted |= {place for place in of_language if place.name == asked.name} or of_language
    for place, code in found.items():
        if not languages or place in wanted:
            yield place, code


def _first(places: Sequence[Path], otherwise: str) -> Path:
    for place in places:
        if place.exists():
            return place
    raise ConfigurationError(f"{otherwise}: expected {' or '.join(map(str, places))}")


def _named_columns(names: Path, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    lines = _lines(names)
    _, header = next(lines, (1, []))
    if missing := [column for column in wanted if column not in header]:
        raise ConfigurationError(
            f"{names}: lacks the column {missing[0]!r}; it has {', '.join(header) or 'no header'}"
        )
    for line, cells in lines:
        if len(cells) != len(header):
            raise ConfigurationError(
                f"{names}, line {line}: has {len(cells)} cells, the header {len(header)}"
            )
        yield line, dict(zip(header, cells, strict=True))


def _lines(names: Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of a list with tabs between; a quotation mark is a character like any other."""
    previous_limit = csv.field_size_limit(_CELL_LIMIT)
    try:
        reader = csv.reader(
            _text(names).split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True
        )
        for cells in reader:
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigurationError(f"{names}, line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(previous_limit)


def _text(names: Path) -> str:
    try:
        return names.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{names}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{names}: is not UTF-8: {error.reason}") from error


def _with_suffix(name: str, suffix: str) -> str:
    # Old releases of Common Voice leave it out.
    return name if re.search(r"\.\w{2,4}$", name) else name + suffix


def _utterance(
    archive: Path,
    member: str,
    language: str,
    text: str | None,
    translation: str | None,
    split: str,
    names: Path,
    line: int,
) -> Utterance:
    where = f"{encode_path(str(names))}, line {line}"
    if not member or member.startswith("/") or ".." in member.split("/"):
        raise ConfigurationError(f"{where}: {member!r} names no file below {archive}")
    return Utterance(
        archive=archive,
        member=encode_path(member),
        language=language,
        text=text.strip() or None if text else None,
        translation=translation.strip() or None if translation else None,
        split=split,
        dataset=None,
        named_in=where,
    )
