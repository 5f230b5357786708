"""The labels of a window: its tokens, the position of each token in the audio, and prompts.

The labels follow the rules by which `whisper.transcribe` reads the decoder's tokens:

- A segment is `<|start|> text <|end|>`. The first start is at most 1.00, the reference's limit.
- If the recording continues after the window, the tokens end with two timestamps: the end of the
  last complete segment, and the start of the segment that the window cuts, or the end of the
  window. The reference continues at the first of them, so the next window has the cut segment.
- If the recording ends in the window, the tokens end with the end of the last segment alone.
- Without speech: `<|nospeech|>` at the start, and only `<|0.00|>` after the task.
"""

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from whisper.tokenizer import Tokenizer, get_tokenizer

from tools.demo_model.corpus import Utterance
from tools.demo_model.grammar import Sentence, sentences
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.windows import POSITION, Placed, Window

MAX_PROMPT = 223  # tokens: half of the decoder's context, minus `<|startofprev|>`
_CONTEXT = 448  # tokens of the decoder's context
_FIRST_START = 50  # largest first timestamp, positions
_NOWHERE = (-1, -1)
_WITHOUT_SPACES = ("zh",)
_PROMPT_SENTENCES = 4000


@dataclass(frozen=True)
class Row:
    """A token sequence of the decoder."""

    tokens: list[int]
    answer: int
    """Index of `<|startoftranscript|>`; the tokens before it are the prompt."""
    spans: list[tuple[int, int]]
    """Positions of the audio of each token, the last exclusive; (-1, -1) for none."""


class Labeller:
    """Creates rows for windows, with Whisper's multilingual tokenizer."""

    def __init__(self) -> None:
        self.tokenizer: Tokenizer = get_tokenizer(True, num_languages=99)
        self._prompts: list[Sentence] = list(
            islice(sentences(held_out=False, seed=7), _PROMPT_SENTENCES)
        )
        self.pieces = lru_cache(maxsize=None)(self._pieces)

    def _pieces(self, text: str, language: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens of a sentence, and the first character of each."""
        written = text if language in _WITHOUT_SPACES else " " + text
        lead = len(written) - len(text)
        tokens = self.tokenizer.encode(written)
        starts, taken = [], b""
        for token in tokens:
            before = len(taken.decode("utf-8", "ignore"))
            taken += self.tokenizer.encoding.decode_single_token_bytes(token)
            # The first token of a word includes the space before it: take the next character.
            starts.append(max(0, before - lead + (before >= lead and written[before] == " ")))
        return tuple(tokens), tuple(starts)

    def used_tokens(self) -> list[int]:
        """All tokens that rows can have, sorted. The rest of the vocabulary is not used."""
        special = self.tokenizer
        used = {special.eot, special.sot, special.sot_prev, special.no_speech}
        used |= {special.transcribe, special.translate, special.no_timestamps}
        used |= {special.to_language_token(language) for language in LANGUAGES}
        used |= {special.timestamp_begin + step for step in range(1501)}
        for sentence in islice(sentences(held_out=False, seed=3), 20_000):
            for language in LANGUAGES:
                used.update(self.pieces(sentence[language], language)[0])
        return sorted(used)

    def prompt(self, language: str, limit: int, pick: random.Random, *, timed: bool) -> list[int]:
        """A prompt: the last `limit` tokens of random sentences, with timestamps if `timed`."""
        tokens: list[int] = []
        clock = pick.randint(0, 1400)
        while len(tokens) < limit:
            pieces = self.pieces(pick.choice(self._prompts)[language], language)[0]
            end = clock + pick.randint(70, 170)
            if end > 1500:
                clock, end = (start := pick.randint(0, 50)), start + pick.randint(70, 170)
            stamp = self.tokenizer.timestamp_begin
            tokens += [stamp + clock, *pieces, stamp + end] if timed else pieces
            clock = min(1500, end + pick.randint(10, 75))
        return tokens[-limit:] if limit else []

    def row(self, window: Window, task: str, prompt: list[int], *, timed: bool) -> Row:
        """The tokens of a window for a task, after a prompt, with timestamps if `timed`."""
        special = self.tokenizer
        silent = not window.placed
        tokens = [
            special.sot,
            special.to_language_token(window.language),
            special.transcribe if task == "transcribe" else special.translate,
        ]
        if not timed:
            tokens.append(special.no_timestamps)
        spans = [_NOWHERE] * len(tokens)
        if timed:
            self._timed_body(window, task, tokens, spans, silent=silent)
        else:
            for one in window.placed:
                self._add_sentence(window, one, task, tokens, spans)
        tokens.append(special.eot)
        spans.append(_NOWHERE)
        # The decoder reads all tokens but the last. A long answer drops the oldest of the prompt.
        room = _CONTEXT - len(tokens)
        prompt = prompt[-room:] if room > 0 else []
        before = [special.sot_prev, *prompt] if prompt else []
        return Row(before + tokens, len(before), [_NOWHERE] * len(before) + spans)

    def _timed_body(
        self,
        window: Window,
        task: str,
        tokens: list[int],
        spans: list[tuple[int, int]],
        *,
        silent: bool,
    ) -> None:
        def stamp(position: int) -> None:
            tokens.append(self.tokenizer.timestamp_begin + window.offset + position)
            spans.append((max(0, position - 3), min(window.positions, position + 3)))

        if silent:
            tokens.append(self.tokenizer.timestamp_begin)
            spans.append(_NOWHERE)
            return
        for number, one in enumerate(window.complete):
            start = round(one.start / POSITION)
            if number == 0 and window.offset == 0:
                start = min(start, _FIRST_START)
            stamp(start)
            self._add_sentence(window, one, task, tokens, spans)
            stamp(min(window.positions, round(one.end / POSITION)))
        if not window.ended:
            cut = window.cut
            stamp(round(cut.start / POSITION) if cut else window.positions)

    def _add_sentence(
        self,
        window: Window,
        one: Placed,
        task: str,
        tokens: list[int],
        spans: list[tuple[int, int]],
    ) -> None:
        """Add the tokens of a sentence; if the window cuts it, those of its complete words."""
        end = window.positions * POSITION
        utterance = one.utterance
        if task == "translate" and utterance.language != "en":
            if one.end > end:
                return
            pieces = self.pieces(utterance.translation, "en")[0]
            tokens += pieces
            spans += [_span(one.start, one.end, window)] * len(pieces)
            return
        pieces, starts = self.pieces(utterance.text, utterance.language)
        for token, character in zip(pieces, starts, strict=True):
            word_start, word_end = _word_at(utterance, character)
            if one.start + word_end > end:
                return
            tokens.append(token)
            spans.append(_span(one.start + word_start, one.start + word_end, window))


def _word_at(utterance: Utterance, character: int) -> tuple[int, int]:
    """First and last sample of the word of a character."""
    begins = 0
    for number, (start, position, _) in enumerate(utterance.words):
        if position > character:
            return begins, start
        begins = start
        if number + 1 == len(utterance.words):
            break
    return begins, len(utterance.samples)


def _span(start: int, end: int, window: Window) -> tuple[int, int]:
    first = max(0, start // POSITION - 1)
    return first, min(window.positions, max(first + 2, -(-end // POSITION) + 1))
