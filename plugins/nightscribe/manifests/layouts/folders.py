"""The folders of a data set: one for each language, named by a locale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.languages import language_code

__all__ = ["ChosenLanguage", "choose_language", "first_existing", "language_folders"]


@dataclass(frozen=True)
class ChosenLanguage:
    """A language that the user has chosen: the name that the user gave, and Whisper's code."""

    name: str
    code: str


def choose_language(name: str) -> ChosenLanguage:
    """The language of a code, a locale or an English name. Raises `ConfigurationError`."""
    code = language_code(name)
    if code is None:
        raise ConfigurationError(f"language {name!r}: is none of Whisper's")
    return ChosenLanguage(name, code)


def language_folders(
    root: Path, languages: Sequence[ChosenLanguage], required: str, prefix: str = ""
) -> Iterator[tuple[Path, str]]:
    """The folders of the chosen languages that contain a certain file, with the languages' codes.

    The name of a folder (`zh-TW`) chooses that folder. Any other name of a language chooses all
    its folders. `root` may itself be the folder of a language.

    Args:
        languages: none: all that Whisper knows
        required: path of the file below a language's folder
        prefix: what folders are called before the locale

    Raises:
        ConfigurationError: no such folder at all, or none of a chosen language
    """
    code_of = _folders_with(root, required, prefix)
    if not code_of:
        raise ConfigurationError(
            f"{root}: no folder in it is named as a language and holds {required}: give --path the "
            "folder above those of the languages, and --split one that is there"
        )
    chosen: set[Path] = set()
    for language in languages:
        folders = {folder for folder, code in code_of.items() if code == language.code}
        if not folders:
            there = ", ".join(sorted(folder.name for folder in code_of))
            raise ConfigurationError(f"{root}: no {required} of {language.name}; there are {there}")
        chosen |= {folder for folder in folders if folder.name == language.name} or folders
    for folder, code in code_of.items():
        if not languages or folder in chosen:
            yield folder, code


def _folders_with(root: Path, required: str, prefix: str) -> dict[Path, str]:
    folders = [root] if (root / required).exists() else sorted(root.glob(f"{prefix}*"))
    code_of: dict[Path, str] = {}
    for folder in folders:
        code = language_code(folder.name.removeprefix(prefix).removesuffix("_opus"))
        if code is not None and (folder / required).exists():
            code_of[folder] = code
    return code_of


def first_existing(paths: Sequence[Path], fault: str) -> Path:
    """The first path at which there is something. Raises `ConfigurationError`, `fault` first."""
    for path in paths:
        if path.exists():
            return path
    raise ConfigurationError(f"{fault}: expected {' or '.join(map(str, paths))}")
