"""The batched engine gives the transcripts of the reference, whatever else is in the batch."""

from __future__ import annotations

import itertools
import os
import random
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper

from benchmarks.compare import word_error_rate
from benchmarks.shapes import write_checkpoint
from nightscribe.audio.decode import decode
from nightscribe.audio.operations import Decoding
from nightscribe.audio.stored import Samples
from nightscribe.audio.workers import Workers
from nightscribe.errors import Reason
from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.random_weights import SHAPES
from nightscribe.whisper.batched.scheduler import BatchedEngine, transcribe_batched
from nightscribe.whisper.contract import Failure, Job, LoadedModel, Request, Transcript
from nightscribe.whisper.engines import load_model
from nightscribe.whisper.options import TASKS, Options
from tests.nights import SAMPLES
from tests.parity import CASES, CLOSE, by_reference, differences, requests, run

SOUND = {".flac", ".mp3", ".ogg", ".wav", ".m4a"}
BOTH = (Job("transcribe", Options()), Job("translate", Options()))
OTHER_PADDING = 0.03  # of the probability of a language that is beyond doubt
TIE = 1e-3  # difference of logits that rounding may reverse
RECORDINGS = int(os.environ.get("PARITY_RECORDINGS", "16"))
"""Number of made-up recordings. From 101 on, one of them is ten minutes long, and all long samples
are compared instead of one."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model("demo", "cpu")


@pytest.fixture(scope="module")
def clips() -> list[Path]:
    found = [path for path in sorted(SAMPLES.rglob("*")) if path.suffix in SOUND]
    left_out = {"bad", "again", "difficult"}
    long = {path for path in found if path.parent.name == "long"}
    slow = long - {SAMPLES / "long" / "long-es.mp3"} if RECORDINGS <= 100 else set()
    return [path for path in found if path.parent.name not in left_out and path not in slow]


def test_samples_are_transcribed_and_translated_as_by_the_reference(
    model: LoadedModel, clips: list[Path]
) -> None:
    """Every third one is translated, too."""
    wanted = requests(clips, BOTH[0])
    wanted[::3] = [replace(request, jobs=BOTH) for request in wanted[::3]]
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}
    for key, result in theirs.items():
        # Behind 30 s and more there is no padding.
        close = CLOSE if result.duration_s >= 30 else OTHER_PADDING
        assert ours[key].language_probability == pytest.approx(
            result.language_probability, abs=close
        )


@pytest.mark.parametrize("task", TASKS)
def test_a_real_voice_gives_the_text_of_the_reference(
    model: LoadedModel, real_voice: Path, task: str
) -> None:
    """The demo checkpoint was not trained on one. Above temperature 0, both would sample."""
    options = Options(temperature=(0.0,), logprob_threshold=None, no_speech_threshold=None)
    jobs = (Job(task, options), Job(task, replace(options, beam_size=3, word_timestamps=True)))
    wanted = requests([real_voice], *jobs)
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert len(theirs) == len(jobs)
    assert all(result.text for result in theirs.values())
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}


def test_bfloat16_gives_nearly_the_same_texts(
    model: LoadedModel, clips: list[Path], bfloat16: str
) -> None:
    timed = Job("transcribe", Options(word_timestamps=True))
    wanted = requests(clips[::4], timed, BOTH[1])
    exact = run(transcribe_batched, wanted, model)
    rough = run(transcribe_batched, wanted, replace(model, precision=bfloat16))
    assert {key: result.language for key, result in exact.items()} == {
        key: result.language for key, result in rough.items()
    }
    pairs = [
        (result.text, rough[key].text, "en" if key[1].task == "translate" else result.language)
        for key, result in exact.items()
    ]
    assert word_error_rate(pairs) < 0.01
    same = [key for key, result in exact.items() if result.text == rough[key].text]
    assert len(same) > len(exact) / 2
    first = [
        (exact[key].segments[0], rough[key].segments[0]) for key in same if exact[key].segments
    ]
    assert [own["avg_logprob"] for own, _ in first] != [other["avg_logprob"] for _, other in first]
    for own, other in first:
        assert own["avg_logprob"] == pytest.approx(other["avg_logprob"], abs=0.1)
        for ours, theirs in zip(own.get("words", [])[:1], other.get("words", [])[:1], strict=True):
            assert ours["start"] == pytest.approx(theirs["start"], abs=0.1)


def wanted_with(options: Options) -> list[Request]:
    """Two short recordings and the beginning of a long one, with one job each."""
    names = ("english/en-06.wav", "chinese/zh-01.flac", "long/long-es.mp3")
    task = "translate" if options == CASES["beam search"] else "transcribe"
    jobs = [Job(task, options), Job(task, options), Job(task, options)]
    if options.clip_timestamps == "0":
        jobs[2] = Job(task, replace(options, clip_timestamps="0,45"))
    made = [
        Request(f"{number:064x}", str(SAMPLES / name), (job,))
        for number, (name, job) in enumerate(zip(names, jobs, strict=True))
    ]
    # The reference never finishes a clip that ends after the recording.
    return made if options.clip_timestamps == "0" else made[2:]


@pytest.fixture(scope="module")
def with_every_option(model: LoadedModel) -> dict[tuple[str, Job], Any]:
    """The results of all cases. They are decoded together, each by its own options."""
    jobs: dict[tuple[str, Any], list[Job]] = {}
    for options in CASES.values():
        for request in wanted_with(options):
            jobs.setdefault((request.recording_id, request.audio), []).extend(request.jobs)
    wanted = [Request(*recording, tuple(each)) for recording, each in jobs.items()]
    return run(transcribe_batched, wanted, model)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_every_option_does_what_it_does_in_the_reference(
    model: LoadedModel, with_every_option: dict[tuple[str, Job], Any], options: Options
) -> None:
    theirs = by_reference(wanted_with(options), model)
    assert {k: d for k, r in theirs.items() if (d := differences(with_every_option[k], r))} == {}


OFFICIAL = {
    "tiny": SHAPES["tiny"],
    "base.en": SHAPES["base.en"],
    "large-v3-turbo, but shallow": replace(
        SHAPES["large-v3-turbo"], n_audio_layer=1, n_text_layer=2
    ),
}


@pytest.mark.parametrize("shape", OFFICIAL)
def test_official_shapes_give_the_reference_result(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 and 128 mel bins, all languages and English alone; the weights are random."""
    monkeypatch.setitem(SHAPES, shape, OFFICIAL[shape])
    write_checkpoint(shape, 15, tmp_path / "random.pt")
    model = load_model(str(tmp_path / "random.pt"), "cpu")
    options = Options(temperature=(0.0,), condition_on_previous_text=False, logprob_threshold=None)
    wanted = requests([SAMPLES / "english/en-06.wav"], Job("transcribe", options))
    both = Job("translate", replace(options, clip_timestamps="3,45", word_timestamps=True))
    wanted.append(Request("f" * 64, str(SAMPLES / "long/long-es.mp3"), (both,)))
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert all(len(result.segments) > 0 for result in theirs.values())
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples.clip(-1, 1) * 32767).astype(np.int16).tobytes())
    return path


@pytest.fixture(scope="module")
def made_up(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Recordings from parts of the samples: pauses, noise, silence, overlaps, cuts."""
    folder = tmp_path_factory.mktemp("made_up")
    speech = [decode(path).samples for path in clips]
    paths = []
    for number in range(RECORDINGS):
        pick = random.Random(number)
        noise = np.random.default_rng(number)
        seconds = pick.choice([1, 1, 2, 2, 3, 3, 4, 6]) * pick.uniform(0.8, 1.2)
        if number % 20 == 0:
            seconds = pick.uniform(28, 75)
        if number == 100:
            seconds = 600
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < seconds * 16_000:
            one = pick.choice(speech)
            if pick.random() < 0.3:  # from somewhere to somewhere
                start = pick.randrange(len(one) // 2)
                one = one[start : start + pick.randrange(8_000, len(one))]
            if pick.random() < 0.1:
                other = np.resize(pick.choice(speech), len(one))
                one = one * 0.7 + other * 0.4
            parts += [one, np.zeros(int(pick.choice([0, 0.3, 0.8, 2, 6]) * 16_000), np.float32)]
        samples = np.concatenate(parts)[: int(seconds * 16_000)]
        if pick.random() < 0.3:
            samples = samples + noise.normal(0, 10 ** pick.uniform(-4, -1), len(samples))
        if pick.random() < 0.04:
            samples = samples * 0
        paths.append(write_wav(folder / f"{number}.wav", samples))
    return paths


@pytest.mark.timeout(900)
def test_made_up_recordings_differ_by_ties_at_most(model: LoadedModel, made_up: list[Path]) -> None:
    """Greedy: sampling uses random numbers of its own, and is compared in other tests."""
    greedy = Job("transcribe", Options(temperature=(0.0,)))
    wanted = requests(made_up, greedy)
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    different = {k[0]: d for k, r in theirs.items() if (d := differences(ours[k], r))}
    assert len(different) <= max(1, len(made_up) // 100), different
    for name in different:
        path = made_up[int(name, 16)]
        assert first_difference_is_a_tie(model, ours[name, greedy], theirs[name, greedy], path)


def first_difference_is_a_tie(
    model: LoadedModel, ours: Transcript, theirs: Transcript, path: Path
) -> bool:
    """Whether the two logits at the first different token are within `TIE` of each other."""
    own = [(s["seek"], t) for s in ours.segments for t in s["tokens"]]
    other = [(s["seek"], t) for s in theirs.segments for t in s["tokens"]]
    at = next(n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
    seek = other[at][0]
    before = [token for s, token in other[:at] if s < seek][-223:]
    sampled = [token for s, token in other[:at] if s == seek]
    tokenizer = whisper.tokenizer.get_tokenizer(
        True, num_languages=99, language=theirs.language, task="transcribe"
    )
    prompt = [tokenizer.sot_prev, *before] if before else []
    tokens = torch.tensor([[*prompt, *tokenizer.sot_sequence, *sampled]])
    mel = whisper.log_mel_spectrogram(decode(path).samples, 80, padding=480_000)
    size = min(3000, mel.shape[1] - 3000 - seek)
    window = whisper.pad_or_trim(mel[:, seek : seek + size], 3000)
    with torch.no_grad():
        logits = model.network.decoder(tokens, model.network.encoder(window[None]))[0, -1]
    pair = logits[[own[at][1], other[at][1]]]
    return bool((pair[0] - pair[1]).abs() < TIE)


def test_a_result_does_not_depend_on_the_other_recordings(
    model: LoadedModel, made_up: list[Path]
) -> None:
    """Neither on the other recordings, nor on their order, nor on the number of slots."""
    wanted = requests(made_up[1:12], Job("transcribe", Options()))
    once = run(transcribe_batched, wanted, model)
    for seed, slots in ((1, 1), (2, 5), (3, 32)):
        shuffled = random.Random(seed).sample(wanted, len(wanted) - seed)
        engine = BatchedEngine(model, slots=slots, encoder_batch=seed)
        again = {(r.recording_id, r.job): r for r in engine.run(shuffled, verbose=None)}
        assert len(again) == len(shuffled)
        for key, result in again.items():
            expected = once[key]
            assert isinstance(result, Transcript)
            assert differences(result, expected) == [], key


def test_temperatures_are_tried_in_the_order_of_the_reference(
    model: LoadedModel, clips: list[Path]
) -> None:
    """No text passes the thresholds here, so every window ends at the highest temperature."""
    options = Options(logprob_threshold=0.0, best_of=2, no_speech_threshold=None)
    wanted = requests(clips[:2], Job("transcribe", options))
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    for key, result in theirs.items():
        temperatures = {segment["temperature"] for segment in result.segments}
        assert temperatures == {s["temperature"] for s in ours[key].segments} == {1.0}
    assert run(transcribe_batched, wanted, model) == ours


IMPOSSIBLE = {
    "prompt and prefix take 504 tokens; 448 can be read": Options(prefix="no " * 501),
    "not in tuple": Options(language="yue"),  # which models of 99 languages do not know
    "disallowed special token": Options(initial_prompt="<|endoftext|>"),
}


@pytest.mark.parametrize("detail", IMPOSSIBLE)
def test_job_that_whisper_cannot_do_fails_alone(
    detail: str, model: LoadedModel, clips: list[Path]
) -> None:
    broken, sound = (Job("transcribe", options) for options in (IMPOSSIBLE[detail], Options()))
    wanted = [
        Request("a" * 64, str(clips[0]), (broken, sound)),
        Request("b" * 64, str(clips[1]), (sound,)),
    ]
    found = run(transcribe_batched, wanted, model)
    failure = found["a" * 64, broken]
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.TRANSCRIPTION_FAILED
    assert detail in failure.detail
    assert isinstance(found["a" * 64, sound], Transcript)
    assert isinstance(found["b" * 64, sound], Transcript)


def test_two_jobs_of_a_recording_may_be_at_different_windows(model: LoadedModel) -> None:
    """One decodes each window again at higher temperatures, while the other is further on."""
    short = Options(sample_len=2, no_speech_threshold=None, clip_timestamps="0,90")
    slow = Job("transcribe", replace(short, logprob_threshold=1.0))
    quick = Job("translate", replace(short, temperature=(0.0,)))
    request = Request("a" * 64, str(SAMPLES / "long" / "long-es.mp3"), (slow, quick))
    found = run(transcribe_batched, [request], model)
    assert all(isinstance(result, Transcript) for result in found.values())


class ScarceNetwork(Network):
    """Is out of memory at some calls of the encoder and of the decoder, counted from 0."""

    def __init__(
        self, whisper_model: Any, *, encoder_fails: set[int], decoder_fails: set[int]
    ) -> None:
        super().__init__(whisper_model, torch.float32)
        self._encoder_fails, self._encoder_calls = encoder_fails, itertools.count()
        self._decoder_fails, self._decoder_calls = decoder_fails, itertools.count()

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        if next(self._encoder_calls) in self._encoder_fails:
            raise torch.OutOfMemoryError("not enough")
        return super().encode(mel)

    def decode_step(self, *given: Any) -> torch.Tensor:
        if next(self._decoder_calls) in self._decoder_fails:
            raise torch.OutOfMemoryError("not enough")
        return super().decode_step(*given)


def test_out_of_memory_halves_the_slots_and_loses_nothing(
    model: LoadedModel, clips: list[Path]
) -> None:
    wanted = requests(clips[:6], *BOTH)
    expected = run(transcribe_batched, wanted, model)
    network = ScarceNetwork(model.network, encoder_fails={2, 9}, decoder_fails={3, 30})
    engine = BatchedEngine(model, network=network, slots=32)
    found = {(r.recording_id, r.job): r for r in engine.run(wanted, verbose=None)}
    assert engine.slots == 2
    assert found.keys() == expected.keys()
    assert {k: d for k, r in expected.items() if (d := differences(found[k], r))} == {}


def test_out_of_memory_with_a_single_slot_is_an_error(
    model: LoadedModel, clips: list[Path]
) -> None:
    network = ScarceNetwork(model.network, encoder_fails=set(), decoder_fails={3})
    engine = BatchedEngine(model, network=network, slots=1)
    with pytest.raises(torch.OutOfMemoryError):
        list(engine.run(requests(clips[:1], BOTH[0]), verbose=None))


def test_bad_recordings_fail_with_a_reason_and_the_others_go_on(
    model: LoadedModel, clips: list[Path], tmp_path: Path
) -> None:
    paths = [clips[0], SAMPLES / "bad" / "notes.mp3", SAMPLES / "bad" / "empty.wav", clips[1]]
    found = run(transcribe_batched, requests([*paths, tmp_path / "none.wav"], *BOTH), model)
    reasons = [found[f"{n:064x}", BOTH[0]] for n in range(5)]
    assert [r.reason if isinstance(r, Failure) else None for r in reasons] == [
        *(None, Reason.NOT_AUDIO, Reason.EMPTY_FILE, None, Reason.UNREADABLE)
    ]


class WatchedNetwork(Network):
    """Calls `watch` with the number of windows before it encodes them, and with 0 before a step."""

    def __init__(self, whisper_model: Any, watch: Callable[[int], None]) -> None:
        super().__init__(whisper_model, torch.float32)
        self._watch = watch

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        self._watch(len(mel))
        return super().encode(mel)

    def decode_step(self, *given: Any) -> torch.Tensor:
        self._watch(0)
        return super().decode_step(*given)


def test_both_tasks_share_decoding_and_encoding(model: LoadedModel) -> None:
    wanted = requests([SAMPLES / "long" / "long-es.mp3"], *BOTH)
    encoded: list[int] = []
    network = WatchedNetwork(model.network, encoded.append)
    engine = BatchedEngine(model, network=network)
    found = {(r.recording_id, r.job): r for r in engine.run(wanted, verbose=None)}
    windows = []
    for job in BOTH:
        result = found[wanted[0].recording_id, job]
        assert isinstance(result, Transcript)
        windows.append({segment["seek"] for segment in result.segments})
    assert windows[0] & windows[1]
    assert 0 < sum(encoded) <= len(windows[0] | windows[1]) + 2


def test_in_turns_nothing_is_computed_while_audio_is_decoded(
    model: LoadedModel, clips: list[Path]
) -> None:
    started: list[Workers[Samples]] = []
    pending = []

    def workers() -> Workers[Samples]:
        started.append(Workers(2, Decoding()))
        return started[-1]

    def watch(_: int) -> None:
        pending.append(started[-1].pending)

    network = WatchedNetwork(model.network, watch)
    engine = BatchedEngine(model, network=network, slots=2, workers=workers, in_turns=True)
    short = sorted(clips, key=lambda clip: clip.stat().st_size)[:8]
    found = list(engine.run(iter(requests(short, BOTH[0])), verbose=None))
    assert len(found) == 8
    assert set(pending) == {0}


def test_not_in_turns_audio_is_decoded_while_the_engine_computes(
    model: LoadedModel, clips: list[Path]
) -> None:
    started: list[Workers[Samples]] = []
    pending = []

    def workers() -> Workers[Samples]:
        started.append(Workers(1, Decoding()))
        return started[-1]

    network = WatchedNetwork(model.network, lambda _: pending.append(started[-1].pending))
    engine = BatchedEngine(model, network=network, slots=2, workers=workers, in_turns=False)
    short = sorted(clips, key=lambda clip: clip.stat().st_size)[:8]
    found = list(engine.run(iter(requests(short, BOTH[0])), verbose=None))
    assert len(found) == 8
    assert max(pending) > 0


def test_engine_works_again_after_a_caller_that_stopped_early(
    model: LoadedModel, clips: list[Path]
) -> None:
    wanted = requests(clips[:6], BOTH[0])
    first = next(iter(transcribe_batched(iter(wanted), model)))
    again = run(transcribe_batched, wanted, model)
    assert differences(again[first.recording_id, first.job], first) == []
