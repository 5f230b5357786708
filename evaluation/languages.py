"""Codes, names and varieties of languages: Whisper's, or what was given where Whisper has none.

`nightscribe.languages` has the table. A tag, here, is a variety (`zh-TW`) or else a code (`zh`).
"""

from __future__ import annotations

from functools import cache

from nightscribe.languages import (
    LANGUAGES,
    NO_SPEECH,
    UNDETERMINED,
    Language,
    parse_language,
    stated_language,
)

__all__ = [
    "includes_language",
    "language_code",
    "language_label",
    "language_name",
    "spoken_language",
]


def spoken_language(text: str) -> Language | None:
    """The language that a person wrote; None if unknown.

    It is `und` if it is stated not to be known, and `zxx` if nobody speaks.
    """
    if text.strip().lower() == UNDETERMINED:
        return Language(UNDETERMINED)
    return stated_language(text)


@cache
def language_code(language: str) -> str:
    """Whisper's code of a language given by its code, locale or English name.

    `zh-TW`, `cmn_hans_cn` and `Chinese` all give `zh`. A code that Whisper does not know is
    returned in lower case, without its region.
    """
    known = parse_language(language)
    if known is not None:
        return known.code
    return language.strip().lower().replace("_", "-").partition("-")[0]


def language_name(language: str) -> str:
    """English name of a language, or `language` itself if Whisper has no name for it."""
    if language == NO_SPEECH:
        return "No speech"
    name = LANGUAGES.get(language_code(language))
    return name.title() if name else language


def language_label(language: str) -> str:
    """Name, code and variety, as tables and messages show a language.

    >>> language_label("de"), language_label("zh-TW")
    ('German (de)', 'Chinese (zh), zh-TW')
    """
    known = parse_language(language)
    if known is not None and known.variety == language:
        return f"{language_name(language)} ({known.code}), {language}"
    return f"{language_name(language)} ({language})"


def includes_language(wanted: str, tag: str) -> bool:
    """Whether a tag is of the wanted language; of the wanted variety, if that is one."""
    language = parse_language(wanted)
    if language is None or language.variety is None:
        return language_code(wanted) == language_code(tag)
    found = parse_language(tag)
    return found is not None and found.variety == language.variety
