"""Whether the tokenizer of a folder is OpenAI's.

A transcript is made of token ids, which openai-whisper's tokenizer turns into text. Another
vocabulary gives other text for the same ids, so a model that has one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.network import described

__all__ = ["check_tokenizer", "check_vocabulary", "letters"]

_SAME = {"<|nocaptions|>": "<|nospeech|>"}
"""Names of Transformers → OpenAI's."""


def check_tokenizer(folder: Path, languages: int) -> None:
    """Compare the tokenizer of a folder of Transformers with OpenAI's.

    Args:
        languages: of the model's vocabulary; 0: English only

    Raises:
        ModelError: there is no tokenizer, or it differs.
    """
    whole, vocabulary = folder / "tokenizer.json", folder / "vocab.json"
    if whole.is_file():
        content = described(whole)
        named = _dictionary(content.get("model"), "vocab", whole)
        added = content.get("added_tokens") or []
        special = [(one.get("content"), one.get("id")) for one in added if isinstance(one, dict)]
        _compare(whole, [*named.items(), *special], languages)
    elif vocabulary.is_file():
        more = folder / "added_tokens.json"
        named = described(vocabulary) | (described(more) if more.is_file() else {})
        _compare(vocabulary, named.items(), languages)
    else:
        raise ModelError(
            f"{folder} has no tokenizer: copy tokenizer.json or vocab.json of the model that this "
            "one was trained from into it"
        )


def check_vocabulary(path: Path, tokens: list[Any], languages: int) -> None:
    """Compare a list of tokens, in order of their ids, with OpenAI's. Raises `ModelError`."""
    _compare(path, ((token, number) for number, token in enumerate(tokens)), languages)


def _dictionary(content: Any, key: str, path: Path) -> Mapping[str, Any]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not the tokenizer of a Whisper model: it has no {key!r}")
    return found


def _compare(path: Path, named: Iterable[tuple[Any, Any]], languages: int) -> None:
    expected = _openai(languages)
    ordinary = range(50_257 if languages else 50_256)  # those that are text
    missing = {number for number in ordinary if expected[number]}
    for token, number in named:
        if not isinstance(number, int) or number not in expected:
            continue  # the model has no such token and so never writes it
        missing.discard(number)
        if _SAME.get(token, token) != expected[number]:
            raise ModelError(
                f"{path} is not OpenAI's tokenizer: token {number} is {token!r}, and "
                f"{expected[number]!r} in OpenAI's; a model with another tokenizer cannot be used"
            )
    if missing:
        raise ModelError(
            f"{path} is not OpenAI's tokenizer: it lacks {len(missing)} of its tokens, such as "
            f"{expected[min(missing)]!r}; a model with another tokenizer cannot be used"
        )


@lru_cache(2)
def _openai(languages: int) -> dict[int, str]:
    """Id → printable form of each token of openai-whisper, as Transformers prints it."""
    from whisper.tokenizer import get_encoding

    encoding = get_encoding("multilingual" if languages else "gpt2", languages or 99)
    letter_of = letters()
    tokens = {
        number: "".join(letter_of[byte] for byte in token)
        for token, number in encoding._mergeable_ranks.items()
    }
    tokens.update({number: token for token, number in encoding._special_tokens.items()})
    return tokens


def letters() -> dict[int, str]:
    """GPT-2's letter for each byte: the byte itself if it is visible, else one from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {
        byte: chr(0x100 + number) for number, byte in enumerate(others)
    }
