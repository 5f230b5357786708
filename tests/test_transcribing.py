"""Transcribing from Python: results in the order of the inputs, whatever these are."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import whisper

import nightscribe
from nightscribe import Failure, Settings, Transcript, render, transcribe
from nightscribe.errors import ConfigurationError, Reason
from nightscribe.whisper.contract import LoadedModel

ENGLISH = ("english/en-01.flac", "english/en-02.mp3", "english/en-04.wav")


@pytest.fixture(scope="module")
def model(demo_checkpoint: Path) -> LoadedModel:
    return nightscribe.load_model(str(demo_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def archive(repository: Path) -> Path:
    return repository / "samples" / "archive"


def texts(results: Iterator[Transcript | Failure]) -> list[str]:
    """What was said, or why it is not known."""
    return [one.text if isinstance(one, Transcript) else one.reason for one in results]


def test_results_come_in_the_order_of_the_inputs(model: LoadedModel, archive: Path) -> None:
    files = [archive / name for name in ENGLISH]
    inputs = [files[2], archive / "bad" / "empty.wav", files[0], "no such file", files[1], files[0]]
    one_by_one = [texts(transcribe(file, model))[0] for file in files]
    assert len(set(one_by_one)) == 3
    assert texts(transcribe(inputs, model)) == [
        one_by_one[2],
        Reason.EMPTY_FILE,
        one_by_one[0],
        Reason.UNREADABLE,
        one_by_one[1],
        one_by_one[0],
    ]


def test_a_bad_input_that_comes_last_is_a_result(model: LoadedModel, archive: Path) -> None:
    [first, last] = transcribe([archive / ENGLISH[0], archive / "bad" / "notes.mp3"], model)
    assert isinstance(first, Transcript)
    assert isinstance(last, Failure)
    assert last.reason is Reason.NOT_AUDIO


def test_every_kind_of_input_gives_the_same_text(model: LoadedModel, archive: Path) -> None:
    path = archive / ENGLISH[0]
    samples = whisper.load_audio(str(path))
    integers = (samples * 32768).astype(np.int16)
    content = path.read_bytes()
    with path.open("rb") as file:
        file.read(7)
        inputs: list[Any] = [path, str(path), content, memoryview(content), file]
        inputs += [io.BytesIO(content), samples, samples.astype(np.float64), integers]
        found = list(transcribe(inputs, model))
    assert len(found) == len(inputs)
    assert {one.text for one in found if isinstance(one, Transcript)} == {
        whisper.transcribe(model_of(model), samples, fp16=False)["text"]
    }
    assert len(texts(iter(found))) == sum(isinstance(one, Transcript) for one in found)


def model_of(model: LoadedModel) -> Any:
    """The checkpoint again: the batched engine keeps the weights of the first for itself."""
    return nightscribe.load_model(model.name, device="cpu").network


def test_samples_at_another_rate_are_resampled(model: LoadedModel, archive: Path) -> None:
    samples = whisper.load_audio(str(archive / ENGLISH[0]))
    doubled = np.repeat(samples, 2)
    [plain, resampled] = [
        *transcribe(samples, model),
        *transcribe(doubled, model, sample_rate=32000),
    ]
    assert isinstance(plain, Transcript)
    assert isinstance(resampled, Transcript)
    assert resampled.duration_s == pytest.approx(plain.duration_s, abs=0.01)


def test_inputs_are_drawn_as_there_is_room(model: LoadedModel, archive: Path) -> None:
    drawn = 0

    def endless() -> Iterator[Path]:
        nonlocal drawn
        while True:
            drawn += 1
            yield archive / ENGLISH[0]

    results = transcribe(endless(), model, settings=Settings(slots=2))
    assert isinstance(next(results), Transcript)
    assert drawn < 50
    results.close()  # type: ignore[attr-defined]


def test_a_task_a_language_and_options_are_those_of_whisper(
    model: LoadedModel, archive: Path
) -> None:
    path = archive / "german" / "de-01.flac"
    [german] = transcribe(path, model)
    [english] = transcribe(path, model, task="translate", language="German", word_timestamps=True)
    assert isinstance(german, Transcript)
    assert isinstance(english, Transcript)
    assert (german.language, english.language) == ("de", "de")
    assert english.text != german.text
    assert english.segments[0]["words"]
    assert "words" not in german.segments[0]


def test_a_transcript_is_rendered_as_the_whisper_command_does(
    model: LoadedModel, archive: Path
) -> None:
    [found] = transcribe(archive / ENGLISH[0], model)
    assert isinstance(found, Transcript)
    subtitles = render(found, "srt")
    assert subtitles.startswith("1\n00:00:0")
    assert subtitles == render(found.as_dict(), "srt")
    assert render(found, "txt").strip() == found.text.strip()


def test_the_engine_of_the_settings_is_used(demo_checkpoint: Path, archive: Path) -> None:
    settings = Settings(engine="reference", device="cpu", model=str(demo_checkpoint))
    path = archive / ENGLISH[0]
    assert texts(transcribe(path, settings=settings)) == texts(
        transcribe(path, settings=Settings(device="cpu", model=str(demo_checkpoint)))
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "both"}, "choose transcribe or translate"),
        ({"language": "Klingon"}, "'Klingon'"),
        ({"language": "manifest"}, "only archives have one"),
        ({"sample_rate": 0}, "whole number of Hz"),
        ({"sample_rate": 2**33}, "whole number of Hz"),
        ({"beam_width": 5}, "unknown option 'beam_width'"),
        ({"suppress_tokens": "60000"}, "no token 60000|no Whisper checkpoint"),
    ],
)
def test_a_mistake_is_reported_before_anything_is_read(
    model: LoadedModel, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        transcribe("no such file", model, **given)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((2, 16_000), np.float32), r"shape \(2, 16000\).*give one channel"),
        (np.full(16_000, 4000.0), "up to 4000.*divide those of 16 bits by 32768"),
        (np.full(16_000, np.nan), "no numbers or infinite"),
        (np.zeros(16_000, np.int64), "int64.*16-bit integers"),
        (7, "audio of type int: give a path"),
        ("-", "sys.stdin.buffer"),
        ([0.0, 0.1], "audio of type float: give a path"),
        (io.StringIO("text"), "open it for bytes"),
    ],
)
def test_what_is_no_audio_is_an_error_of_the_caller(
    model: LoadedModel, audio: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        list(transcribe(audio, model))


def test_a_pipe_must_be_read_by_the_caller(model: LoadedModel) -> None:
    with pytest.raises(ConfigurationError, match="open it for bytes and for seeking"):
        list(transcribe(sys.stdout, model))  # type: ignore[arg-type]


def test_paths_may_come_as_a_column_or_an_array(model: LoadedModel, archive: Path) -> None:
    paths = [str(archive / name) for name in ENGLISH[:2]]
    expected = texts(transcribe(paths, model))
    assert texts(transcribe(pandas.Series(paths), model)) == expected
    assert texts(transcribe(np.array(paths), model)) == expected


def test_an_input_that_cannot_be_opened_does_not_end_the_others(
    model: LoadedModel, archive: Path
) -> None:
    closed = (archive / ENGLISH[0]).open("rb")
    closed.close()
    found = texts(transcribe(["a\0b", closed, archive / ENGLISH[0]], model))
    assert found[:2] == [Reason.UNREADABLE, Reason.UNREADABLE]
    assert found[2:] == texts(transcribe(archive / ENGLISH[0], model))


def test_integers_may_have_either_byte_order(model: LoadedModel, archive: Path) -> None:
    samples = (whisper.load_audio(str(archive / ENGLISH[0])) * 32768).astype(np.int16)
    assert texts(transcribe(samples.astype(">i2"), model)) == texts(transcribe(samples, model))


def test_no_inputs_give_no_results(model: LoadedModel) -> None:
    assert list(transcribe([], model)) == []
    assert texts(transcribe(b"", model)) == [Reason.EMPTY_FILE]
    assert texts(transcribe(np.zeros(0, np.float32), model)) == [Reason.EMPTY_FILE]
