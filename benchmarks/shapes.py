"""Checkpoints of the official shapes with random weights, for speed where the weights are not here.

Random weights would say anything and never end, each engine in its own way. So the decoder's
positions are made to point at tokens: at position p the sum of embeddings lies close to that of
the token wanted at p + 1, and the rest of the network, random, is too weak to turn it away. Every
engine then detects English and reads the same text in every window: a timestamp, words, a
timestamp, the end. No engine is patched, and all of them run their usual steps and rules.

This holds where nothing stands before the transcript's start: without conditioning on the
previous text.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor
from whisper.model import ModelDimensions, Whisper

from benchmarks.convert import tokenizer_of

_SEED = 1
_POINTING = 4.0  # standard deviation of a position's embedding; of a random layer's sum: below 1


def _dimensions(bins: int, width: int, layers: tuple[int, int], vocabulary: int) -> ModelDimensions:
    heads = width // 64  # in all official shapes
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
"""Dimensions as the official checkpoints state them (Radford et al. 2022, table 1)."""


def write_checkpoint(shape: str, tokens: int, file: Path) -> None:
    """Write a checkpoint of a shape whose every window has so many tokens, timestamps included.

    In float16, as the official ones are.
    """
    dims = SHAPES[shape]
    random = torch.Generator().manual_seed(_SEED)
    weights: dict[str, Tensor] = Whisper(dims).state_dict()
    for name, weight in weights.items():
        weight.copy_(_drawn(name, weight.shape, dims, random))
    embeddings = weights["decoder.token_embedding.weight"]
    text = torch.tensor(said(dims, tokens))
    positions = weights["decoder.positional_embedding"]
    positions[: len(text)] = embeddings[text] / embeddings.std() * _POINTING
    # Behind the end of the text, where no engine should come, there is its end again.
    positions[len(text) :] = positions[len(text) - 1]
    content = {
        "dims": vars(dims),
        "model_state_dict": {name: weight.half() for name, weight in weights.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.rename(file)


def said(dims: ModelDimensions, tokens: int) -> list[int]:
    """The token that follows each position of the text, from the transcript's start on."""
    tokenizer = tokenizer_of(dims)
    start = list(tokenizer.sot_sequence)[1:]  # language and task, in multilingual checkpoints
    begin = tokenizer.timestamp_begin
    # Words of one token each, all different: nothing that looks like a loop.
    words = [
        token
        for token in range(1_000, tokenizer.eot - 1)
        if re.fullmatch(" [a-z]+", tokenizer.decode([token]))
    ]
    spoken = words[:: len(words) // tokens][: tokens - 2]
    return [*start, begin, *spoken, begin + dims.n_audio_ctx, tokenizer.eot]


def _drawn(name: str, shape: torch.Size, dims: ModelDimensions, random: torch.Generator) -> Tensor:
    """A tensor of the network: norms are ones and zeros, layers keep the size of what they get."""
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
    # What a layer adds is less the more layers there are, so that their sum keeps its size.
    adds = name.endswith(("attn.out.weight", "mlp.2.weight"))
    layers = dims.n_audio_layer if name.startswith("encoder") else dims.n_text_layer
    return drawn.mul_(inputs**-0.5 * (0.3 / layers**0.5 if adds else 1.0))
