"""Transcripts as text, subtitles, TSV or JSON: the files that the `whisper` command writes.

A transcript is what `whisper.transcribe` returns, a mapping with `text`, `language` and `segments`,
or a `Transcript`.
A segment has `start` and `end` in seconds, `text` and, with word timestamps, `words`. For the same
transcript and options, the files equal those of openai-whisper's writers (`whisper/utils.py`) byte
for byte.

Like those writers, these fail on a negative time, on text that UTF-8 cannot encode, and if the
first segment has words but a later one has none.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nightscribe.errors import ConfigurationError

if TYPE_CHECKING:
    from nightscribe.whisper.contract import Transcript

__all__ = ["FORMATS", "Cue", "Word", "WordOptions", "cues", "render", "write"]

LONG_PAUSE_S = 3.0  # a longer pause ends a subtitle that may span segments
NO_LIMIT = 1000  # characters per line and words per subtitle if no limit is given

_WORD = re.compile(r"(\s*)(.*)$")


@dataclass(frozen=True)
class WordOptions:
    """How timed words become subtitles. Without timed words, these options have no effect.

    With both `max_line_width` and `max_line_count`, subtitles span segments and end at long pauses.
    Otherwise each segment starts a new subtitle. None or 0 is no limit.
    """

    max_line_width: int | None = None  # characters per line
    max_line_count: int | None = None  # lines per subtitle
    max_words_per_line: int | None = None  # words per subtitle, unless subtitles span segments
    highlight_words: bool = False  # underline each word while it is spoken

    def __post_init__(self) -> None:
        for name in ("max_line_width", "max_line_count", "max_words_per_line"):
            limit = getattr(self, name)
            if limit is not None and limit < 0:
                raise ConfigurationError(f"{name} is {limit}: give a positive number, or None")


class Word(NamedTuple):
    """A timed word, with the white space or line break before it."""

    text: str
    start: float  # s
    end: float  # s


class Cue(NamedTuple):
    """A subtitle: text that is shown from start to end."""

    start_ms: int
    end_ms: int
    text: str


NO_WORD_OPTIONS = WordOptions()


def render(
    result: Mapping[str, Any] | Transcript, fmt: str, options: WordOptions = NO_WORD_OPTIONS
) -> str:
    """Render a transcript in one of `FORMATS`; returns the content of the file.

    Raises:
        ConfigurationError: unknown format.
        ValueError: a subtitle has a negative time.

    >>> render({"segments": [{"start": 0.0, "end": 1.5, "text": " Hello."}]}, "tsv")
    'start\\tend\\ttext\\n0\\t1500\\tHello.\\n'
    """
    if fmt not in _RENDERERS:
        raise ConfigurationError(f"there is no format {fmt!r}: choose one of {', '.join(FORMATS)}")
    content = result if isinstance(result, Mapping) else result.as_dict()
    return _RENDERERS[fmt](content, options)


def write(
    result: Mapping[str, Any] | Transcript,
    fmt: str,
    stem: str,
    directory: str | os.PathLike[str],
    options: WordOptions = NO_WORD_OPTIONS,
) -> Path:
    """Write a transcript to `directory/stem.fmt`; returns the path.

    Creates the directory, and replaces an existing file. The file is complete or does not exist.

    Raises:
        ConfigurationError, ValueError: as in `render`.
        OSError: the file cannot be written.
    """
    content = render(result, fmt, options)
    target = Path(directory) / f"{stem}.{fmt}"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        unfinished.write_text(content, encoding="utf-8", newline="\n")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _txt(result: Mapping[str, Any], options: WordOptions) -> str:
    return "".join(f"{segment['text'].strip()}\n" for segment in result["segments"])


def _tsv(result: Mapping[str, Any], options: WordOptions) -> str:
    rows = ["start\tend\ttext\n"]
    for segment in result["segments"]:
        start_ms, end_ms = round(1000 * segment["start"]), round(1000 * segment["end"])
        text = segment["text"].strip().replace("\t", " ")
        rows.append(f"{start_ms}\t{end_ms}\t{text}\n")
    return "".join(rows)


def _json(result: Mapping[str, Any], options: WordOptions) -> str:
    return json.dumps(dict(result))


def _vtt(result: Mapping[str, Any], options: WordOptions) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_vtt_time(cue.start_ms)} --> {_vtt_time(cue.end_ms)}\n{cue.text}\n\n"
        for cue in cues(result["segments"], options)
    )


def _srt(result: Mapping[str, Any], options: WordOptions) -> str:
    return "".join(
        f"{number}\n{_srt_time(cue.start_ms)} --> {_srt_time(cue.end_ms)}\n{cue.text}\n\n"
        for number, cue in enumerate(cues(result["segments"], options), start=1)
    )


_RENDERERS: dict[str, Callable[[Mapping[str, Any], WordOptions], str]] = {
    "txt": _txt,
    "vtt": _vtt,
    "srt": _srt,
    "tsv": _tsv,
    "json": _json,
}

FORMATS: tuple[str, ...] = tuple(_RENDERERS)
"""Names of the formats, which are also the suffixes of the files."""


def _milliseconds(seconds: float) -> int:
    if not seconds >= 0:
        raise ValueError(f"a subtitle at {seconds} s: times must not be negative")
    return round(seconds * 1000)


def _clock(ms: int) -> tuple[int, int, int, int]:
    """Hours, minutes, seconds and milliseconds."""
    minutes, ms = divmod(ms, 60_000)
    return minutes // 60, minutes % 60, ms // 1000, ms % 1000


def _srt_time(ms: int) -> str:
    hours, minutes, seconds, ms = _clock(ms)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{ms:03d}"


def _vtt_time(ms: int) -> str:
    hours, minutes, seconds, ms = _clock(ms)
    return (f"{hours:02d}:" if hours else "") + f"{minutes:02d}:{seconds:02d}.{ms:03d}"


def cues(segments: Sequence[Mapping[str, Any]], options: WordOptions) -> Iterator[Cue]:
    """Subtitles of a transcript: built from its timed words, or one per segment without words."""
    if segments and "words" in segments[0]:
        highlight = _highlighted if options.highlight_words else _plain
        for words in _subtitles(segments, options):
            yield from highlight(words)
    else:
        for segment in segments:
            # Subtitle files use `-->` between the times of a subtitle.
            text = segment["text"].strip().replace("-->", "->")
            yield Cue(_milliseconds(segment["start"]), _milliseconds(segment["end"]), text)


def _plain(words: Sequence[Word]) -> Iterator[Cue]:
    text = "".join(word.text for word in words)
    yield Cue(_milliseconds(words[0].start), _milliseconds(words[-1].end), text)


def _highlighted(words: Sequence[Word]) -> Iterator[Cue]:
    """One subtitle per word with that word underlined, and one without underline per pause."""
    texts = [word.text for word in words]
    shown_until = _milliseconds(words[0].start)
    for index, word in enumerate(words):
        start, end = _milliseconds(word.start), _milliseconds(word.end)
        if start != shown_until:
            yield Cue(shown_until, start, "".join(texts))
        underlined = [*texts[:index], _underlined(word.text), *texts[index + 1 :]]
        yield Cue(start, end, "".join(underlined))
        shown_until = end


def _underlined(text: str) -> str:
    """The word in `<u>` tags, which exclude the white space before it."""
    match = _WORD.match(text)
    if match is None:  # a line break inside the word
        return text
    return f"{match[1]}<u>{match[2]}</u>{text[match.end() :]}"


def _subtitles(segments: Sequence[Mapping[str, Any]], options: WordOptions) -> Iterator[list[Word]]:
    """Split timed words into subtitles and lines.

    A word at the start of a line loses its white space, and gets a line break before it unless it
    is the first word of the subtitle.
    """
    max_lines = options.max_line_count or None
    keep_segments = max_lines is None or not options.max_line_width
    max_width = options.max_line_width or NO_LIMIT
    max_words = options.max_words_per_line or NO_LIMIT

    subtitle: list[Word] = []
    lines = 1
    width = 0  # characters of the current line
    last_start: float | None = None
    for segment in segments:
        for index, timing in enumerate(segment["words"]):
            word = Word(timing["word"], timing["start"], timing["end"])
            pause = (
                not keep_segments
                and last_start is not None
                and word.start - last_start > LONG_PAUSE_S
            )
            new_group = keep_segments and index % max_words == 0 and bool(subtitle)
            fits = width > 0 and width + len(word.text) <= max_width
            if fits and not pause and not new_group:
                width += len(word.text)
            else:
                text = word.text.strip()
                full = max_lines is not None and (pause or lines >= max_lines)
                if subtitle and (full or new_group):
                    yield subtitle
                    subtitle, lines = [], 1
                elif width > 0:
                    lines += 1
                    text = "\n" + text
                width = len(text.strip())
                word = word._replace(text=text)
            subtitle.append(word)
            last_start = word.start
    if subtitle:
        yield subtitle
