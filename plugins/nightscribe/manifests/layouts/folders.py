"""The folders of a data set: one for each language, named by a locale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.languages import Language, nearest_language, parse_language, stated_language

__all__ = ["ChosenLanguage", "choose_language", "first_existing", "language_folders"]


@dataclass(frozen=True)
class ChosenLanguage:
    """A language that the user has chosen: the name that the user gave, and what it means."""

    name: str
    language: Language

    @property
    def code(self) -> str:
        """Whisper's code."""
        return self.language.code

    def includes(self, code: str | None, variety: str | None) -> bool:
        """Whether a language is among the chosen; a variety that is not stated may be this one."""
        wanted = self.language.variety
        return code == self.code and (wanted is None or variety in (None, wanted))


def choose_language(name: str) -> ChosenLanguage:
    """The language of a code, a locale or an English name, or `zxx` for recordings without speech.

    Raises `ConfigurationError`.
    """
    language = stated_language(name)
    if language is None:
        raise ConfigurationError(
            f"language {name!r}: is none of Whisper's: {nearest_language(name)}"
        )
    return ChosenLanguage(name, language)


def language_folders(
    root: Path, languages: Sequence[ChosenLanguage], required: str, prefix: str = ""
) -> Iterator[tuple[Path, Language]]:
    """The folders of the chosen languages that contain a certain file, with their languages.

    A variety (`zh-TW`) chooses its folder, in any spelling. Any other name of a language chooses
    all its folders. `root` may itself be the folder of a language.

    Args:
        languages: none: all that Whisper knows
        required: path of the file below a language's folder
        prefix: what folders are called before the locale

    Raises:
        ConfigurationError: no such folder at all, or none of a chosen language
    """
    language_of = _folders_with(root, required, prefix)
    if not language_of:
        raise ConfigurationError(
            f"{root}: no folder in it is named as a language and holds {required}: give --path the "
            "folder above those of the languages, and --split one that is there"
        )
    chosen: set[Path] = set()
    for language in languages:
        folders = {
            folder
            for folder, found in language_of.items()
            if language.includes(found.code, found.variety)
        }
        if not folders:
            there = ", ".join(sorted(folder.name for folder in language_of))
            raise ConfigurationError(f"{root}: no {required} of {language.name}; there are {there}")
        chosen |= {folder for folder in folders if folder.name == language.name} or folders
    for folder, found in language_of.items():
        if not languages or folder in chosen:
            yield folder, found


def _folders_with(root: Path, required: str, prefix: str) -> dict[Path, Language]:
    below = root.iterdir() if root.is_dir() and not (root / required).exists() else [root]
    folders = sorted(folder for folder in below if folder.name.startswith(prefix))
    language_of: dict[Path, Language] = {}
    for folder in folders:
        language = parse_language(folder.name.removeprefix(prefix).removesuffix("_opus"))
        if language is not None and (folder / required).exists():
            language_of[folder] = language
    return language_of


def first_existing(paths: Sequence[Path], fault: str) -> Path:
    """The first path at which there is something. Raises `ConfigurationError`, `fault` first."""
    for path in paths:
        if path.exists():
            return path
    raise ConfigurationError(f"{fault}: expected {' or '.join(map(str, paths))}")
