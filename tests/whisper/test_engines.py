"""The engine gives what openai-whisper gives, and a bad recording does not stop the others."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper

from nightscribe.audio.decode import decode
from nightscribe.errors import ConfigurationError, ModelError, Reason
from nightscribe.whisper.contract import Failure, Job, LoadedModel, Request, Transcript
from nightscribe.whisper.engines import engine_named, load_model, versions
from nightscribe.whisper.options import Options
from tests.nights import SAMPLES, write_noise

CLIPS = ("english/en-05.m4a", "german/de-02.mp3")
TRANSCRIBE = Job("transcribe", Options())


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model("demo", "cpu")


def request(path: Path | str, *jobs: Job, name: str = "a" * 64) -> Request:
    return Request(name, str(path), jobs or (TRANSCRIBE,))


def results(model: LoadedModel, *requests: Request) -> list[Transcript | Failure]:
    return list(engine_named("reference")(iter(requests), model))


def test_demo_is_loaded_in_float32_on_the_cpu(model: LoadedModel) -> None:
    assert (model.device, model.precision) == ("cpu", "float32")
    assert {parameter.dtype for parameter in model.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(
    "job",
    [TRANSCRIBE, Job("translate", Options()), Job("transcribe", Options(beam_size=2))],
    ids=["transcribe", "translate", "beam"],
)
def test_segments_are_those_of_whisper_transcribe(model: LoadedModel, clip: str, job: Job) -> None:
    samples = decode(str(SAMPLES / clip)).samples
    torch.manual_seed(int("a" * 15, 16))
    expected = whisper.transcribe(
        model.network,
        samples,
        task=job.task,
        fp16=False,
        beam_size=job.options.beam_size,
        temperature=job.options.temperature,
    )
    [result] = results(model, request(SAMPLES / clip, job))
    assert isinstance(result, Transcript)
    assert result.segments == expected["segments"]
    assert result.text == expected["text"]
    assert result.language == expected["language"]
    assert result.duration_s == len(samples) / 16_000
    assert result.warning is None


def test_language_probability_is_that_of_whispers_own_detection(model: LoadedModel) -> None:
    path = SAMPLES / CLIPS[1]
    [result] = results(model, request(path))
    mel = whisper.log_mel_spectrogram(
        decode(str(path)).samples, model.network.dims.n_mels, padding=whisper.audio.N_SAMPLES
    )
    _, probabilities = model.network.detect_language(whisper.pad_or_trim(mel, 3000))
    assert isinstance(result, Transcript)
    assert result.language == max(probabilities, key=probabilities.get)
    assert result.language_probability == probabilities[result.language]


def test_language_that_was_given_has_no_probability(model: LoadedModel) -> None:
    [result] = results(
        model, request(SAMPLES / CLIPS[1], Job("transcribe", Options(language="en")))
    )
    assert isinstance(result, Transcript)
    assert (result.language, result.language_probability) == ("en", None)


def test_one_detection_serves_both_tasks(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = model.network.detect_language
    monkeypatch.setattr(
        model.network, "detect_language", lambda *given: calls.append(1) or real(*given)
    )
    both = results(model, request(SAMPLES / CLIPS[1], TRANSCRIBE, Job("translate", Options())))
    assert [result.job.task for result in both] == ["transcribe", "translate"]
    assert len(calls) == 1


def test_text_of_a_recording_does_not_depend_on_what_came_before_it(
    model: LoadedModel, tmp_path: Path
) -> None:
    """Noise makes Whisper fall back to sampling; the recording gives its seed."""
    noise = request(write_noise(tmp_path / "noise.wav", 5, 3.0), name="b" * 64)
    [alone] = results(model, noise)
    *_, after = results(model, request(SAMPLES / CLIPS[1]), noise)
    assert after == alone


def test_bad_recordings_fail_with_a_reason_and_the_others_go_on(
    model: LoadedModel, tmp_path: Path
) -> None:
    (tmp_path / "notes.mp3").write_text("milk, eggs, flour")
    (tmp_path / "empty.wav").write_bytes(b"")
    both = (TRANSCRIBE, Job("translate", Options()))
    found = results(
        model,
        request(tmp_path / "notes.mp3", *both, name="1"),
        request(tmp_path / "empty.wav", name="2"),
        request(tmp_path / "gone.wav", name="3"),
        request(SAMPLES / "bad" / "silent-film.mp4", name="4"),
        request(SAMPLES / "english" / "en-03.ogg", name="5"),
    )
    assert [(r.recording_id, r.job.task, r.reason) for r in found if isinstance(r, Failure)] == [
        ("1", "transcribe", Reason.NOT_AUDIO),
        ("1", "translate", Reason.NOT_AUDIO),
        ("2", "transcribe", Reason.EMPTY_FILE),
        ("3", "transcribe", Reason.UNREADABLE),
        ("4", "transcribe", Reason.NO_AUDIO_STREAM),
    ]
    assert isinstance(found[-1], Transcript)


def test_recording_that_whisper_fails_on_is_a_failure_and_the_others_go_on(
    model: LoadedModel,
) -> None:
    broken = Job("transcribe", Options(clip_timestamps="one,two"))
    path = SAMPLES / "english" / "en-03.ogg"
    failed, *_, other = results(
        model, request(path, broken, TRANSCRIBE, name="1"), request(path, name="2")
    )
    assert isinstance(failed, Failure)
    assert failed.reason == Reason.TRANSCRIPTION_FAILED
    assert failed.detail.startswith("ValueError: ")
    assert isinstance(other, Transcript)


def test_broken_device_is_not_blamed_on_the_recording(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(whisper, "transcribe", fail)
    with pytest.raises(torch.OutOfMemoryError):
        results(model, request(SAMPLES / CLIPS[1], Job("transcribe", Options(language="de"))))


def test_audio_is_read_before_the_next_request_is_asked_for(model: LoadedModel) -> None:
    """A file of an archive is closed when the next one is opened."""

    def requests() -> Iterator[Request]:
        for name, clip in (("a", "en-01.flac"), ("b", "en-03.ogg")):
            file = io.BytesIO((SAMPLES / "english" / clip).read_bytes())
            yield Request(name, file, (TRANSCRIBE,))
            file.close()

    found = list(engine_named("reference")(requests(), model))
    assert [isinstance(result, Transcript) for result in found] == [True, True]


def test_unknown_engine_model_and_device_are_named() -> None:
    with pytest.raises(ConfigurationError, match="engine 'fast': choose one of batched, reference"):
        engine_named("fast")
    with pytest.raises(ModelError, match="'gigantic'"):
        load_model("gigantic")
    with pytest.raises(ConfigurationError, match="'tpu'"):
        load_model("demo", "tpu")


def test_the_reference_refuses_a_precision_that_it_lacks(model: LoadedModel) -> None:
    with pytest.raises(ConfigurationError, match="no bfloat16: choose the engine 'batched'"):
        results(replace(model, precision="bfloat16"), request(SAMPLES / CLIPS[0]))


def test_torch_is_imported_when_an_engine_is_called_not_when_it_is_named(
    repository: Path,
) -> None:
    script = (
        "from nightscribe.whisper.engines import engine_named; import sys;"
        "[engine_named(name) for name in ('batched', 'reference')];"
        "assert not {'torch', 'whisper'} & {*sys.modules}"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(repository / "plugins")}
    )


def test_versions_name_what_a_transcript_depends_on() -> None:
    assert set(versions()) == {"nightscribe", "openai-whisper", "torch", "av"}


def test_a_model_whose_weights_were_taken_is_refused_by_the_reference() -> None:
    model = load_model("demo", "cpu")
    wanted = request(SAMPLES / CLIPS[0])
    [result] = engine_named("batched")(iter([wanted]), model)
    assert isinstance(result, Transcript)
    with pytest.raises(ConfigurationError, match="load it once more"):
        engine_named("reference")(iter([wanted]), model)
