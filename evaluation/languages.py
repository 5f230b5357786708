"""Codes and names of languages: Whisper's, or what was given where Whisper has none."""

from __future__ import annotations

from functools import cache

from nightscribe.languages import LANGUAGES
from nightscribe.languages import language_code as whisper_code


@cache
def language_code(language: str) -> str:
    """Whisper's code of a language given by its code, locale or English name.

    `zh-TW`, `cmn_hans_cn` and `Chinese` all give `zh`. A code that Whisper does not know is
    returned in lower case, without its region.
    """
    subtag = language.strip().lower().replace("_", "-").partition("-")[0]
    return whisper_code(language) or subtag


def language_name(language: str) -> str:
    """English name of a language, or `language` itself if Whisper has no name for it."""
    name = LANGUAGES.get(language_code(language))
    return name.title() if name else language


def language_label(language: str) -> str:
    """Name and code, as tables and messages show a language: `German (de)`."""
    return f"{language_name(language)} ({language})"
