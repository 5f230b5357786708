"""The prompt of each window: the initial prompt, then the text of the windows before."""

from __future__ import annotations

from collections.abc import Sequence

from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.options import Options

__all__ = ["PromptHistory"]


class PromptHistory:
    """All tokens of a recording so far, and which of them prompt the next window."""

    def __init__(self, options: Options, tokenizer: Tokenizer, shape: ModelShape) -> None:
        self._initial: list[int] = (
            []
            if options.initial_prompt is None
            else tokenizer.encode(" " + options.initial_prompt.strip())
        )
        self._carry_initial = options.carry_initial_prompt
        self._room = shape.prompt_limit - len(self._initial)
        self._tokens = list(self._initial)
        self._start = 0

    @property
    def text_tokens(self) -> list[int]:
        """Tokens of all windows, without the initial prompt."""
        return self._tokens[len(self._initial) :]

    def prompt(self) -> tuple[int, ...]:
        """Tokens that prompt the next window. The decoder takes the last of them that fit."""
        if not self._carry_initial:
            return tuple(self._tokens[self._start :])
        text = self._tokens[max(len(self._initial), self._start) :]
        # As in the reference: if there is no room, all of the text follows, and the initial
        # prompt is then cut off at the front.
        return (*self._initial, *text[-self._room :])

    def add(self, tokens: Sequence[int]) -> None:
        """Add tokens of a window."""
        self._tokens += tokens

    def reset(self) -> None:
        """Prompt later windows with none of the text so far."""
        self._start = len(self._tokens)
