"""What the model should say to a window: tokens, where in the window each is heard, and prompts.

The labels follow what `whisper.transcribe` does with the decoder's answers:

- a segment is `<|start|> text <|end|>`; the first start is at most 1.00, which is as far as the
  reference lets it go;
- where the recording goes on behind the window, the last thing said is a pair of timestamps: the
  end of the last whole segment, then the start of the one that the window cuts (or the window's
  end). The reference goes on from the first of the two, so that the cut one is heard whole;
- where the recording ends, the last thing is the single end of the last segment;
- where nobody speaks: `<|nospeech|>` at the start, and after the task `<|0.00|>` alone.
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

MAX_PROMPT = 223  # tokens: half of the decoder's context, less the token that opens a prompt
_CONTEXT = 448  # tokens that the decoder can read
_FIRST_START = 50  # positions
_NOWHERE = (-1, -1)
_WITHOUT_SPACES = ("zh",)
_PROMPT_SENTENCES = 4000


@dataclass(frozen=True)
class Row:
    """One answer of the decoder: tokens, where the answer begins, and where each is heard."""

    tokens: list[int]
    answer: int
    """Index of `<|startoftranscript|>`: what is before it is a prompt."""
    heard: list[tuple[int, int]]
    """First and last position (exclusive) at which each token can be heard, or (-1, -1)."""


class Labeller:
    """Makes rows for windows, with Whisper's own multilingual tokenizer."""

    def __init__(self) -> None:
        self.tokenizer: Tokenizer = get_tokenizer(True, num_languages=99)
        self._prompts: list[Sentence] = list(
            islice(sentences(held_out=False, seed=7), _PROMPT_SENTENCES)
        )
        self.pieces = lru_cache(maxsize=None)(self._pieces)

    def _pieces(self, text: str, language: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A sentence's tokens and the character at which each begins."""
        written = text if language in _WITHOUT_SPACES else " " + text
        lead = len(written) - len(text)
        tokens = self.tokenizer.encode(written)
        starts, taken = [], b""
        for token in tokens:
            before = len(taken.decode("utf-8", "ignore"))
            taken += self.tokenizer.encoding.decode_single_token_bytes(token)
            # The first character that is not the space which a word's first token carries.
            starts.append(max(0, before - lead + (before >= lead and written[before] == " ")))
        return tuple(tokens), tuple(starts)

    def used_tokens(self) -> list[int]:
        """Every token that a row can hold, in order: the rest of the vocabulary is never used."""
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
        """The last `limit` tokens of what was said before, with timestamps as the reference has."""
        tokens: list[int] = []
        clock = pick.randint(0, 1400)
        while len(tokens) < limit:
            said = self.pieces(pick.choice(self._prompts)[language], language)[0]
            end = clock + pick.randint(70, 170)
            if end > 1500:
                clock, end = (start := pick.randint(0, 50)), start + pick.randint(70, 170)
            stamp = self.tokenizer.timestamp_begin
            tokens += [stamp + clock, *said, stamp + end] if timed else said
            clock = min(1500, end + pick.randint(10, 75))
        return tokens[-limit:] if limit else []

    def row(self, window: Window, task: str, prompt: list[int], *, timed: bool) -> Row:
        """The answer to a window for a task, after a prompt, with or without timestamps."""
        special = self.tokenizer
        silent = not window.placed
        tokens = [
            special.sot,
            special.to_language_token(window.language),
            special.transcribe if task == "transcribe" else special.translate,
        ]
        if not timed:
            tokens.append(special.no_timestamps)
        heard = [_NOWHERE] * len(tokens)
        if timed:
            self._timed_body(window, task, tokens, heard, silent=silent)
        else:
            for one in window.placed:
                self._say(window, one, task, tokens, heard)
        tokens.append(special.eot)
        heard.append(_NOWHERE)
        # All but the last token is read; the oldest of a prompt make room for a long answer.
        room = _CONTEXT - len(tokens)
        prompt = prompt[-room:] if room > 0 else []
        before = [special.sot_prev, *prompt] if prompt else []
        return Row(before + tokens, len(before), [_NOWHERE] * len(before) + heard)

    def _timed_body(
        self,
        window: Window,
        task: str,
        tokens: list[int],
        heard: list[tuple[int, int]],
        *,
        silent: bool,
    ) -> None:
        def stamp(position: int) -> None:
            tokens.append(self.tokenizer.timestamp_begin + window.offset + position)
            heard.append((max(0, position - 3), min(window.positions, position + 3)))

        if silent:
            tokens.append(self.tokenizer.timestamp_begin)
            heard.append(_NOWHERE)
            return
        for number, one in enumerate(window.complete):
            start = round(one.start / POSITION)
            if number == 0 and window.offset == 0:
                start = min(start, _FIRST_START)
            stamp(start)
            self._say(window, one, task, tokens, heard)
            stamp(min(window.positions, round(one.end / POSITION)))
        if not window.ended:
            cut = window.cut
            stamp(round(cut.start / POSITION) if cut else window.positions)

    def _say(
        self,
        window: Window,
        one: Placed,
        task: str,
        tokens: list[int],
        heard: list[tuple[int, int]],
    ) -> None:
        """The sentence's tokens; of one that the window cuts, those of the words that are whole."""
        end = window.positions * POSITION
        utterance = one.utterance
        if task == "translate" and utterance.language != "en":
            if one.end > end:
                return
            said = self.pieces(utterance.translation, "en")[0]
            tokens += said
            heard += [_span(one.start, one.end, window)] * len(said)
            return
        said, starts = self.pieces(utterance.text, utterance.language)
        for token, character in zip(said, starts, strict=True):
            word_start, word_end = _word_at(utterance, character)
            if one.start + word_end > end:
                return
            tokens.append(token)
            heard.append(_span(one.start + word_start, one.start + word_end, window))


def _word_at(utterance: Utterance, character: int) -> tuple[int, int]:
    """First and last sample of the word to which a character belongs."""
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
