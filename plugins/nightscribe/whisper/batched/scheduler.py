"""The engine's loop: many recordings at once, with all slots of the decoder in use.

Recordings are independent of each other, so many are transcribed at once. Each job of a recording
is a generator (`longform`) that yields what it needs of the network next. The scheduler answers
the requests of all jobs together: it encodes their windows in batches and decodes them side by
side (`slots`). Another window takes a slot as soon as the text in it ends.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from whisper.utils import compression_ratio, format_timestamp

from nightscribe.audio.cores import takes_turns, workers_for
from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.speech import speech_in
from nightscribe.audio.stored import Samples
from nightscribe.audio.workers import Workers
from nightscribe.errors import Reason, Rejected
from nightscribe.languages import LANGUAGES
from nightscribe.whisper.batched.alignment import AlignmentTask, align_words
from nightscribe.whisper.batched.encoded_windows import RecordingFeatures, encode_windows
from nightscribe.whisper.batched.intake import DecodedRequest, Intake
from nightscribe.whisper.batched.jobs import ActiveJob, ActiveRecording, JobQueue
from nightscribe.whisper.batched.language_detection import detect_languages
from nightscribe.whisper.batched.log_mel import LogMel
from nightscribe.whisper.batched.longform import frame_at
from nightscribe.whisper.batched.model import Network, prepared_network
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import (
    AlignWords,
    DecodedWindow,
    DecodeWindow,
    DetectLanguage,
)
from nightscribe.whisper.batched.segments import Segment
from nightscribe.whisper.batched.sizing import encoder_batch_size, slots_that_fit
from nightscribe.whisper.batched.slots import SlotPool, WindowText
from nightscribe.whisper.batched.token_rules import SpecialTokens
from nightscribe.whisper.batched.window_tasks import (
    SlotShape,
    WindowTask,
    slot_shape,
    window_task,
)
from nightscribe.whisper.batched.windows import Window
from nightscribe.whisper.contract import Failure, LoadedModel, Request, Transcript

__all__ = ["BatchedEngine", "print_segments", "transcribe_batched"]

log = logging.getLogger(__name__)


def transcribe_batched(
    requests: Iterable[Request],
    model: LoadedModel,
    *,
    verbose: bool | None = None,
    slots: int = 0,
) -> Iterator[Transcript | Failure]:
    """Transcribe the jobs of all requests; results come in the order in which they are done.

    `slots` windows are decoded side by side; 0 means as many as fit into free memory. With
    `verbose`, segments are printed as they come, one recording at a time.
    """
    yield from BatchedEngine(model, slots=slots).run(requests, verbose=verbose)


class BatchedEngine:
    """The engine over one model. What is not given is chosen for the model's device."""

    def __init__(
        self,
        model: LoadedModel,
        *,
        network: Network | None = None,
        slots: int = 0,
        encoder_batch: int = 0,
        workers: Callable[[], Workers[Samples]] | None = None,
        in_turns: bool | None = None,
    ) -> None:
        """Prepare a model.

        Args:
            network: the model's, prepared for batches.
            slots: windows that are decoded side by side; 0: as many as fit into free memory.
            encoder_batch: windows that are encoded together; 0: chosen by the number of slots.
            workers: starts the processes that decode audio, for one run.
            in_turns: whether audio is decoded in turns with computing, or ahead of it.
        """
        self._device = model.device
        self._network = network or prepared_network(model.network, getattr(torch, model.precision))
        self._shape = ModelShape.of(model.network)
        self._tokenizer = self._shape.tokenizer("en", "transcribe")
        self._special = SpecialTokens.of(self._tokenizer)
        self.slots = slots or slots_that_fit(self._network)
        """Windows that are decoded side by side; halved when the device is out of memory."""
        self._encoder_batch = encoder_batch or encoder_batch_size(self._network, self.slots)
        self._start_workers = workers or partial(Workers, workers_for(model.device), Decoding())
        self._in_turns = takes_turns(model.device) if in_turns is None else in_turns
        self._ahead = max(2, self.slots // 4) if self._in_turns else 2
        self._pools: dict[SlotShape, SlotPool] = {}
        self._decoded: deque[DecodedRequest] = deque()
        self._jobs = JobQueue(self._shape)

    def run(
        self, requests: Iterable[Request], *, verbose: bool | None
    ) -> Iterator[Transcript | Failure]:
        """Transcribe; requests are pulled as slots become free."""
        workers = self._start_workers()
        intake = Intake(requests, workers)
        try:
            while not intake.done or self._decoded or self._jobs.active:
                self._collect_audio(intake, verbose)
                if not self._advance(verbose):
                    self._halve_slots()
                yield from self._jobs.results
                self._jobs.results.clear()
        finally:
            workers.close()
            # A caller that takes no more results leaves windows in the slots.
            self._jobs.clear()
            self._pools.clear()
            self._decoded.clear()

    def _collect_audio(self, intake: Intake, verbose: bool | None) -> None:
        """Pull requests, and collect those whose audio is decoded."""
        # Lines of several recordings would be mixed up: with `verbose`, one goes after the other.
        at_once, ahead = (1, 0) if verbose else (self.slots, self._ahead)
        active = len(self._jobs.active) + len(self._decoded)
        wait_for_slots = self._in_turns and active >= at_once
        for request, error in intake.pull(0 if wait_for_slots else at_once + ahead - active):
            self._jobs.reject(request, Rejected(Reason.UNREADABLE, str(error)))
        if self._in_turns:
            self._decoded += intake.decode_all()
        elif len(self._jobs.active) < at_once and not self._decoded:
            self._decoded += intake.decoded(wait_for_one=not self._jobs.active)

    def _advance(self, verbose: bool | None) -> bool:
        """Answer what all jobs wait for, a token at a time; False: out of device memory."""
        try:
            while self._decoded:
                self._start_recording(*self._decoded[0], verbose)
                self._decoded.popleft()
            self._answer_detections(verbose)
            self._answer_alignments()
            self._start_windows()
            self._decode_step()
        except torch.OutOfMemoryError:
            if self.slots == 1:
                raise
            return False
        return True

    def _halve_slots(self) -> None:
        """Halve the slots after the device ran out of memory. Windows in them start again."""
        self.slots //= 2
        self._encoder_batch = max(1, self._encoder_batch // 2)
        log.warning("out of device memory: continuing with %d slots", self.slots)
        self._pools.clear()
        for job in self._jobs.active:
            job.in_slot = False
            job.recording.features.clear()
        torch.cuda.empty_cache()

    def _start_recording(
        self, request: Request, outcome: Samples | Rejected, verbose: bool | None
    ) -> None:
        if isinstance(outcome, Rejected):
            self._jobs.reject(request, outcome)
            return
        log_mel = LogMel(outcome.samples, self._network.dims.n_mels, self._device)
        speech = speech_in(outcome.samples) if request.speech_only else None
        start = frame_at(speech[0][0]) if speech else 0
        recording = ActiveRecording(
            request,
            RecordingFeatures(log_mel, len(request.jobs), language_from=start),
            duration_s=len(outcome.samples) / SAMPLE_RATE,
            warning=outcome.warning,
            speech=speech,
        )
        self._jobs.start(recording, print_segments if verbose else None)

    def _answer_detections(self, verbose: bool | None) -> None:
        waiting = [job for job in self._jobs.active if isinstance(job.waits_for, DetectLanguage)]
        recordings = list(dict.fromkeys(job.recording for job in waiting))
        self._detect_languages([r for r in recordings if r.language is None], verbose)
        for job in waiting:
            self._jobs.resume(job, job.recording.language)

    def _detect_languages(self, recordings: list[ActiveRecording], verbose: bool | None) -> None:
        features = [recording.features for recording in recordings]
        found = detect_languages(self._network, self._tokenizer, features, self._encoder_batch)
        for recording, language in zip(recordings, found, strict=True):
            recording.language = (language.code, language.probability)
            if verbose:
                print(f"Detected language: {LANGUAGES[language.code].title()}", flush=True)

    def _answer_alignments(self) -> None:
        waiting = [
            (job, request)
            for job in self._jobs.active
            if isinstance(request := job.waits_for, AlignWords)
        ]
        for first in range(0, len(waiting), self._encoder_batch):
            batch = waiting[first : first + self._encoder_batch]
            tasks = [
                AlignmentTask(
                    request.text_tokens,
                    self._shape.tokenizer(request.language, job.job.task),
                    request.window.size,
                )
                for job, request in batch
            ]
            windows = [(job.recording.features, request.window) for job, request in batch]
            features = encode_windows(self._network, windows, self._encoder_batch)
            timings = align_words(self._network, tasks, features)
            for (job, _), words in zip(batch, timings, strict=True):
                self._jobs.resume(job, words)

    def _start_windows(self) -> None:
        """Put windows that wait to be decoded into free slots."""
        waiting: dict[SlotShape, list[tuple[ActiveJob, DecodeWindow]]] = {}
        for job in self._jobs.active:
            request = job.waits_for
            if isinstance(request, DecodeWindow) and not job.in_slot:
                shape = slot_shape(job.job.options, request.temperature)
                waiting.setdefault(shape, []).append((job, request))
        for shape, wanted in waiting.items():
            pool = self._pool(shape)
            while wanted and pool.free:
                count = min(pool.free, self._encoder_batch)
                self._fill_slots(pool, wanted[:count])
                del wanted[:count]

    def _pool(self, shape: SlotShape) -> SlotPool:
        if shape not in self._pools:
            slots = max(1, self.slots // shape.rows)
            self._pools[shape] = SlotPool(
                self._network, self._special, self._tokenizer.no_speech, slots, shape
            )
        return self._pools[shape]

    def _fill_slots(self, pool: SlotPool, wanted: list[tuple[ActiveJob, DecodeWindow]]) -> None:
        jobs: list[ActiveJob] = []
        tasks: list[WindowTask] = []
        windows: list[tuple[RecordingFeatures, Window]] = []
        for job, request in wanted:
            try:
                task = window_task(request, job.job, job.recording_id, self._shape)
            except Exception as error:
                self._jobs.abandon(job, error)
                continue
            jobs.append(job)
            tasks.append(task)
            windows.append((job.recording.features, request.window))
            job.in_slot = True
        if jobs:
            features = encode_windows(self._network, windows, self._encoder_batch)
            pool.start_windows(tasks, jobs, features)

    def _decode_step(self) -> None:
        """Decode one more token in every slot, and resume the jobs whose window is finished."""
        for pool in self._pools.values():
            if not pool.used:
                continue
            finished = pool.take_finished()
            if not finished:
                pool.decode_step()
                finished = pool.take_finished()
            for job, text in finished:
                job.in_slot = False
                self._jobs.resume(job, self._decoded_window(job, text))

    def _decoded_window(self, job: ActiveJob, text: WindowText) -> DecodedWindow:
        assert isinstance(job.waits_for, DecodeWindow)
        return DecodedWindow(
            tokens=text.tokens,
            temperature=job.waits_for.temperature,
            avg_logprob=text.avg_logprob,
            compression_ratio=compression_ratio(self._tokenizer.decode(text.tokens).strip()),
            no_speech_prob=text.no_speech_prob,
        )


def print_segments(segments: list[Segment]) -> None:
    """Print a window's segments as the `whisper` command does."""
    for segment in segments:
        start, end = format_timestamp(segment["start"]), format_timestamp(segment["end"])
        print(f"[{start} --> {end}] {segment['text']}", flush=True)
