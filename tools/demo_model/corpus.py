"""The spoken sentences on disk: a file of samples, and a file of their texts and timings."""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tools.demo_model.espeak import espeak
from tools.demo_model.grammar import Sentence, sentences
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.voices import Voice, draw_voice

SAMPLE_RATE = 16_000
_AUDIBLE = 0.02  # of the peak; quieter samples at start and end are cut


@dataclass(frozen=True)
class Utterance:
    """A spoken sentence, 16 kHz mono.

    Attributes:
        phonemes: (first sample, phoneme)
        words: (first sample, first character, number of characters)
    """

    language: str
    sentence: Sentence
    voice: Voice
    samples: NDArray[np.int16]
    phonemes: list[tuple[int, str]]
    words: list[tuple[int, int, int]]

    @property
    def text(self) -> str:
        return self.sentence[self.language]

    @property
    def translation(self) -> str:
        return self.sentence["en"]


def resampled(samples: NDArray[np.float32], rate: int, to: int) -> NDArray[np.float32]:
    """Resample from `rate` to `to` Hz with FFmpeg's resampler."""
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.rate = rate
    resampler = av.AudioResampler("flt", "mono", to)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([one.to_ndarray()[0] for one in frames])


def speak(sentence: Sentence, language: str, voice: Voice) -> Utterance:
    """Speak a sentence with espeak-ng. Cuts silence at both ends, and scales the peak to 0.5."""
    spoken = espeak().speak(
        sentence[language], voice.name, rate=voice.rate, pitch=voice.pitch, spread=voice.spread
    )
    rate = round(spoken.rate * voice.size)
    samples = resampled(spoken.samples, rate, SAMPLE_RATE)
    peak = float(np.abs(samples).max())
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE * peak)
    first, last = int(audible[0]), int(audible[-1]) + 1

    def resampled_at(sample: int) -> int:
        return max(0, sample * SAMPLE_RATE // rate - first)

    return Utterance(
        language,
        sentence,
        voice,
        (samples[first:last] / peak * 0.5 * 32767).astype(np.int16),
        [(resampled_at(start), name) for start, name in spoken.phonemes],
        [(resampled_at(start), position, length) for start, position, length in spoken.words],
    )


def utterances(
    language: str, count: int, *, held_out_sentences: bool, held_out_voices: bool, seed: int
) -> Iterator[Utterance]:
    """Speak `count` random sentences of a language, each in a random voice."""
    pick = random.Random(f"{language} {seed}")
    drawn = islice(sentences(held_out=held_out_sentences, seed=seed), count)
    for sentence in drawn:
        yield speak(sentence, language, draw_voice(language, pick, held_out=held_out_voices))


class Corpus:
    """The training set that `write_corpus` wrote. The samples are mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self._samples = np.memmap(folder / "samples.i16", dtype=np.int16, mode="r")
        self._lines = (folder / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
        self.by_language: dict[str, list[int]] = {language: [] for language in LANGUAGES}
        phonemes: set[str] = set()
        self._records: list[dict] = []
        for index, line in enumerate(self._lines):
            record = json.loads(line)
            self._records.append(record)
            self.by_language[record["language"]].append(index)
            phonemes.update(f"{record['language']} {name}" for _, name in record["phonemes"])
        # A pause is not a phoneme; class 0 is no speech.
        self.phoneme_classes = {
            name: index
            for index, name in enumerate(sorted(p for p in phonemes if "_" not in p), start=1)
        }
        words = {word for index in range(len(self)) for word in self.spoken_words(index)}
        self.word_classes = {word: index for index, word in enumerate(sorted(words), start=1)}

    def __len__(self) -> int:
        return len(self._records)

    def spoken_words(self, index: int) -> list[str]:
        """The words of an utterance, as espeak-ng splits it, prefixed with the language."""
        record = self._records[index]
        text = record["sentence"][record["language"]].lower()
        return [f"{record['language']} {text[p : p + n]}" for _, p, n in record["words"]]

    def __getitem__(self, index: int) -> Utterance:
        record = self._records[index]
        start = record["start"]
        return Utterance(
            record["language"],
            record["sentence"],
            Voice(**record["voice"]),
            self._samples[start : start + record["count"]],
            record["phonemes"],
            record["words"],
        )


def write_corpus(folder: Path, sentences_per_language: int, *, seed: int) -> None:
    """Speak the training set into a folder. Does nothing if the folder has a complete one."""
    done = folder / "utterances.jsonl"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    position = 0
    partial = folder / "utterances.partial"
    with (folder / "samples.i16").open("wb") as audio, partial.open("w", encoding="utf-8") as lines:
        for language in LANGUAGES:
            for one in utterances(
                language,
                sentences_per_language,
                held_out_sentences=False,
                held_out_voices=False,
                seed=seed,
            ):
                record = {
                    "language": language,
                    "sentence": one.sentence,
                    "voice": vars(one.voice),
                    "start": position,
                    "count": len(one.samples),
                    "phonemes": one.phonemes,
                    "words": one.words,
                }
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
                audio.write(one.samples.tobytes())
                position += len(one.samples)
            hours = position / SAMPLE_RATE / 3600
            print(f"spoke {language}: {hours:.1f} h of speech so far", file=sys.stderr, flush=True)
    partial.rename(done)
