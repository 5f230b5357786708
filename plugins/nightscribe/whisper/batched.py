"""The batched engine: the reference's algorithm per recording, its work done in batches.

Recordings are independent of each other, so many are transcribed at once: each is a generator
(`longform`) that says which window it needs next; the windows of all are encoded together and
decoded side by side (`lane`). A window's place is taken by another's as soon as its text ends.
"""

from __future__ import annotations

import logging
import zlib
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from whisper.audio import CHUNK_LENGTH, N_FRAMES
from whisper.utils import compression_ratio, format_timestamp

from nightscribe.audio.cores import takes_turns, workers_for
from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.stored import Samples
from nightscribe.audio.workers import Workers
from nightscribe.errors import Reason, Rejected
from nightscribe.languages import LANGUAGES
from nightscribe.whisper.alignment import Reading, align
from nightscribe.whisper.engine import (
    Failure,
    Job,
    LoadedModel,
    Request,
    Transcript,
    failures_of,
    indigestible,
)
from nightscribe.whisper.lane import Answer, Kind, Lane, Task
from nightscribe.whisper.longform import Align, Decode, Decoded, Detect, Shape, Text, Wish
from nightscribe.whisper.longform import transcribe as read_long
from nightscribe.whisper.network import prepared
from nightscribe.whisper.options import Options
from nightscribe.whisper.rules import Vocabulary
from nightscribe.whisper.sizing import slots_that_fit, windows_at_once
from nightscribe.whisper.sound import Sound

log = logging.getLogger(__name__)

_WAITING_BYTES = 256 * 1024**2  # of encoded recordings read ahead of the decoders
_FEATURES_KEPT = 2  # windows of a recording, for the other task and for word timestamps


def transcribe(
    requests: Iterable[Request],
    model: LoadedModel,
    *,
    verbose: bool | None = None,
    slots: int = 0,
) -> Iterator[Transcript | Failure]:
    """Transcribe the jobs of all requests; results come in the order in which they are done.

    `slots` windows are decoded side by side; 0 means as many as fit into free memory.
    """
    yield from BatchedEngine(model, slots=slots).run(requests, verbose=verbose)


@dataclass(eq=False)
class _Recording:
    """A recording that is being transcribed, and the features of its windows that are known."""

    request: Request
    sound: Sound
    duration_s: float
    warning: str | None
    features: OrderedDict[tuple[int, int], Tensor] = field(default_factory=OrderedDict)
    detected: tuple[str, float] | None = None


@dataclass(eq=False)
class _Thread:
    """One job of a recording: its generator, and what that waits for."""

    recording: _Recording
    job: Job
    steps: Generator[Wish, Any, Text]
    wish: Wish | None = None
    in_slot: bool = False


class BatchedEngine:
    """The engine over one model, with so many slots for windows in decoding (0: what fits)."""

    def __init__(self, model: LoadedModel, *, slots: int = 0, encoded_at_once: int = 0) -> None:
        self._model = model
        self._network = prepared(model.network, getattr(torch, model.precision))
        dims = model.network.dims
        self._shape = Shape(
            model.network.is_multilingual,
            model.network.num_languages,
            dims.n_audio_ctx,
            dims.n_text_ctx,
        )
        tokenizer = self._shape.tokenizer("en", "transcribe")
        self._vocabulary = Vocabulary(
            tokenizer.eot, tokenizer.timestamp_begin, tuple(tokenizer.encode(" "))
        )
        self._tokenizer = tokenizer
        self._slots = slots or slots_that_fit(self._network)
        # In turns, what shares a batch, and with it the last digits of a result, does not hang on
        # which decoder was done first.
        self._takes_turns = takes_turns(model.device)
        self._ahead = max(2, self._slots // 4) if self._takes_turns else 2
        self._encoded_at_once = encoded_at_once or windows_at_once(self._network, self._slots)
        self._lanes: dict[Kind, Lane] = {}
        self._arrived: deque[tuple[Request, Samples | Rejected]] = deque()
        self._threads: list[_Thread] = []
        self._done: list[Transcript | Failure] = []

    def run(
        self, requests: Iterable[Request], *, verbose: bool | None
    ) -> Iterator[Transcript | Failure]:
        """Transcribe; requests are pulled as slots become free."""
        arriving = iter(requests)
        decoders = Workers(workers_for(self._model.device), Decoding())
        on_the_way: dict[int, Request] = {}
        more = True
        try:
            while more or on_the_way or self._arrived or self._threads:
                # Lines of several recordings would be a muddle: who reads along gets one at a time.
                at_once = 1 if verbose else self._slots
                limit = at_once if verbose else at_once + self._ahead
                begun = len(self._threads) + len(self._arrived)
                if self._takes_turns and begun >= at_once:
                    limit = begun
                while (
                    more
                    and begun + len(on_the_way) < limit
                    and decoders.waiting_bytes < _WAITING_BYTES
                ):
                    request = next(arriving, None)
                    if request is None:
                        more = False
                        break
                    try:
                        on_the_way[decoders.submit(request.audio)] = request
                    except OSError as error:
                        rejected = Rejected(Reason.UNREADABLE, str(error))
                        self._done += failures_of(request, rejected)
                if self._takes_turns:
                    self._arrived += _all_of(decoders, on_the_way)
                elif len(self._threads) < at_once and not self._arrived:
                    for number, outcome in decoders.finished(wait_for_one=not self._threads):
                        self._arrived.append((on_the_way.pop(number), outcome))
                if not self._went_on(verbose):
                    self._shrink()
                yield from self._done
                self._done.clear()
        finally:
            decoders.close()
            # Whoever stops listening leaves windows in the slots.
            self._threads.clear()
            self._lanes.clear()
            self._arrived.clear()
            self._done.clear()

    def _went_on(self, verbose: bool | None) -> bool:
        """Begin what has arrived, answer all wishes, read a token; False: out of device memory."""
        try:
            while self._arrived:
                self._begin(*self._arrived[0], verbose)
                self._arrived.popleft()
            self._answer_detections(verbose)
            self._answer_alignments()
            self._admit()
            self._step()
        except torch.OutOfMemoryError:
            if self._slots == 1:
                raise
            return False
        return True

    def _shrink(self) -> None:
        """Half the slots after the device ran out of memory. Windows in them are begun again."""
        self._slots //= 2
        self._encoded_at_once = max(1, self._encoded_at_once // 2)
        log.warning("out of device memory: going on with %d slots", self._slots)
        self._lanes.clear()
        for thread in self._threads:
            thread.in_slot = False
            thread.recording.features.clear()
        torch.cuda.empty_cache()

    def _begin(self, request: Request, outcome: Samples | Rejected, verbose: bool | None) -> None:
        if isinstance(outcome, Rejected):
            self._done += failures_of(request, outcome)
            return
        sound = Sound(outcome.samples, self._network.dims.n_mels, self._model.device)
        duration_s = len(outcome.samples) / SAMPLE_RATE
        recording = _Recording(request, sound, duration_s, outcome.warning)
        for job in request.jobs:
            steps = read_long(
                sound.frames, job.task, job.options, self._shape, show if verbose else None
            )
            thread = _Thread(recording, job, steps)
            self._threads.append(thread)
            self._go_on(thread, None)

    def _go_on(self, thread: _Thread, answer: Any) -> None:
        """Let a recording's algorithm run until its next wish, or its end."""
        recording = thread.recording
        try:
            thread.wish = thread.steps.send(answer)
        except StopIteration as end:
            self._threads.remove(thread)
            text: Text = end.value
            self._done.append(
                Transcript(
                    recording_id=recording.request.recording_id,
                    job=thread.job,
                    language=text.language,
                    language_probability=text.language_probability,
                    text=text.text,
                    segments=text.segments,
                    duration_s=recording.duration_s,
                    warning=recording.warning,
                )
            )
        except Exception as error:
            self._give_up(thread, error)

    def _give_up(self, thread: _Thread, error: Exception) -> None:
        """A recording that cannot be digested must not stop the others."""
        failure = indigestible(thread.recording.request.recording_id, thread.job, error)
        self._threads.remove(thread)
        self._done.append(failure)

    def _answer_detections(self, verbose: bool | None) -> None:
        waiting = [thread for thread in self._threads if isinstance(thread.wish, Detect)]
        recordings = {id(t.recording): t.recording for t in waiting}
        unknown = [r for r in recordings.values() if r.detected is None]
        for first in range(0, len(unknown), self._encoded_at_once):
            some = unknown[first : first + self._encoded_at_once]
            features = self._network.encode(torch.stack([r.sound.opening() for r in some]))
            languages = self._languages(features)
            for recording, one, found in zip(some, features, languages, strict=True):
                recording.detected = found
                if verbose:
                    print(f"Detected language: {LANGUAGES[found[0]].title()}", flush=True)
                if recording.sound.frames >= N_FRAMES:
                    # No padding: these are the features of the first window, too.
                    self._keep(recording, (0, N_FRAMES), one)
        for thread in waiting:
            self._go_on(thread, thread.recording.detected)

    def _languages(self, features: Tensor) -> list[tuple[str, float]]:
        start = torch.full((len(features), 1), self._tokenizer.sot, device=features.device)
        logits = self._network.attend(start, features)[0][:, 0]
        tokens = list(self._tokenizer.all_language_tokens)
        # Over the languages alone: all other tokens are out of the question.
        shares = logits[:, tokens].softmax(-1).cpu()
        best = shares.argmax(-1).tolist()
        codes = self._tokenizer.all_language_codes
        return [(codes[at], float(row[at])) for at, row in zip(best, shares, strict=True)]

    def _keep(self, recording: _Recording, window: tuple[int, int], features: Tensor) -> None:
        recording.features[window] = features
        while len(recording.features) > max(_FEATURES_KEPT, len(recording.request.jobs)):
            recording.features.popitem(last=False)

    def _encode(self, wishes: list[tuple[_Recording, int, int]]) -> list[Tensor]:
        """Features of windows, from those known or by the encoder."""
        found: dict[tuple[int, int, int], Tensor] = {}
        missing: dict[tuple[int, int, int], tuple[_Recording, int, int]] = {}
        for recording, seek, size in wishes:
            key = id(recording), seek, size
            if (seek, size) in recording.features:
                found[key] = recording.features[seek, size]
            else:
                missing[key] = (recording, seek, size)
        todo = list(missing.values())
        for first in range(0, len(todo), self._encoded_at_once):
            some = todo[first : first + self._encoded_at_once]
            mel = torch.stack([r.sound.window(seek, size) for r, seek, size in some])
            for (recording, seek, size), one in zip(some, self._network.encode(mel), strict=True):
                found[id(recording), seek, size] = one
                self._keep(recording, (seek, size), one)
        return [found[id(recording), seek, size] for recording, seek, size in wishes]

    def _answer_alignments(self) -> None:
        waiting = [t for t in self._threads if isinstance(t.wish, Align)]
        for first in range(0, len(waiting), self._encoded_at_once):
            some = waiting[first : first + self._encoded_at_once]
            windows, readings = [], []
            for thread in some:
                wish = thread.wish
                assert isinstance(wish, Align)
                windows.append((thread.recording, wish.seek, wish.size))
                tokenizer = self._shape.tokenizer(wish.language, thread.job.task)
                readings.append(Reading(wish.text_tokens, tokenizer, wish.size))
            features = torch.stack(self._encode(windows))
            found = align(self._network, readings, features)
            for thread, timings in zip(some, found, strict=True):
                self._go_on(thread, timings)

    def _admit(self) -> None:
        """Let waiting windows into free slots."""
        by_kind: dict[Kind, list[_Thread]] = {}
        for thread in self._threads:
            if isinstance(thread.wish, Decode) and not thread.in_slot:
                by_kind.setdefault(_kind(thread.job, thread.wish.temperature), []).append(thread)
        for kind, threads in by_kind.items():
            lane = self._lanes.get(kind)
            if lane is None:
                slots = max(1, self._slots // kind.group)
                lane = Lane(self._network, self._vocabulary, self._tokenizer.no_speech, slots, kind)
                self._lanes[kind] = lane
            while threads and lane.free:
                some: list[_Thread] = []
                wishes = []
                tasks = []
                chosen = threads[: min(lane.free, self._encoded_at_once)]
                del threads[: len(chosen)]
                for thread in chosen:
                    assert isinstance(thread.wish, Decode)
                    try:
                        tasks.append(self._task(thread, thread.wish))
                    except Exception as error:
                        self._give_up(thread, error)
                        continue
                    wishes.append((thread.recording, thread.wish.seek, thread.wish.size))
                    some.append(thread)
                    thread.in_slot = True
                if some:
                    lane.admit(tasks, some, torch.stack(self._encode(wishes)))

    def _task(self, thread: _Thread, wish: Decode) -> Task:
        options = thread.job.options
        tokenizer = self._shape.tokenizer(wish.language, thread.job.task)
        prompt = list(wish.prompt[-(self._shape.text_context // 2 - 1) :])
        tokens = [tokenizer.sot_prev, *prompt] if prompt else []
        start = len(tokens)
        untimed = options.without_timestamps
        tokens += (
            tokenizer.sot_sequence_including_notimestamps if untimed else tokenizer.sot_sequence
        )
        tokens += self._prefix(options)
        context = self._shape.text_context
        if len(tokens) > context:
            raise ValueError(f"prompt and prefix take {len(tokens)} tokens; {context} can be read")
        beams = options.beam_size or 1
        seed = f"{thread.recording.request.recording_id} {thread.job.task} {wish.seek}"
        precision = CHUNK_LENGTH / self._shape.audio_context
        latest = options.max_initial_timestamp
        return Task(
            tokens=tuple(tokens),
            start=start,
            temperature=wish.temperature,
            length_limit=options.sample_len or self._shape.text_context // 2,
            suppressed=suppressed(tokenizer, options.suppress_tokens, timed=not untimed),
            timed=not untimed,
            blank_allowed=not options.suppress_blank,
            latest_first=round(latest / precision) if latest else self._shape.audio_context,
            length_penalty=options.length_penalty,
            candidates=round(beams * (options.patience or 1.0)),
            seed=zlib.crc32(f"{seed} {wish.temperature}".encode()),
        )

    def _prefix(self, options: Options) -> list[int]:
        """Tokens that every window's text is made to begin with; they are not part of it."""
        if not options.prefix:
            return []
        tokens: list[int] = self._tokenizer.encode(" " + options.prefix.strip())
        if options.sample_len is None:
            return tokens
        return tokens[-(self._shape.text_context // 2 - options.sample_len) :]

    def _step(self) -> None:
        for lane in self._lanes.values():
            if not lane.used:
                continue
            finished = lane.finished()
            if not finished:
                lane.step()
                finished = lane.finished()
            for thread, answer in finished:
                thread.in_slot = False
                self._go_on(thread, self._decoded(thread, answer))

    def _decoded(self, thread: _Thread, answer: Answer) -> Decoded:
        assert isinstance(thread.wish, Decode)
        text = self._tokenizer.decode(answer.tokens).strip()
        return Decoded(
            tokens=answer.tokens,
            temperature=thread.wish.temperature,
            avg_logprob=answer.avg_logprob,
            compression_ratio=compression_ratio(text),
            no_speech_prob=answer.no_speech_prob,
        )


def _all_of(
    decoders: Workers[Samples], on_the_way: dict[int, Request]
) -> list[tuple[Request, Samples | Rejected]]:
    """Wait for all that is being decoded; in the order in which it was handed in."""
    outcomes: dict[int, Samples | Rejected] = {}
    while len(outcomes) < len(on_the_way):
        outcomes.update(decoders.finished(wait_for_one=True))
    found = [(request, outcomes[number]) for number, request in on_the_way.items()]
    on_the_way.clear()
    return found


def show(segments: list[dict[str, Any]]) -> None:
    """Print a window's segments as the `whisper` command does."""
    for segment in segments:
        start, end = format_timestamp(segment["start"]), format_timestamp(segment["end"])
        print(f"[{start} --> {end}] {segment['text']}", flush=True)


def _kind(job: Job, temperature: float) -> Kind:
    """Beams at temperature 0, samples above, as the reference chooses."""
    if temperature == 0:
        beams = job.options.beam_size
        return Kind(beams or 1, beams is not None)
    return Kind(job.options.best_of or 1, False)


def suppressed(tokenizer: Any, given: str, *, timed: bool) -> tuple[int, ...]:
    """Tokens that are never said; -1 among those given stands for all that are no speech.

    As in the reference, nothing given means that not even the special tokens are suppressed.
    """
    if not given:
        return (tokenizer.no_timestamps,) if timed else ()
    never = {int(token) for token in given.split(",")}
    if -1 in never:
        never = {token for token in never if token >= 0} | set(tokenizer.non_speech_tokens)
    never |= {tokenizer.transcribe, tokenizer.translate, tokenizer.sot}
    never |= {tokenizer.sot_prev, tokenizer.sot_lm}
    if timed:
        never.add(tokenizer.no_timestamps)
    if tokenizer.no_speech is not None:
        never.add(tokenizer.no_speech)
    return tuple(sorted(never))
