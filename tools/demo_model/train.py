"""Training of the demo model, phase by phase. It can be interrupted and resumed at any time.

Weights are float32. Matrix products are bfloat16 on GPUs and CPUs that support it (AVX-512 BF16 or
AMX), which halves the time of a step.
"""

import math
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from tools.demo_model.batches import Batches
from tools.demo_model.corpus import Corpus
from tools.demo_model.labels import Labeller
from tools.demo_model.network import Batch, Learner
from tools.demo_model.schedule import Phase

_SAVE_EVERY = 120.0  # seconds
_REPORT_EVERY = 50  # steps
_CLIP = 1.0  # largest gradient norm
_TIMESTAMPS = 1501  # 0.00 to 30.00


@dataclass
class State:
    """The next phase and the next step in it."""

    phase: int = 0
    step: int = 0


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has fast matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _learning_rate(phase: Phase, step: int) -> float:
    """A cosine between the rates of the phase, after a warm-up of 100 steps."""
    first, last = phase.rates
    warm = min(1.0, (step + 1) / 100)
    return warm * (last + (first - last) * 0.5 * (1 + math.cos(math.pi * step / phase.steps)))


def _optimizer(learner: Learner) -> torch.optim.AdamW:
    decayed = [p for p in learner.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in learner.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)


class Training:
    """One training in a folder. Its state is in `train.pt`, from which the next call continues."""

    def __init__(
        self, speech: Path, folder: Path, phases: tuple[Phase, ...], *, seed: int, device: str
    ) -> None:
        self._device = torch.device(device)
        self._phases = phases
        self._seed = seed
        self._corpus = Corpus(speech)
        self._labeller = Labeller()
        torch.manual_seed(seed)
        self.learner = Learner(
            self._labeller.used_tokens(),
            len(self._corpus.phoneme_classes),
            len(self._corpus.word_classes),
            _TIMESTAMPS,
        ).to(self._device)
        self._optimizer = _optimizer(self.learner)
        self._state = State()
        self._file = folder / "train.pt"
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            saved = torch.load(self._file, map_location=self._device, weights_only=True)
            self.learner.load_state_dict(saved["learner"])
            self._optimizer.load_state_dict(saved["optimizer"])
            self._state = State(**saved["state"])

    def run(self) -> None:
        """Train the remaining steps of all phases."""
        while self._state.phase < len(self._phases):
            self._train(self._phases[self._state.phase])
            self._state = State(self._state.phase + 1, 0)
            self._save()

    def _train(self, phase: Phase) -> None:
        first = self._state.step
        progress = _Progress(phase, first)
        saved = time.monotonic()
        for step, batch in enumerate(self._batches(phase, first), start=first):
            for group in self._optimizer.param_groups:
                group["lr"] = _learning_rate(phase, step)
            progress.add(self._step(batch, phase))
            if time.monotonic() - saved > _SAVE_EVERY:
                self._state = State(self._state.phase, step + 1)
                self._save()
                saved = time.monotonic()
            progress.report(step + 1)

    def _batches(self, phase: Phase, first: int) -> Iterable[Batch]:
        data = Batches(self._corpus, self._labeller, phase, self._seed)
        return DataLoader(
            data,
            batch_size=None,
            sampler=range(first, len(data)),
            num_workers=1 if self._device.type == "cpu" else 12,
            prefetch_factor=4,
            pin_memory=self._device.type == "cuda",
        )

    def _step(self, batch: Batch, phase: Phase) -> dict[str, float]:
        batch = batch.to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            losses = self.learner.losses(batch, decoder_only=phase.decoder_only)
        self._optimizer.zero_grad(set_to_none=True)
        losses.total().backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), _CLIP)
        self._optimizer.step()
        return {name: float(value.detach()) for name, value in vars(losses).items()}

    def _save(self) -> None:
        partial = self._file.with_suffix(".partial")
        torch.save(
            {
                "learner": self.learner.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "state": vars(self._state),
            },
            partial,
        )
        partial.replace(self._file)


class _Progress:
    """Prints a line every 50 steps: mean losses since the last line, speed and time left."""

    def __init__(self, phase: Phase, first: int) -> None:
        self._phase = phase
        self._first = first
        self._began = time.monotonic()
        self._losses: list[dict[str, float]] = []

    def add(self, losses: dict[str, float]) -> None:
        self._losses.append(losses)

    def report(self, done: int) -> None:
        if done % _REPORT_EVERY and done != self._phase.steps:
            return
        means = {name: np.mean([each[name] for each in self._losses]) for name in self._losses[0]}
        self._losses.clear()
        speed = (done - self._first) / (time.monotonic() - self._began)
        left = (self._phase.steps - done) / speed / 60
        measured = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        print(
            f"{self._phase.name} {done}/{self._phase.steps}: {measured}; "
            f"{speed:.2f} steps/s, {left:.0f} min left in this phase",
            file=sys.stderr,
            flush=True,
        )
