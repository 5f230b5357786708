"""Slots in which windows are decoded side by side, each at its own position of its own text.

A slot has one row for greedy decoding and for sampling, or several for beam search and best-of. A
window starts as soon as there is a free slot, and leaves it as soon as its text is complete; it
never waits for the others. Everything that changes with each token is a tensor, so that a step is
one sequence of operations that does not look at values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nightscribe.whisper.batched.beam_search import beam_step
from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.rows import Rows
from nightscribe.whisper.batched.sampling import most_probable, sample
from nightscribe.whisper.batched.text_ranking import RankedText, best_text
from nightscribe.whisper.batched.token_rules import RowTexts, SpecialTokens, apply_token_rules
from nightscribe.whisper.batched.window_tasks import SlotShape, WindowTask

__all__ = ["SlotPool", "WindowText"]


@dataclass(frozen=True)
class WindowText:
    """The best text of a window."""

    tokens: list[int]  # without the end-of-text token
    logprob: float  # of all tokens and the end, summed
    no_speech_prob: float

    @property
    def avg_logprob(self) -> float:
        """Log-probability per token, the end counted."""
        return self.logprob / (len(self.tokens) + 1)


@dataclass
class _OccupiedSlot:
    task: WindowTask
    owner: Any
    length: int  # tokens of prompt and text by now
    ended: list[RankedText] = field(default_factory=list)  # finished texts of a beam search


class SlotPool:
    """Slots of one shape over a network."""

    def __init__(
        self,
        network: Network,
        special: SpecialTokens,
        no_speech: int,
        slots: int,
        shape: SlotShape,
    ) -> None:
        self._network = network
        self._shape = shape
        self._special = special
        self._no_speech = no_speech  # token
        self._caches = network.new_caches(slots, shape.rows)
        self._slots: list[_OccupiedSlot | None] = [None] * slots
        dims = network.dims
        self._rows = Rows.empty(
            slots * shape.rows, dims.n_text_ctx, dims.n_vocab, device=network.device
        )

    @property
    def used(self) -> int:
        """Number of slots in use."""
        return sum(slot is not None for slot in self._slots)

    @property
    def free(self) -> int:
        """Number of free slots."""
        return len(self._slots) - self.used

    def start_windows(
        self, tasks: Sequence[WindowTask], owners: Sequence[Any], features: Tensor
    ) -> None:
        """Put windows into free slots and decode the first token of each.

        There must be as many free slots. `features` (windows, 1500, width); `owners` are handed
        back with the texts.
        """
        rows_per_slot, device = self._shape.rows, self._network.device
        free = [number for number, slot in enumerate(self._slots) if slot is None]
        numbers = free[: len(tasks)]
        for number, task, owner in zip(numbers, tasks, owners, strict=True):
            self._slots[number] = _OccupiedSlot(task, owner, len(task.tokens))
        slots = torch.tensor(numbers, device=device)
        rows = (
            slots[:, None] * rows_per_slot + torch.arange(rows_per_slot, device=device)
        ).flatten()
        prompts = _padded([task.tokens for task in tasks]).to(device)
        self._rows.start(rows, tasks, prompts)
        self._network.fill_cross_cache(self._caches, slots, features)
        hidden = self._network.prefill(prompts, self._caches, slots, rows, rows_per_slot)
        at_start, at_end = self._prompt_logits(hidden, tasks)
        no_speech_prob = at_start.softmax(-1)[:, self._no_speech]
        self._rows.no_speech_prob[rows] = no_speech_prob.repeat_interleave(rows_per_slot)
        self._append_next(rows, at_end.repeat_interleave(rows_per_slot, 0))
        for number in numbers:
            self._occupied(number).length += 1

    def decode_step(self) -> None:
        """Decode one more token in every slot in use."""
        self._close_gaps()
        used, state = self.used, self._rows
        rows = torch.arange(used * self._shape.rows, device=self._network.device)
        positions = state.length[rows] - 1
        longest = max(self._occupied(number).length for number in range(used))
        logits = self._network.decode_step(
            state.tokens[rows, positions], positions, self._caches, used, longest
        )
        self._append_next(rows, logits)
        for number in range(used):
            self._occupied(number).length += 1

    def take_finished(self) -> list[tuple[Any, WindowText]]:
        """Free the slots whose text is complete; returns their owners and texts."""
        tokens, length = self._rows.tokens, self._rows.length
        last = tokens.gather(1, (length - 1).clamp(min=0)[:, None])[:, 0]
        all_ended = (last == self._special.eot).view(-1, self._shape.rows).all(1).tolist()
        finished = []
        for number, slot in enumerate(self._slots):
            if slot is None:
                continue
            task = slot.task
            # As in the reference: a text may be one token longer than the context.
            limit = min(len(task.tokens) + task.sample_limit, self._network.dims.n_text_ctx + 1)
            if self._shape.beam_search:
                complete = len(slot.ended) >= task.candidates
            else:
                complete = all_ended[number]
            if complete or slot.length >= limit:
                finished.append((slot.owner, self._text(number, slot)))
                self._slots[number] = None
        return finished

    def _prompt_logits(self, hidden: Tensor, tasks: Sequence[WindowTask]) -> tuple[Tensor, Tensor]:
        """Logits after <|startoftranscript|>, and after the whole prompt."""
        device = hidden.device
        prompts = torch.arange(len(tasks), device=device)
        starts = torch.tensor([task.sot_index for task in tasks], device=device)
        ends = torch.tensor([len(task.tokens) - 1 for task in tasks], device=device)
        # One product for both: most of its time is spent on reading the matrix.
        both = torch.cat([hidden[prompts, starts], hidden[prompts, ends]])
        at_start, at_end = self._network.logits(both).chunk(2)
        return at_start, at_end

    def _occupied(self, number: int) -> _OccupiedSlot:
        slot = self._slots[number]
        assert slot is not None
        return slot

    def _close_gaps(self) -> None:
        """Move the last slots in use into free ones before them: a step computes the first ones."""
        used, rows_per_slot = self.used, self._shape.rows
        gaps = [number for number in range(used) if self._slots[number] is None]
        for gap in gaps:
            last = max(number for number, slot in enumerate(self._slots) if slot)
            slot = self._occupied(last)
            target = slice(gap * rows_per_slot, (gap + 1) * rows_per_slot)
            source = slice(last * rows_per_slot, (last + 1) * rows_per_slot)
            cross = self._caches.cross_attention
            cross[:, :, gap] = cross[:, :, last]
            own = self._caches.self_attention[..., : slot.length, :]
            own[:, :, target] = own[:, :, source]
            self._rows.move(source, target)
            self._slots[gap], self._slots[last] = slot, None

    def _append_next(self, rows: Tensor, logits: Tensor) -> None:
        """Append the next token to each of some rows, by logits (rows, vocabulary)."""
        suppressed = {slot.task.suppressed for slot in self._slots if slot}
        texts = self._rows.texts(rows, same_suppressed=len(suppressed) == 1)
        logits = apply_token_rules(logits, texts, self._special)
        if self._shape.beam_search:
            tokens = self._continue_beams(rows, logits, texts)
        else:
            tokens = self._continue_texts(rows, logits, texts)
        self._rows.append(rows, tokens, self._special.timestamp_begin)

    def _continue_texts(self, rows: Tensor, logits: Tensor, texts: RowTexts) -> Tensor:
        """Next tokens of rows that are independent of each other. After the end comes the end."""
        if any(slot.task.temperature > 0 for slot in self._slots if slot):
            random = self._rows.random[rows].gather(1, texts.sampled[:, None])[:, 0]
            tokens = sample(logits, self._rows.temperature[rows], random)
        else:
            tokens = most_probable(logits)
        # One fused pass; a logsumexp takes four times as long on a CPU.
        logprob = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
        ended = texts.last == self._special.eot
        self._rows.logprob[rows] += torch.where(ended, 0.0, logprob)
        return torch.where(ended, self._special.eot, tokens)

    def _continue_beams(self, rows: Tensor, logits: Tensor, texts: RowTexts) -> Tensor:
        """Next tokens of the beams of each window; rows take over the texts that they continue."""
        state, beams = self._rows, self._shape.rows
        step = beam_step(
            logits, state.logprob[rows], rows, beams, texts.sampled == 0, self._special.eot
        )
        for ended in step.ended:
            slot = self._occupied(int(rows[ended.window * beams]) // beams)
            if len(slot.ended) < slot.task.candidates:
                tokens = state.tokens[ended.source, len(slot.task.tokens) : slot.length].tolist()
                slot.ended.append(RankedText(tokens, ended.logprob))
        longest = max(slot.length for slot in self._slots if slot)
        own = self._caches.self_attention[..., :longest, :]
        own[:, :, rows] = own[:, :, step.source]
        state.tokens[rows] = state.tokens[step.source]
        state.last_timestamp[rows] = state.last_timestamp[step.source]
        state.logprob[rows] = step.logprob
        return step.tokens

    def _text(self, number: int, slot: _OccupiedSlot) -> WindowText:
        """The best text of a slot. Beams that have not ended fill up those that have."""
        beams = self._shape.rows
        rows = range(number * beams, (number + 1) * beams)
        texts = [self._row_text(row, slot) for row in rows]
        if self._shape.beam_search:
            texts.sort(key=lambda text: text.logprob, reverse=True)
            texts = slot.ended + texts[: max(0, beams - len(slot.ended))]
        best = best_text(texts, slot.task.length_penalty)
        return WindowText(best.tokens, best.logprob, float(self._rows.no_speech_prob[rows[0]]))

    def _row_text(self, row: int, slot: _OccupiedSlot) -> RankedText:
        tokens = self._rows.tokens[row, len(slot.task.tokens) : slot.length].tolist()
        eot = self._special.eot
        end = tokens.index(eot) if eot in tokens else None
        return RankedText(tokens[:end], float(self._rows.logprob[row]))


def _padded(prompts: Sequence[Sequence[int]]) -> Tensor:
    """Prompts as (prompts, length), padded with 0 at the right."""
    padded = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
    for row, prompt in zip(padded, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    return padded
