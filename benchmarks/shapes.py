"""Checkpoints of the official shapes with random weights, to measure speed without real weights.

With plain random weights, every engine would decode other tokens and never end. Here, the embedding
of each decoder position determines the next token: at position p it is close to the embedding of
the token that must come at p + 1, and the contributions of the other, random layers are too small
to change the choice. So every engine detects English and decodes the same text in every window: a
timestamp, words, a timestamp, and the end. No engine is patched; all run their usual steps and
rules.

This needs decoding without a prompt, so without conditioning on the previous text.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor
from whisper.model import ModelDimensions, Whisper

from benchmarks.convert import tokenizer_of

_SEED = 1
_POSITION_STD = 4.0  # of a position's embedding; the random layers add less than 1


def _dimensions(bins: int, width: int, layers: tuple[int, int], vocabulary: int) -> ModelDimensions:
    heads = width // 64  # as in all official shapes
    encoder, decoder = layers
    return ModelDimensions(
        *(bins, 1500, width, heads, encoder),
        *(vocabulary, 448, width, heads, decoder),
    )


SHAPES = {
    "tiny": _dimensions(80, 384, (4, 4), 51_865),
    "base.en": _dimensions(80, 512, (6, 6), 51_864),
    "large-v3-turbo": _dimensions(128, 1280, (32, 4), 51_866),
    "large-v3": _dimensions(128, 1280, (32, 32), 51_866),
}
"""Dimensions of the official checkpoints (Radford et al. 2022, table 1)."""


def write_checkpoint(shape: str, tokens: int, file: Path) -> None:
    """Write a checkpoint that decodes `tokens` tokens per window, timestamps included.

    The weights are float16, as in the official checkpoints.
    """
    dims = SHAPES[shape]
    random = torch.Generator().manual_seed(_SEED)
    weights: dict[str, Tensor] = Whisper(dims).state_dict()
    for name, weight in weights.items():
        weight.copy_(_random_weight(name, weight.shape, dims, random))
    embeddings = weights["decoder.token_embedding.weight"]
    text = torch.tensor(decoded_tokens(dims, tokens))
    positions = weights["decoder.positional_embedding"]
    positions[: len(text)] = embeddings[text] / embeddings.std() * _POSITION_STD
    # No engine should decode beyond the end of the text; if one does, it gets the end again.
    positions[len(text) :] = positions[len(text) - 1]
    content = {
        "dims": vars(dims),
        "model_state_dict": {name: weight.half() for name, weight in weights.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.rename(file)


def decoded_tokens(dims: ModelDimensions, tokens: int) -> list[int]:
    """The tokens after `<|startoftranscript|>` in every window, with the end of the text."""
    tokenizer = tokenizer_of(dims)
    start = list(tokenizer.sot_sequence)[1:]  # language and task, in multilingual checkpoints
    begin = tokenizer.timestamp_begin
    # Different words of one token each, so that the text does not look like a loop.
    words = [
        token
        for token in range(1_000, tokenizer.eot - 1)
        if re.fullmatch(" [a-z]+", tokenizer.decode([token]))
    ]
    text = words[:: len(words) // tokens][: tokens - 2]
    return [*start, begin, *text, begin + dims.n_audio_ctx, tokenizer.eot]


def _random_weight(
    name: str, shape: torch.Size, dims: ModelDimensions, random: torch.Generator
) -> Tensor:
    """A weight of the network. Norms are the identity; layers preserve the scale of their input."""
    if "ln" in name.split(".")[-2]:
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    if name.endswith("bias"):
        return torch.zeros(shape)
    drawn = torch.randn(shape, generator=random)
    if name == "decoder.token_embedding.weight":
        return drawn.mul_(2.0 / dims.n_text_state**0.5)
    if name.endswith("positional_embedding"):
        return drawn.mul_(0.02)
    inputs = drawn[0].numel()
    # The contribution of a layer falls with the number of layers, so that the sum keeps its scale.
    adds = name.endswith(("attn.out.weight", "mlp.2.weight"))
    layers = dims.n_audio_layer if name.startswith("encoder") else dims.n_text_layer
    return drawn.mul_(inputs**-0.5 * (0.3 / layers**0.5 if adds else 1.0))
