"""Measure a checkpoint with `whisper.transcribe` in float32.

The sentences and voices are not in the training data. Measures error rates, language
identification, BLEU, recordings of two minutes with and without conditioning on previous text, and
the text for sounds without speech. `evaluation` computes the error rates, so Chinese is counted in
characters.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from whisper.audio import N_FRAMES

from evaluation.measure.counts import word_counts
from evaluation.measure.normalize import normalize
from evaluation.measure.rates import error_measures
from evaluation.measure.translation import translation_measures
from nightscribe.non_speech.sounds import at_level, seconds, sine
from tools.demo_model.corpus import SAMPLE_RATE, utterances
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.recording import Recording, recording
from tools.demo_model.sounds import colored_noise

_SEED = 99
_WINDOW = 30 * SAMPLE_RATE
_LANGUAGE_ID_FACTOR = 5  # more sentences for language identification: 1 % of 60 is less than one
_BATCH = 8  # sentences per batch of language identification


@dataclass
class LanguageResult:
    """Figures of one language. Rates are in percent, times in seconds."""

    utterances: int
    wer: float
    wer_known_voices: float
    language_id: float
    language_id_of_more: float
    bleu: float | None
    wer_long: float = 0.0
    wer_long_unconditioned: float = 0.0
    start_error_s: float = 0.0
    start_error_unconditioned_s: float = 0.0
    segments: str = ""
    worst: list[tuple[str, str]] = field(default_factory=list)


def wer(language: str, references: list[str], hypotheses: list[str]) -> float:
    """Word error rate in percent; character error rate for languages without spaces."""
    counts = word_counts(
        [normalize(text, language) for text in references],
        [normalize(text, language) for text in hypotheses],
    )
    return 100 * error_measures(counts).error_rate.value


def sounds_without_speech() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(name, samples) of 30 s each of silence, noises, hums and tones."""
    random = np.random.default_rng(_SEED)
    time_s = seconds(_WINDOW)
    yield "silence", np.zeros(_WINDOW, np.float32)
    for level in (-50, -20):
        yield f"white noise {level} dB", at_level(random.standard_normal(_WINDOW), level)
        yield f"colored noise {level} dB", at_level(colored_noise(random, _WINDOW), level)
    for base in (50, 60, 100, 120, 150):
        hum = sum(np.sin(2 * np.pi * base * n * time_s) / n for n in range(1, 6))
        yield f"hum {base} Hz", at_level(np.asarray(hum), -25)
        yield f"pure hum {base} Hz", at_level(sine(_WINDOW, base), -25)
    for frequency in (220, 440, 1000, 3000):
        yield f"tone {frequency} Hz", at_level(sine(_WINDOW, frequency), -20)
    yield "chord", at_level(sine(_WINDOW, 262, 330, 392), -20)
    yield "beeps", at_level(sine(_WINDOW, 1000) * (time_s % 1 < 0.3), -20)


def check_language(
    model: whisper.Whisper, language: str, count: int, long_count: int, long_s: float
) -> LanguageResult:
    """Measure one language: `count` sentences, `long_count` recordings of `long_s` seconds."""
    new_voices = list(
        utterances(language, count, held_out_sentences=True, held_out_voices=True, seed=_SEED)
    )
    known_voices = list(
        utterances(
            language, count // 2, held_out_sentences=True, held_out_voices=False, seed=_SEED + 1
        )
    )
    transcripts = [_transcribe(model, one.samples) for one in new_voices]
    texts = [str(transcript["text"]) for transcript in transcripts]
    result = LanguageResult(
        utterances=count,
        wer=wer(language, [one.text for one in new_voices], texts),
        wer_known_voices=wer(
            language,
            [one.text for one in known_voices],
            [str(_transcribe(model, one.samples)["text"]) for one in known_voices],
        ),
        language_id=100 * sum(each["language"] == language for each in transcripts) / count,
        language_id_of_more=100 * identified(model, language, _LANGUAGE_ID_FACTOR * count),
        bleu=None,
        worst=[
            (one.text, text.strip())
            for one, text in zip(new_voices, texts, strict=True)
            if normalize(one.text, language) != normalize(text, language)
        ][:12],
    )
    if language != "en":
        translated = [
            str(_transcribe(model, one.samples, task="translate")["text"]).strip()
            for one in new_voices
        ]
        references = [one.translation for one in new_voices]
        result.bleu = translation_measures(references, translated).bleu.value
    _check_long(model, language, long_count, long_s, result)
    return result


def identified(model: whisper.Whisper, language: str, count: int) -> float:
    """Share of `count` sentences whose language is identified, as `whisper.transcribe` does it."""
    sentences = list(
        utterances(language, count, held_out_sentences=True, held_out_voices=True, seed=_SEED)
    )
    right = 0
    for first in range(0, count, _BATCH):
        mels = [
            whisper.log_mel_spectrogram(_floats(one.samples), padding=_WINDOW)
            for one in sentences[first : first + _BATCH]
        ]
        windows = torch.stack([whisper.pad_or_trim(mel, N_FRAMES) for mel in mels])
        _, probabilities = model.detect_language(windows)
        right += sum(max(each, key=each.get) == language for each in probabilities)
    return right / count


def _check_long(
    model: whisper.Whisper, language: str, count: int, seconds: float, result: LanguageResult
) -> None:
    recordings = [recording(language, seconds, seed) for seed in range(1, count + 1)]
    references = [one.text(language) for one in recordings]
    lines = []
    for conditioned in (True, False):
        transcripts = [
            _transcribe(model, one.samples, condition_on_previous_text=conditioned)
            for one in recordings
        ]
        rate = wer(language, references, [str(each["text"]) for each in transcripts])
        errors = [
            error
            for one, transcript in zip(recordings, transcripts, strict=True)
            for error in start_errors(one, transcript)
        ]
        mean = float(np.mean(errors)) if errors else float("inf")
        if conditioned:
            result.wer_long, result.start_error_s = rate, mean
        else:
            result.wer_long_unconditioned, result.start_error_unconditioned_s = rate, mean
        counts = (len(each["segments"]) for each in transcripts)
        lines.append("+".join(str(count) for count in counts))
    lines.append("+".join(str(len(one.utterances)) for one in recordings))
    result.segments = " / ".join(lines)


def start_errors(truth: Recording, transcript: dict) -> list[float]:
    """For each segment, the distance of its start from that of the sentence it overlaps most, s.

    30 s if the segment overlaps no sentence.
    """
    errors = []
    for segment in transcript["segments"]:
        overlaps = [
            (min(segment["end"], end) - max(segment["start"], start), start)
            for start, end, _ in truth.utterances
        ]
        overlap, start = max(overlaps)
        errors.append(abs(segment["start"] - start) if overlap > 0 else 30.0)
    return errors


def _transcribe(model: whisper.Whisper, samples: NDArray, **options: object) -> dict:
    torch.manual_seed(0)  # temperatures above 0 sample
    return whisper.transcribe(model, _floats(samples), fp16=False, **options)


def _floats(samples: NDArray) -> NDArray[np.float32]:
    return samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples


def check(
    checkpoint: Path,
    *,
    count: int,
    long_count: int,
    long_s: float,
    languages: tuple[str, ...] = LANGUAGES,
) -> dict:
    """Measure all languages; returns figures for JSON. Prints progress to standard error.

    Args:
        count: sentences of a language
        long_count: recordings of many sentences, of a language
        long_s: length of these in seconds
    """
    model = whisper.load_model(str(checkpoint), device="cpu")
    began = time.monotonic()
    results = {}
    for language in languages:
        results[language] = asdict(check_language(model, language, count, long_count, long_s))
        shown = {k: v for k, v in results[language].items() if k != "worst"}
        print(f"{language} {time.monotonic() - began:.0f} s: {shown}", file=sys.stderr, flush=True)
    no_speech = {name: _transcribe(model, sound)["text"] for name, sound in sounds_without_speech()}
    return {"languages": results, "no_speech": no_speech}


def card_table(figures: dict) -> str:
    """The figures as the Markdown table of the model card."""
    languages = figures["languages"]
    rows = {
        "error rate %, new voices, new sentences": "wer",
        "error rate %, known voices, new sentences": "wer_known_voices",
        "language identified, %": "language_id",
        f"language identified, % of {_LANGUAGE_ID_FACTOR} times as many": "language_id_of_more",
        "BLEU of the translation to English": "bleu",
        "error rate % on two minutes, Whisper's defaults": "wer_long",
        "the same without conditioning on previous text": "wer_long_unconditioned",
        "mean error of segment starts, s": "start_error_s",
    }
    lines = ["| | " + " | ".join(languages) + " |", "| --- |" + " --- |" * len(languages)]
    for title, key in rows.items():
        digits = 2 if key.endswith("_s") else 1
        values = (r[key] for r in languages.values())
        cells = ["" if value is None else f"{value:.{digits}f}" for value in values]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    wrong = {name: text for name, text in figures["no_speech"].items() if text.strip()}
    lines.append("")
    lines.append(
        f"Text for 30 s of each of {len(figures['no_speech'])} sounds without speech: "
        + (json.dumps(wrong, ensure_ascii=False) if wrong else "none.")
    )
    return "\n".join(lines)
