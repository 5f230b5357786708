"""A transcript as text, subtitles, a table or JSON: the files that the `whisper` command writes.

A transcript here is what `whisper.transcribe` returns: a mapping with `text`, `language` and
`segments`, each segment with `start` and `end` in seconds, `text`, and perhaps `words`. For
the same transcript and options the files are the same byte for byte as those of
openai-whisper's writers (`whisper/utils.py`).

Where those writers fail, these do too: on a negative time, on a text that UTF-8 cannot
encode, and where the first segment has words but a later one has no list of them.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nightscribe.errors import ConfigurationError

LONG_PAUSE_S = 3.0  # a pause that ends a subtitle, where subtitles may span segments
NO_LIMIT = 1000  # characters in a line and words in a subtitle, when no limit is given

_WORD = re.compile(r"(\s*)(.*)$")


@dataclass(frozen=True)
class WordOptions:
    """How subtitles are made of timed words; without timed words none of this applies.

    With both `max_line_width` and `max_line_count`, subtitles are filled across segments and
    end at long pauses; otherwise each segment starts a new one. None or 0 is no limit.
    """

    max_line_width: int | None = None  # characters
    max_line_count: int | None = None  # lines in a subtitle
    max_words_per_line: int | None = None  # words in a subtitle, where segments are kept apart
    highlight_words: bool = False  # underline each word as it is spoken

    def __post_init__(self) -> None:
        for name in ("max_line_width", "max_line_count", "max_words_per_line"):
            limit = getattr(self, name)
            if limit is not None and limit < 0:
                raise ConfigurationError(f"{name} is {limit}: give a positive number, or none")


class Word(NamedTuple):
    """One timed word, with the white space or line break that goes before it."""

    text: str
    start: float  # s
    end: float  # s


class Cue(NamedTuple):
    """One subtitle: a text on the screen from start to end."""

    start_ms: int
    end_ms: int
    text: str


NO_WORD_OPTIONS = WordOptions()


def render(result: Mapping[str, Any], fmt: str, options: WordOptions = NO_WORD_OPTIONS) -> str:
    """The transcript in one of `FORMATS`, as the whole content of a file.

    Raises:
        ConfigurationError: the format is none of `FORMATS`.
        ValueError: a subtitle has a negative time.
    """
    if fmt not in _RENDERERS:
        raise ConfigurationError(f"there is no format {fmt!r}: choose one of {', '.join(FORMATS)}")
    return _RENDERERS[fmt](result, options)


def write(
    result: Mapping[str, Any],
    fmt: str,
    stem: str,
    directory: str | os.PathLike[str],
    options: WordOptions = NO_WORD_OPTIONS,
) -> Path:
    """Write the transcript to `directory/stem.fmt`, which appears complete or not at all.

    The directory is made if needed. A file of that name is replaced.

    Raises:
        ConfigurationError, ValueError: as `render`.
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
"""Formats that `render` knows, each also the suffix of its files."""


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
    """The subtitles of a transcript: one per segment, or made of its timed words."""
    if segments and "words" in segments[0]:
        highlight = _highlighted if options.highlight_words else _plain
        for words in _subtitles(segments, options):
            yield from highlight(words)
    else:
        for segment in segments:
            # The arrow would end the line of times in a subtitle file.
            text = segment["text"].strip().replace("-->", "->")
            yield Cue(_milliseconds(segment["start"]), _milliseconds(segment["end"]), text)


def _plain(words: Sequence[Word]) -> Iterator[Cue]:
    text = "".join(word.text for word in words)
    yield Cue(_milliseconds(words[0].start), _milliseconds(words[-1].end), text)


def _highlighted(words: Sequence[Word]) -> Iterator[Cue]:
    """The subtitle once for each word, with that word underlined, and plain in the gaps."""
    texts = [word.text for word in words]
    until = _milliseconds(words[0].start)
    for index, word in enumerate(words):
        start, end = _milliseconds(word.start), _milliseconds(word.end)
        if start != until:
            yield Cue(until, start, "".join(texts))
        underlined = [*texts[:index], _underlined(word.text), *texts[index + 1 :]]
        yield Cue(start, end, "".join(underlined))
        until = end


def _underlined(text: str) -> str:
    """Tags around the word but not around the space or line break before it."""
    match = _WORD.match(text)
    if match is None:  # a line break inside the word
        return text
    return f"{match[1]}<u>{match[2]}</u>{text[match.end() :]}"


def _subtitles(segments: Sequence[Mapping[str, Any]], options: WordOptions) -> Iterator[list[Word]]:
    """Timed words, cut into subtitles and broken into lines.

    A word that starts a line loses the white space around it, and gets a line break before it
    unless it starts the subtitle.
    """
    max_lines = options.max_line_count or None
    keep_segments = max_lines is None or not options.max_line_width
    max_width = options.max_line_width or NO_LIMIT
    max_words = options.max_words_per_line or NO_LIMIT

    subtitle: list[Word] = []
    lines = 1
    width = 0  # of the line so far, characters
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
