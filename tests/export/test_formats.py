"""Transcript files: the same bytes as openai-whisper's writers."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightscribe.errors import ConfigurationError
from nightscribe.export import formats
from nightscribe.export.formats import FORMATS, WordOptions

SEGMENT = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 4.2,
    "text": " Hello --> world,\there.",
    "tokens": [50364, 2425, 50574],
    "temperature": 0.0,
    "avg_logprob": -0.2534,
    "compression_ratio": 1.25,
    "no_speech_prob": 0.0125,
}
RESULT = {"text": " Hello --> world,\there.", "segments": [SEGMENT], "language": "en"}


def whispers(result: dict[str, Any], fmt: str, options: dict[str, Any], folder: Path) -> bytes:
    """What openai-whisper's own writer writes."""
    from whisper.utils import get_writer

    get_writer(fmt, str(folder))(result, "theirs.flac", **options)
    return (folder / f"theirs.{fmt}").read_bytes()


# Text that is hard on writers of subtitles and tables, beside any text that UTF-8 can hold.
texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.lists(
        st.sampled_from([" ", "\n", "\r", "\t", "-->", "word", "é", "語", "🎙️", "\u2028", "<u>"]),
        max_size=6,
    ).map("".join),
)
times = st.one_of(
    st.floats(0, 30_000, allow_nan=False),
    st.integers(0, 8000).map(lambda ms: ms / 1000),
    st.sampled_from([0.0, 0.0005, 59.9995, 3599.9996, 3600.0, 360_000.5]),
)
words = st.fixed_dictionaries(
    {
        "word": texts | st.sampled_from([" a", " quite", " ordinary", " words."]),
        "start": times,
        "end": times,
        "probability": st.floats(0, 1),
    }
)


def segments(with_words: bool | None) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Segments that all have lists of words, or none has, or (None) some have."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "id": st.integers(0, 99),
        "seek": st.integers(0, 10_000),
        "start": times,
        "end": times,
        "text": texts,
        "tokens": st.lists(st.integers(0, 51_864), max_size=3),
        "temperature": st.sampled_from([0.0, 0.2, 1.0]),
        "avg_logprob": st.floats(allow_nan=True),
    }
    some = {"words": st.lists(words, max_size=8)}
    segment = st.fixed_dictionaries(
        {**fields, **(some if with_words else {})}, optional=some if with_words is None else {}
    )
    return st.lists(segment, max_size=4)


results = st.fixed_dictionaries(
    {
        "text": texts,
        "segments": st.sampled_from([True, False, None]).flatmap(segments),
        "language": st.sampled_from(["en", "ja"]),
    }
)
limits = st.none() | st.integers(0, 5) | st.integers(6, 60)
word_options = st.fixed_dictionaries(
    {
        "max_line_width": limits,
        "max_line_count": limits,
        "max_words_per_line": limits,
        "highlight_words": st.booleans(),
    }
)


def whispers_text(result: dict[str, Any], fmt: str, options: dict[str, Any]) -> str | None:
    """The same, in memory; None where openai-whisper's writer fails."""
    from whisper.utils import get_writer

    file = io.StringIO(newline="\n")
    try:
        get_writer(fmt, "").write_result(result, file, **options)
    except (AssertionError, KeyError):
        return None
    return file.getvalue()


@settings(max_examples=500, deadline=None)
@given(result=results, options=word_options)
@example(result=RESULT, options={})
def test_every_format_has_the_text_of_whispers_writer(
    result: dict[str, Any], options: dict[str, Any]
) -> None:
    for fmt in FORMATS:
        theirs = whispers_text(result, fmt, options)
        if theirs is None:
            with pytest.raises((ValueError, KeyError)):
                formats.render(result, fmt, WordOptions(**options))
        else:
            assert formats.render(result, fmt, WordOptions(**options)) == theirs


@settings(max_examples=40, deadline=None)
@given(result=results, options=word_options)
@example(result=RESULT, options={})
def test_every_file_has_the_bytes_of_whispers_file(
    tmp_path_factory: pytest.TempPathFactory, result: dict[str, Any], options: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for fmt in FORMATS:
        if whispers_text(result, fmt, options) is not None:
            path = formats.write(result, fmt, "ours", folder, WordOptions(**options))
            assert path == folder / f"ours.{fmt}"
            assert path.read_bytes() == whispers(result, fmt, options, folder)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 8), min_size=200, max_size=1500),
    gaps=st.lists(st.sampled_from([0.0, 0.25, 2.75, 3.0]), min_size=1, max_size=7),
    per_segment=st.integers(1, 1200),
    options=word_options,
)
def test_long_transcripts_are_cut_into_the_same_subtitles(
    lengths: list[int],
    gaps: list[float],
    per_segment: int,
    options: dict[str, Any],
) -> None:
    timed, now = [], 0.0
    for index, length in enumerate(lengths):
        start = now + gaps[index % len(gaps)]
        now = start + 0.25
        timed.append({"word": " " + "x" * length, "start": start, "end": now, "probability": 1.0})
    result = {
        "text": "",
        "language": "en",
        "segments": [
            {"start": 0.0, "end": now, "text": "", "words": timed[at : at + per_segment]}
            for at in range(0, len(timed), per_segment)
        ],
    }
    for fmt in ("vtt", "srt"):
        expected = whispers_text(result, fmt, options)
        assert formats.render(result, fmt, WordOptions(**options)) == expected


def test_a_plain_transcript_reads_as_expected() -> None:
    assert formats.render(RESULT, "txt") == "Hello --> world,\there.\n"
    assert formats.render(RESULT, "tsv") == "start\tend\ttext\n0\t4200\tHello --> world, here.\n"
    assert formats.render(RESULT, "vtt") == (
        "WEBVTT\n\n00:00.000 --> 00:04.200\nHello -> world,\there.\n\n"
    )
    assert formats.render(RESULT, "srt") == (
        "1\n00:00:00,000 --> 00:00:04,200\nHello -> world,\there.\n\n"
    )
    assert json.loads(formats.render(RESULT, "json")) == RESULT


def test_an_unknown_format_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match=r"'docx'.*txt, vtt, srt, tsv, json"):
        formats.render(RESULT, "docx")


def test_a_negative_limit_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="max_line_width is -1"):
        WordOptions(max_line_width=-1)


@pytest.mark.parametrize("bad", [{"start": -0.5}, {"end": float("nan")}])
def test_times_that_whisper_refuses_are_refused(bad: dict[str, float], tmp_path: Path) -> None:
    result = {**RESULT, "segments": [{**SEGMENT, **bad}]}
    with pytest.raises(ValueError, match="negative"):
        formats.render(result, "srt")
    with pytest.raises(AssertionError):
        whispers(result, "srt", {}, tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    old = formats.write(RESULT, "txt", "talk", tmp_path).read_bytes()
    unencodable = {**RESULT, "segments": [{**SEGMENT, "text": "\ud800"}]}
    with pytest.raises(UnicodeEncodeError):
        formats.write(unencodable, "txt", "talk", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["talk.txt"]
    assert (tmp_path / "talk.txt").read_bytes() == old


def test_files_are_as_readable_as_any_new_file_and_names_keep_their_dots(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = formats.write(RESULT, "srt", "talk.2026.final", tmp_path / "new" / "folder")
    finally:
        os.umask(before)
    assert path == tmp_path / "new" / "folder" / "talk.2026.final.srt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_importing_formats_imports_neither_torch_nor_whisper(repository: Path) -> None:
    script = (
        "import nightscribe.export.formats, sys;"
        "sys.exit(bool({'torch', 'whisper'} & {*sys.modules}))"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        cwd=repository,
        env={"PYTHONPATH": "plugins"},
    )
