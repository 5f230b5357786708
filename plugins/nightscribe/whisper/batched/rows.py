"""The state of every row of the slots, as tensors: tokens so far, and what their choice needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from nightscribe.whisper.batched.token_rules import RowTexts
from nightscribe.whisper.batched.window_tasks import WindowTask

__all__ = ["Rows"]


@dataclass
class Rows:
    """One value per row, or one line of a matrix. Shape (rows,) if not stated."""

    tokens: Tensor  # (rows, text context + 1): prompt, then text
    length: Tensor  # tokens of prompt and text
    prompt_length: Tensor
    last_timestamp: Tensor  # index; -1: none
    max_first_timestamp: Tensor
    with_timestamps: Tensor
    blank_allowed: Tensor
    temperature: Tensor
    random: Tensor  # (rows, text context): numbers in [0, 1), one for each sampled token
    logprob: Tensor  # of the sampled tokens, summed
    no_speech_prob: Tensor
    suppressed: Tensor  # (rows, vocabulary): 0 or -inf

    @classmethod
    def empty(cls, count: int, context: int, vocabulary: int, device: torch.device) -> Rows:
        """Rows for texts of up to `context` tokens."""

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        return cls(
            tokens=zeros(count, context + 1),
            length=zeros(count),
            prompt_length=zeros(count),
            last_timestamp=zeros(count),
            max_first_timestamp=zeros(count),
            with_timestamps=zeros(count, dtype=torch.bool),
            blank_allowed=zeros(count, dtype=torch.bool),
            temperature=zeros(count, dtype=torch.float32),
            random=zeros(count, context, dtype=torch.float64),
            logprob=zeros(count, dtype=torch.float32),
            no_speech_prob=zeros(count, dtype=torch.float32),
            suppressed=zeros(count, vocabulary, dtype=torch.float32),
        )

    def start(self, rows: Tensor, tasks: Sequence[WindowTask], prompts: Tensor) -> None:
        """Set the rows of new windows; `prompts` (windows, length) are padded at the right.

        `rows` has the rows of all windows, in the order of the tasks.
        """
        rows_per_slot = len(rows) // len(tasks)

        def per_row(value: Callable[[WindowTask], Any]) -> Tensor:
            values = torch.tensor([value(task) for task in tasks], device=rows.device)
            return values.repeat_interleave(rows_per_slot)

        self.tokens[rows, : prompts.shape[1]] = prompts.repeat_interleave(rows_per_slot, 0)
        self.length[rows] = self.prompt_length[rows] = per_row(lambda task: len(task.tokens))
        self.last_timestamp[rows] = -1
        self.max_first_timestamp[rows] = per_row(lambda task: task.max_first_timestamp)
        self.with_timestamps[rows] = per_row(lambda task: task.with_timestamps)
        self.blank_allowed[rows] = per_row(lambda task: task.blank_allowed)
        self.temperature[rows] = per_row(lambda task: float(task.temperature))
        self.logprob[rows] = 0
        self.suppressed[rows] = 0
        for own, task in zip(rows.view(len(tasks), -1), tasks, strict=True):
            self.suppressed[own[:, None], list(task.suppressed)] = -torch.inf
            if task.temperature > 0:
                generator = torch.Generator().manual_seed(task.seed)
                shape = (rows_per_slot, self.random.shape[1])
                random = torch.rand(shape, dtype=torch.float64, generator=generator)
                self.random[own] = random.to(rows.device)

    def move(self, source: slice, target: slice) -> None:
        """Copy everything about some rows to others."""
        for field in fields(self):
            values: Tensor = getattr(self, field.name)
            values[target] = values[source]

    def texts(self, rows: Tensor, *, same_suppressed: bool) -> RowTexts:
        """What the token rules need of some rows.

        With `same_suppressed`, the suppressed tokens of the first row stand for those of all.
        """
        length = self.length[rows]
        return RowTexts(
            sampled=length - self.prompt_length[rows],
            last=self.tokens[rows, length - 1],
            before_last=self.tokens[rows, (length - 2).clamp(min=0)],
            last_timestamp=self.last_timestamp[rows],
            max_first_timestamp=self.max_first_timestamp[rows],
            with_timestamps=self.with_timestamps[rows],
            blank_allowed=self.blank_allowed[rows],
            suppressed=self.suppressed[rows[:1] if same_suppressed else rows],
        )

    def append(self, rows: Tensor, tokens: Tensor, timestamp_begin: int) -> None:
        """Append a token to each of some rows."""
        length = self.length[rows]
        self.tokens[rows, length] = tokens
        self.length[rows] = length + 1
        timestamp = tokens - timestamp_begin
        self.last_timestamp[rows] = torch.where(
            timestamp >= 0, timestamp, self.last_timestamp[rows]
        )
