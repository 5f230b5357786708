"""One line of a data set's list: which file, and what is said in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.languages import Language
from nightscribe.uris import encode_path

__all__ = ["Utterance", "line_of", "make_utterance"]


@dataclass(frozen=True)
class Utterance:
    """One line of a data set's list.

    Attributes:
        archive: folder or tar that holds the audio
        member: path in it, as `nightscribe.uris.encode_path` writes it
        language: one of Whisper's codes, or `zxx` if nobody speaks; None where the list does not
            give it
        variety: the language with its region; None where the list does not give it
        text, translation: the words spoken, and their English translation; None where the data
            set has none. The text is empty if nobody speaks
        split, dataset: None where the list does not give them
        listed_in: list and line, for messages
        metadata: a JSON object
        speaker, session: recordings of one are not independent; None where the data set names none
    """

    archive: Path
    member: str
    language: str | None
    text: str | None
    translation: str | None
    split: str | None
    dataset: str | None
    listed_in: str
    metadata: str | None = None
    variety: str | None = None
    speaker: str | None = None
    session: str | None = None


def make_utterance(
    archive: Path,
    member: str,
    language: Language,
    *,
    text: str | None,
    translation: str | None = None,
    split: str,
    dataset: str | None = None,
    speaker: str | None = None,
    listed_in: str,
) -> Utterance:
    """An utterance as a list gives it: `member` is still plain, texts may be empty.

    Raises `ConfigurationError` for a member outside of `archive`.
    """
    if not member or member.startswith("/") or ".." in member.split("/"):
        raise ConfigurationError(f"{listed_in}: {member!r} names no file below {archive}")
    return Utterance(
        archive=archive,
        member=encode_path(member),
        language=language.code,
        variety=language.variety,
        text=_text_or_none(text),
        translation=_text_or_none(translation),
        split=split,
        dataset=dataset,
        speaker=_text_or_none(speaker),
        listed_in=listed_in,
    )


def _text_or_none(text: str | None) -> str | None:
    return text.strip() or None if text else None


def line_of(path: Path, line: int) -> str:
    """A list and a line of it, for messages."""
    return f"{encode_path(str(path))}, line {line}"
