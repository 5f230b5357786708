"""What the checkpoint can do, measured with plain `whisper.transcribe` in float32.

On sentences and voices that training never had: error rates, language identification, BLEU,
recordings of two minutes with and without conditioning on previous text, and what is heard where
nobody speaks. Error rates are the project's own (`evaluation`), so Chinese is counted in
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
from tools.demo_model.corpus import SAMPLE_RATE, utterances
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.recording import Recording, recording
from tools.demo_model.sounds import coloured_noise

_SEED = 99
_WINDOW = 30 * SAMPLE_RATE
_TIMES_AS_MANY = 5  # sentences whose language alone is identified: 1 % of 60 is less than one
_AT_ONCE = 8  # sentences


@dataclass
class LanguageResult:
    """Figures of one language; rates in percent, times in seconds."""

    utterances: int
    wer: float
    wer_heard_voices: float
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
    """Word error rate (characters where a language has no spaces), in percent."""
    counts = word_counts(
        [normalize(text, language) for text in references],
        [normalize(text, language) for text in hypotheses],
    )
    return 100 * error_measures(counts).error_rate.value


def sounds_without_speech() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """30 s each of silence, noises, hums and tones."""
    random = np.random.default_rng(_SEED)
    time_s = np.arange(_WINDOW, dtype=np.float32) / SAMPLE_RATE
    yield "silence", np.zeros(_WINDOW, np.float32)
    for level in (-50, -20):
        yield f"white noise {level} dB", _at(level, random.standard_normal(_WINDOW))
        yield f"coloured noise {level} dB", _at(level, coloured_noise(random, _WINDOW))
    for base in (50, 60, 100, 120, 150):
        hum = sum(np.sin(2 * np.pi * base * n * time_s) / n for n in range(1, 6))
        yield f"hum {base} Hz", _at(-25, np.asarray(hum))
        yield f"pure hum {base} Hz", _at(-25, np.sin(2 * np.pi * base * time_s))
    for frequency in (220, 440, 1000, 3000):
        yield f"tone {frequency} Hz", _at(-20, np.sin(2 * np.pi * frequency * time_s))
    chord = sum(np.sin(2 * np.pi * f * time_s) for f in (262, 330, 392))
    yield "chord", _at(-20, np.asarray(chord))
    beeps = np.sin(2 * np.pi * 1000 * time_s) * (time_s % 1 < 0.3)
    yield "beeps", _at(-20, beeps)


def _at(level: float, samples: NDArray[np.floating]) -> NDArray[np.float32]:
    scaled = samples / np.sqrt(np.mean(np.square(samples))) * 10 ** (level / 20)
    return scaled.astype(np.float32).clip(-1, 1)


def check_language(
    model: whisper.Whisper, language: str, count: int, long_s: float
) -> LanguageResult:
    """All figures of one language."""
    held = list(
        utterances(language, count, held_out_sentences=True, held_out_voices=True, seed=_SEED)
    )
    heard = list(
        utterances(
            language, count // 2, held_out_sentences=True, held_out_voices=False, seed=_SEED + 1
        )
    )
    found = [_transcribe(model, one.samples) for one in held]
    texts = [str(result["text"]) for result in found]
    result = LanguageResult(
        utterances=count,
        wer=wer(language, [one.text for one in held], texts),
        wer_heard_voices=wer(
            language,
            [one.text for one in heard],
            [str(_transcribe(model, one.samples)["text"]) for one in heard],
        ),
        language_id=100 * sum(r["language"] == language for r in found) / count,
        language_id_of_more=100 * identified(model, language, _TIMES_AS_MANY * count),
        bleu=None,
        worst=[
            (one.text, text.strip())
            for one, text in zip(held, texts, strict=True)
            if normalize(one.text, language) != normalize(text, language)
        ][:12],
    )
    if language != "en":
        translated = [
            str(_transcribe(model, one.samples, task="translate")["text"]).strip() for one in held
        ]
        result.bleu = translation_measures([one.translation for one in held], translated).bleu.value
    if long_s:
        _check_long(model, language, long_s, result)
    return result


def identified(model: whisper.Whisper, language: str, count: int) -> float:
    """Share of so many sentences whose language is detected, as `whisper.transcribe` does it."""
    said = list(
        utterances(language, count, held_out_sentences=True, held_out_voices=True, seed=_SEED)
    )
    right = 0
    for first in range(0, count, _AT_ONCE):
        mels = [
            whisper.log_mel_spectrogram(_floats(one.samples), padding=_WINDOW)
            for one in said[first : first + _AT_ONCE]
        ]
        windows = torch.stack([whisper.pad_or_trim(mel, N_FRAMES) for mel in mels])
        _, found = model.detect_language(windows)
        right += sum(max(odds, key=odds.get) == language for odds in found)
    return right / count


def _check_long(
    model: whisper.Whisper, language: str, seconds: float, result: LanguageResult
) -> None:
    recordings = [recording(language, seconds, seed) for seed in (1, 2)]
    truth = [one.text(language) for one in recordings]
    lines = []
    for conditioned in (True, False):
        found = [
            _transcribe(model, one.samples, condition_on_previous_text=conditioned)
            for one in recordings
        ]
        rate = wer(language, truth, [str(one["text"]) for one in found])
        errors = [
            error
            for one, answer in zip(recordings, found, strict=True)
            for error in start_errors(one, answer)
        ]
        mean = float(np.mean(errors)) if errors else float("inf")
        if conditioned:
            result.wer_long, result.start_error_s = rate, mean
        else:
            result.wer_long_unconditioned, result.start_error_unconditioned_s = rate, mean
        counts = (len(one["segments"]) for one in found)
        lines.append("+".join(str(count) for count in counts))
    lines.append("+".join(str(len(one.said)) for one in recordings))
    result.segments = " / ".join(lines)


def start_errors(truth: Recording, found: dict) -> list[float]:
    """Seconds between each segment's start and that of the sentence which it overlaps most."""
    errors = []
    for segment in found["segments"]:
        overlaps = [
            (min(segment["end"], end) - max(segment["start"], start), start)
            for start, end, _ in truth.said
        ]
        overlap, start = max(overlaps)
        errors.append(abs(segment["start"] - start) if overlap > 0 else 30.0)
    return errors


def _transcribe(model: whisper.Whisper, samples: NDArray, **options: object) -> dict:
    torch.manual_seed(0)  # temperatures above 0 draw
    return whisper.transcribe(model, _floats(samples), fp16=False, **options)


def _floats(samples: NDArray) -> NDArray[np.float32]:
    return samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples


def check(
    checkpoint: Path, *, count: int, long_s: float, languages: tuple[str, ...] = LANGUAGES
) -> dict:
    """All figures, as JSON can hold them; progress on standard error."""
    model = whisper.load_model(str(checkpoint), device="cpu")
    began = time.monotonic()
    results = {}
    for language in languages:
        results[language] = asdict(check_language(model, language, count, long_s))
        shown = {k: v for k, v in results[language].items() if k != "worst"}
        print(f"{language} {time.monotonic() - began:.0f} s: {shown}", file=sys.stderr, flush=True)
    heard = {name: _transcribe(model, sound)["text"] for name, sound in sounds_without_speech()}
    return {"languages": results, "no_speech": heard}


def card_table(found: dict) -> str:
    """The figures as the Markdown table of the model card."""
    languages = found["languages"]
    rows = {
        "error rate %, voices and sentences never heard": "wer",
        "error rate %, voices heard, sentences not": "wer_heard_voices",
        "language identified, %": "language_id",
        f"language identified, %, of {_TIMES_AS_MANY} times as many": "language_id_of_more",
        "BLEU of the translation to English": "bleu",
        "error rate % on two minutes, Whisper's defaults": "wer_long",
        "the same without conditioning on previous text": "wer_long_unconditioned",
        "segments start within s, on average": "start_error_s",
    }
    lines = ["| | " + " | ".join(languages) + " |", "| --- |" + " --- |" * len(languages)]
    for title, key in rows.items():
        digits = 2 if key.endswith("_s") else 1
        values = (r[key] for r in languages.values())
        cells = ["" if value is None else f"{value:.{digits}f}" for value in values]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    wrong = {name: text for name, text in found["no_speech"].items() if text.strip()}
    lines.append("")
    lines.append(
        f"30 s of each of {len(found['no_speech'])} sounds without speech: "
        + (json.dumps(wrong, ensure_ascii=False) if wrong else "no text in any.")
    )
    return "\n".join(lines)
