"""Slots in which windows are decoded side by side, each at its own place in its own text.

A lane has so many slots, of one row each for greedy decoding and sampling, or of several for beam
search and best-of. A window is admitted into a free slot whenever there is one, and leaves as
soon as its text is complete; the others never wait for it. All that changes from token to token
are tensors, so that a step is one sequence of operations without a look at their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.token_rules import Rows, Vocabulary, restrict


@dataclass(frozen=True)
class Kind:
    """Rows a slot, and whether they are beams of one search or samples of their own."""

    group: int
    beam: bool


@dataclass(frozen=True)
class Task:
    """A window to decode: everything that its text depends on besides the audio."""

    tokens: tuple[int, ...]  # prompt and start of the transcript
    start: int  # index of <|startoftranscript|> in them
    temperature: float
    length_limit: int  # tokens to sample at most
    suppressed: tuple[int, ...]
    timed: bool
    blank_allowed: bool
    latest_first: int  # index of the latest timestamp that may come first
    length_penalty: float | None
    candidates: int  # texts that end a beam search
    seed: int


@dataclass(frozen=True)
class Answer:
    """The best text of a window."""

    tokens: list[int]  # without the end of the text
    logprob: float  # of all tokens and the end, summed
    no_speech_prob: float

    @property
    def avg_logprob(self) -> float:
        return self.logprob / (len(self.tokens) + 1)


class Lane:
    """Slots of one kind over a network."""

    def __init__(
        self, network: Network, vocabulary: Vocabulary, no_speech: int, slots: int, kind: Kind
    ) -> None:
        self.network = network
        self.kind = kind
        self._vocabulary = vocabulary
        self._no_speech = no_speech
        self._caches = network.caches(slots, kind.group)
        self._windows: list[_Window | None] = [None] * slots
        rows, context = slots * kind.group, network.dims.n_text_ctx

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=network.device)

        self._tokens = zeros(rows, context + 1)
        self._length = zeros(rows)  # tokens in a row's text
        self._begin = zeros(rows)  # of which so many were given
        self._stamp = zeros(rows)
        self._latest_first = zeros(rows)
        self._timed = zeros(rows, dtype=torch.bool)
        self._blank_allowed = zeros(rows, dtype=torch.bool)
        self._temperature = zeros(rows, dtype=torch.float32)
        self._draws = zeros(rows, context, dtype=torch.float64)  # in [0, 1), one a step
        self._logprob = zeros(rows, dtype=torch.float32)
        self._no_speech_prob = zeros(rows, dtype=torch.float32)
        self._suppressed = zeros(rows, network.dims.n_vocab, dtype=torch.float32)  # 0 or -inf

    @property
    def used(self) -> int:
        """Slots in use."""
        return sum(window is not None for window in self._windows)

    @property
    def free(self) -> int:
        return len(self._windows) - self.used

    def admit(self, tasks: Sequence[Task], owners: Sequence[Any], features: Tensor) -> None:
        """Take windows in, no more than are free; `features` (windows, 1500, width)."""
        group, device = self.kind.group, self.network.device
        holes = [slot for slot, window in enumerate(self._windows) if window is None]
        chosen = holes[: len(tasks)]
        slots = torch.tensor(chosen, device=device)
        rows = (slots[:, None] * group + torch.arange(group, device=device)).flatten()
        for slot, task, owner in zip(chosen, tasks, owners, strict=True):
            self._windows[slot] = _Window(task, owner, len(task.tokens))
        given = torch.zeros(len(tasks), max(len(task.tokens) for task in tasks), dtype=torch.long)
        for number, task in enumerate(tasks):
            given[number, : len(task.tokens)] = torch.tensor(task.tokens)
        given = given.to(device)

        def each(values: list[Any]) -> Tensor:
            return torch.tensor(values, device=device).repeat_interleave(group)

        self._tokens[rows, : given.shape[1]] = given.repeat_interleave(group, 0)
        self._length[rows] = self._begin[rows] = each([len(task.tokens) for task in tasks])
        self._stamp[rows] = -1
        self._latest_first[rows] = each([task.latest_first for task in tasks])
        self._timed[rows] = each([task.timed for task in tasks])
        self._blank_allowed[rows] = each([task.blank_allowed for task in tasks])
        self._temperature[rows] = each([float(task.temperature) for task in tasks])
        self._logprob[rows] = 0
        self._suppressed[rows] = 0
        for slot, task in zip(chosen, tasks, strict=True):
            own = slice(slot * group, (slot + 1) * group)
            self._suppressed[own, list(task.suppressed)] = -torch.inf
            if task.temperature > 0:
                random = torch.Generator().manual_seed(task.seed)
                shape = (group, self._draws.shape[1])
                drawn = torch.rand(shape, dtype=torch.float64, generator=random)
                self._draws[own] = drawn.to(device)
        self.network.hear(self._caches, slots, features)
        hidden = self.network.read(given, self._caches, slots, rows, group)
        each_one = torch.arange(len(tasks), device=device)
        starts = torch.tensor([task.start for task in tasks], device=device)
        ends = torch.tensor([len(task.tokens) - 1 for task in tasks], device=device)
        # One product for both: it is the matrix that takes the time.
        both = torch.cat([hidden[each_one, starts], hidden[each_one, ends]])
        at_start, at_end = self.network.logits(both).chunk(2)
        no_speech = at_start.softmax(-1)[:, self._no_speech]
        self._no_speech_prob[rows] = no_speech.repeat_interleave(group)
        self._choose(rows, at_end.repeat_interleave(group, 0))
        for slot in chosen:
            self._at(slot).length += 1

    def step(self) -> None:
        """One token more in every slot in use."""
        self._close_gaps()
        rows = torch.arange(self.used * self.kind.group, device=self.network.device)
        positions = self._length[rows] - 1
        seen = max(self._at(slot).length for slot in range(self.used))
        logits = self.network.next(
            self._tokens[rows, positions], positions, self._caches, self.used, seen
        )
        self._choose(rows, logits)
        for slot in range(self.used):
            self._at(slot).length += 1

    def finished(self) -> list[tuple[Any, Answer]]:
        """Windows whose text is complete, with their owners; their slots are free again."""
        group = self.kind.group
        last = self._tokens.gather(1, (self._length - 1).clamp(min=0)[:, None])[:, 0]
        over = (last == self._vocabulary.eot).view(-1, group).all(1).tolist()
        done = []
        for slot, window in enumerate(self._windows):
            if window is None:
                continue
            task = window.task
            # The reference goes on until a text is longer than the context.
            limit = min(len(task.tokens) + task.length_limit, self.network.dims.n_text_ctx + 1)
            complete = len(window.ended) >= task.candidates if self.kind.beam else over[slot]
            if complete or window.length >= limit:
                done.append((window.owner, self._answer(slot, window)))
                self._windows[slot] = None
        return done

    def _at(self, slot: int) -> _Window:
        window = self._windows[slot]
        assert window is not None
        return window

    def _close_gaps(self) -> None:
        """Move the last slots in use into free ones before them: a step computes the first ones."""
        used, group = self.used, self.kind.group
        holes = [slot for slot in range(used) if self._windows[slot] is None]
        for hole in holes:
            last = max(slot for slot, window in enumerate(self._windows) if window)
            window = self._at(last)
            to = slice(hole * group, (hole + 1) * group)
            source = slice(last * group, (last + 1) * group)
            self._caches.cross[:, :, hole] = self._caches.cross[:, :, last]
            own = self._caches.own[..., : window.length, :]
            own[:, :, to] = own[:, :, source]
            for tensor in self._by_row():
                tensor[to] = tensor[source]
            self._windows[hole], self._windows[last] = window, None

    def _by_row(self) -> list[Tensor]:
        return [
            *(self._tokens, self._length, self._begin, self._stamp, self._latest_first),
            *(self._timed, self._blank_allowed, self._temperature, self._draws, self._logprob),
            *(self._no_speech_prob, self._suppressed),
        ]

    def _choose(self, rows: Tensor, logits: Tensor) -> None:
        """Append to each of the rows what follows, by logits (rows, vocabulary)."""
        length = self._length[rows]
        said = length - self._begin[rows]
        last = self._tokens[rows, length - 1]
        same = len({window.task.suppressed for window in self._windows if window}) == 1
        logits = restrict(
            logits,
            Rows(
                said=said,
                last=last,
                before_last=self._tokens[rows, (length - 2).clamp(min=0)],
                stamp=self._stamp[rows],
                latest_first=self._latest_first[rows],
                timed=self._timed[rows],
                blank_allowed=self._blank_allowed[rows],
                suppressed=self._suppressed[rows[:1] if same else rows],
            ),
            self._vocabulary,
        )
        if self.kind.beam:
            token = self._search(rows, logits, first=said == 0)
        else:
            token = self._sample(rows, logits, said)
            # One fused pass; a logsumexp takes four times as long on a CPU.
            logprob = logits.log_softmax(-1).gather(1, token[:, None])[:, 0]
            ended = last == self._vocabulary.eot
            self._logprob[rows] += torch.where(ended, 0.0, logprob)
            token = torch.where(ended, self._vocabulary.eot, token)
        self._tokens[rows, length] = token
        self._length[rows] = length + 1
        stamp = token - self._vocabulary.timestamps
        self._stamp[rows] = torch.where(stamp >= 0, stamp, self._stamp[rows])

    def _sample(self, rows: Tensor, logits: Tensor, said: Tensor) -> Tensor:
        """The likeliest token, or at a temperature one drawn by the window's own numbers."""
        likeliest = logits.argmax(-1)
        if not any(window.task.temperature > 0 for window in self._windows if window):
            return likeliest
        temperature = self._temperature[rows]
        hot = temperature > 0
        shares = (logits / torch.where(hot, temperature, 1.0)[:, None]).double().softmax(-1)
        reached = shares.cumsum(-1)
        drawn = self._draws[rows].gather(1, said[:, None]) * reached[:, -1:]
        token = torch.searchsorted(reached, drawn, right=True)[:, 0]
        return torch.where(hot, token.clamp(max=logits.shape[1] - 1), likeliest)

    def _search(self, rows: Tensor, logits: Tensor, first: Tensor) -> Tensor:
        """One step of beam search in every slot: the best continuations of all its beams.

        Continuations that end the text and rank before the last beam kept are set aside.
        """
        group, width = self.kind.group, self.kind.group + 1
        found = logits.log_softmax(-1).topk(width)
        totals = self._logprob[rows][:, None] + found.values
        beam = torch.arange(len(rows), device=rows.device) % group
        # At first all beams are one.
        totals = totals.masked_fill((first & (beam > 0))[:, None], -torch.inf)
        totals, order = totals.view(-1, group * width).sort(descending=True, stable=True)
        tokens = found.indices.view(-1, group * width).gather(1, order)
        ends = tokens == self._vocabulary.eot
        kept_before = (~ends).cumsum(1) - (~ends).long()
        sources = rows.view(-1, group).gather(1, order // width)
        self._set_aside(rows, totals, sources, ends & (kept_before < group))
        # The first `group` that go on, in order: a stable sort brings them to the front.
        going_on = ends.long().sort(dim=1, stable=True).indices[:, :group]
        source = sources.gather(1, going_on).flatten()
        seen = max(window.length for window in self._windows if window)
        own = self._caches.own[..., :seen, :]
        own[:, :, rows] = own[:, :, source]
        self._tokens[rows] = self._tokens[source]
        self._stamp[rows] = self._stamp[source]
        self._logprob[rows] = totals.gather(1, going_on).flatten()
        return tokens.gather(1, going_on).flatten()

    def _set_aside(self, rows: Tensor, totals: Tensor, sources: Tensor, ended: Tensor) -> None:
        if not ended.any():
            return
        for number, place in ended.nonzero().tolist():
            window = self._at(int(rows[number * self.kind.group]) // self.kind.group)
            if len(window.ended) < window.task.candidates:
                source = int(sources[number, place])
                text = self._tokens[source, len(window.task.tokens) : window.length]
                window.ended.append((float(totals[number, place]), text.tolist()))

    def _answer(self, slot: int, window: _Window) -> Answer:
        """The best of a slot's texts: by log-probability over length, or Google NMT's penalty."""
        group, task = self.kind.group, window.task
        rows = range(slot * group, (slot + 1) * group)
        begin = len(task.tokens)
        open_texts = [
            (float(self._logprob[row]), self._tokens[row, begin : window.length].tolist())
            for row in rows
        ]
        if self.kind.beam:
            texts = list(window.ended)
            if len(texts) < group:
                open_texts.sort(key=lambda text: text[0], reverse=True)
                texts += open_texts[: group - len(texts)]
        else:
            texts = open_texts
        best: tuple[float, list[int]] | None = None
        for logprob, tokens in texts:
            end = tokens.index(self._vocabulary.eot) if self._vocabulary.eot in tokens else None
            text = tokens[:end]
            score = logprob / _length_penalty(len(text), task.length_penalty)
            if best is None or score > best[0]:
                best, answer = (score, text), logprob
        assert best is not None
        return Answer(best[1], answer, float(self._no_speech_prob[rows[0]]))


@dataclass
class _Window:
    """What is in a slot."""

    task: Task
    owner: Any
    length: int  # tokens in the text by now, given ones included
    ended: list[tuple[float, list[int]]] = field(default_factory=list)


def _length_penalty(length: int, alpha: float | None) -> float:
    if alpha is None:
        return max(length, 1)
    return float(((5 + length) / 6) ** alpha)
