"""Networks of the official shapes with random weights, to measure speed without real weights.

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

import torch
from torch import Tensor
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

__all__ = [
    "SHAPES",
    "decoded_tokens",
    "is_multilingual",
    "languages",
    "parameters",
    "random_network",
    "tokenizer_of",
]

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
    "tiny.en": _dimensions(80, 384, (4, 4), 51_864),
    "base": _dimensions(80, 512, (6, 6), 51_865),
    "base.en": _dimensions(80, 512, (6, 6), 51_864),
    "small": _dimensions(80, 768, (12, 12), 51_865),
    "small.en": _dimensions(80, 768, (12, 12), 51_864),
    "medium": _dimensions(80, 1024, (24, 24), 51_865),
    "medium.en": _dimensions(80, 1024, (24, 24), 51_864),
    "large-v3-turbo": _dimensions(128, 1280, (32, 4), 51_866),
    "large-v2": _dimensions(80, 1280, (32, 32), 51_865),
    "large-v3": _dimensions(128, 1280, (32, 32), 51_866),
}
"""Dimensions of the official checkpoints, the smallest first (Radford et al. 2022, table 1; the
files of large-v3 and of turbo state theirs). large-v1 has those of large-v2."""


def parameters(dims: ModelDimensions) -> int:
    """Number of weights of a network of these dimensions, without building it."""
    encoder, decoder = int(dims.n_audio_state), int(dims.n_text_state)
    convolutions = 3 * (dims.n_mels + encoder) * encoder + 2 * encoder
    embeddings = (dims.n_vocab + dims.n_text_ctx) * decoder
    norms = 2 * encoder + 2 * decoder  # after the last layer
    layers = dims.n_audio_layer * _layer(encoder, attentions=1)
    layers += dims.n_text_layer * _layer(decoder, attentions=2)
    return int(convolutions + embeddings + norms + layers)


def _layer(width: int, *, attentions: int) -> int:
    attention = 4 * width**2 + 3 * width + 2 * width  # keys have no bias; with its norm
    feed_forward = 8 * width**2 + 5 * width + 2 * width
    return attentions * attention + feed_forward


def random_network(dims: ModelDimensions, tokens: int) -> Whisper:
    """A network that decodes `tokens` tokens per window, timestamps included, in float32.

    The same dimensions and tokens give the same weights.
    """
    random = torch.Generator().manual_seed(_SEED)
    network = Whisper(dims)
    weights: dict[str, Tensor] = network.state_dict()
    for name, weight in weights.items():
        weight.copy_(_random_weight(name, weight.shape, dims, random))
    embeddings = weights["decoder.token_embedding.weight"]
    text = torch.tensor(decoded_tokens(dims, tokens))
    positions = weights["decoder.positional_embedding"]
    positions[: len(text)] = embeddings[text] / embeddings.std() * _POSITION_STD
    # No engine should decode beyond the end of the text; if one does, it gets the end again.
    positions[len(text) :] = positions[len(text) - 1]
    return network


def tokenizer_of(dims: ModelDimensions) -> Tokenizer:
    """openai-whisper's tokenizer for a network of these dimensions, set to English."""
    multilingual = is_multilingual(dims)
    return get_tokenizer(
        multilingual, num_languages=languages(dims), language="en", task="transcribe"
    )


def is_multilingual(dims: ModelDimensions) -> bool:
    """Whether the vocabulary has the size of a multilingual one, as openai-whisper decides."""
    return bool(dims.n_vocab >= 51_865)


def languages(dims: ModelDimensions) -> int:
    """Number of language tokens, as openai-whisper counts them."""
    return int(dims.n_vocab - 51_765 - is_multilingual(dims))


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
