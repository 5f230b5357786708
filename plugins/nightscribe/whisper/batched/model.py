"""Whisper's network as functions over tensors, for many windows at a time.

The weights are those of openai-whisper's modules. Their use differs: caches have a fixed size
instead of growing, and every row of a batch has a position of its own.

Shapes: a row is one text that is decoded; a slot is one window, with one or more rows (beams or
samples). `width` is the network's `n_text_state`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from nightscribe.whisper.batched.layers import (
    block_of,
    by_head,
    causal_attention,
    cross_attention,
    cross_query,
    drop_weights,
    encoder_attention,
    layer_norm,
    mlp,
    norm_of,
    to_attention_dtype,
    weights_of,
)
from nightscribe.whisper.batched.linear import Linear

__all__ = ["Caches", "Network", "prepared_network"]


@dataclass(frozen=True)
class Caches:
    """Keys and values of the decoder's attentions.

    Shape: (layers, 2, rows or slots, heads, positions, head size); keys come before values.
    """

    self_attention: Tensor  # of the tokens so far, by row; positions: the text context
    cross_attention: Tensor  # of the audio, by slot; positions: the audio context


class Network:
    """A loaded checkpoint, prepared for batches. Its matrix products are computed in `dtype`."""

    def __init__(self, whisper: Any, dtype: torch.dtype, *, take: bool = False) -> None:
        """Prepare a `whisper.model.Whisper`.

        With `take`, it is left without the weights that are prepared, block by block, so that they
        are in memory once; nothing else can be computed with it then.
        """
        self.dims = whisper.dims
        self.dtype = dtype
        self.device = whisper.device
        self.cache_dtype = to_attention_dtype(torch.empty(0, dtype=dtype, device=self.device)).dtype
        """Type of the keys and values in caches."""
        encoder, decoder = whisper.encoder, whisper.decoder
        self.weight_bytes = (
            torch.finfo(dtype).bits
            // 8
            * sum(parameter.numel() for parameter in whisper.parameters())
        )
        """Bytes of the checkpoint's weights in `dtype`."""
        self._convolutions = [
            weights_of(convolution, dtype) for convolution in (encoder.conv1, encoder.conv2)
        ]
        self._audio_positions = encoder.positional_embedding.detach()
        self._encoder = [block_of(block, dtype, take=take) for block in encoder.blocks]
        self._encoder_norm = norm_of(encoder.ln_post)
        # Embeddings of tokens and of positions (here and above) are added in float32 and the sum
        # is rounded once, as in the reference.
        embeddings = decoder.token_embedding.weight.detach()
        self._embeddings = _narrow(embeddings)
        self._text_positions = decoder.positional_embedding.detach()
        # bfloat16 has eight bits: the most probable tokens would often have equal logits.
        self._to_logits = Linear(embeddings.to(torch.float32 if dtype == torch.bfloat16 else dtype))
        self._decoder = [block_of(block, dtype, take=take) for block in decoder.blocks]
        self._decoder_norm = norm_of(decoder.ln)
        if take:
            drop_weights(encoder)
            drop_weights(decoder)
        heads = whisper.alignment_heads.indices().T.tolist()
        self.alignment_heads: list[tuple[int, int]] = [(layer, head) for layer, head in heads]

    @torch.no_grad()
    def encode(self, mel: Tensor) -> Tensor:
        """Features (windows, 1500, width) of mel spectrograms (windows, bins, 3000)."""
        (weight, bias), (weight2, bias2) = self._convolutions
        x = F.gelu(F.conv1d(mel.to(self.dtype), weight, bias, padding=1))
        x = F.gelu(F.conv1d(x, weight2, bias2, stride=2, padding=1)).transpose(1, 2)
        x = (x + self._audio_positions).to(self.dtype)
        heads = self.dims.n_audio_head
        for block in self._encoder:
            x = mlp(block, encoder_attention(block, x, heads))
        return layer_norm(x, self._encoder_norm)

    def new_caches(self, slots: int, rows_per_slot: int) -> Caches:
        """Empty caches."""
        dims = self.dims
        size = dims.n_text_state // dims.n_text_head

        def shape(rows: int, positions: int) -> tuple[int, ...]:
            return (dims.n_text_layer, 2, rows, dims.n_text_head, positions, size)

        own, cross = shape(slots * rows_per_slot, dims.n_text_ctx), shape(slots, dims.n_audio_ctx)
        place = {"dtype": self.cache_dtype, "device": self.device}
        # Tokens that are not there yet are masked, but a mask does not hide a NaN. All of a
        # window's audio is written before it is read, and takes no memory until then.
        return Caches(torch.zeros(own, **place), torch.empty(cross, **place))

    @torch.no_grad()
    def fill_cross_cache(self, caches: Caches, slots: Tensor, features: Tensor) -> None:
        """Write keys and values of windows into their slots; `features` (windows, 1500, width)."""
        heads = self.dims.n_text_head
        for layer, block in enumerate(self._decoder):
            assert block.cross_keys_values is not None
            keys, values = block.cross_keys_values(features).chunk(2, dim=-1)
            caches.cross_attention[layer, 0, slots] = to_attention_dtype(by_head(keys, heads))
            caches.cross_attention[layer, 1, slots] = to_attention_dtype(by_head(values, heads))

    @torch.no_grad()
    def prefill(
        self, tokens: Tensor, caches: Caches, slots: Tensor, rows: Tensor, rows_per_slot: int
    ) -> Tensor:
        """Read whole prompts into the caches; returns hidden states (prompts, length, width).

        `tokens` (prompts, length) may be padded at the right: no token sees the padding after it,
        and decoding overwrites what the padding leaves in the caches before it is read. A prompt
        is written for all rows of its slot; `rows` has them in the order of the prompts.
        """
        length = tokens.shape[1]
        x = (self._embedded(tokens) + self._text_positions[:length]).to(self.dtype)
        heads = self.dims.n_text_head
        own, cross = caches.self_attention, caches.cross_attention
        for layer, block in enumerate(self._decoder):
            x, keys, values = causal_attention(block, x, heads)
            own[layer, 0, rows, :, :length] = keys.repeat_interleave(rows_per_slot, 0)
            own[layer, 1, rows, :, :length] = values.repeat_interleave(rows_per_slot, 0)
            keys, values = cross[layer, 0, slots], cross[layer, 1, slots]
            x = mlp(block, cross_attention(block, x, keys, values, heads))
        return layer_norm(x, self._decoder_norm)

    @torch.no_grad()
    def decode_step(
        self, tokens: Tensor, positions: Tensor, caches: Caches, slots: int, length: int
    ) -> Tensor:
        """Read one token in every row of the first `slots` slots.

        Returns logits (rows, vocabulary) of the next tokens, in float32. `tokens` (rows,) are at
        `positions` (rows,) of their texts, all below `length`.
        """
        rows = tokens.shape[0]
        heads = self.dims.n_text_head
        x = (self._embedded(tokens) + self._text_positions[positions]).to(self.dtype)
        visible = torch.arange(length, device=x.device) <= positions[:, None]
        visible = visible[:, None, None]
        row_numbers = torch.arange(rows, device=x.device)
        for layer, block in enumerate(self._decoder):
            projected = block.attention.input(layer_norm(x, block.attention_norm))
            query, key, value = to_attention_dtype(projected).view(rows, 3, heads, -1).unbind(1)
            own = caches.self_attention[layer]
            own[0, row_numbers, :, positions] = key
            own[1, row_numbers, :, positions] = value
            mixed = F.scaled_dot_product_attention(
                query[:, :, None], own[0, :rows, :, :length], own[1, :rows, :, :length], visible
            )
            x = block.attention.output.added_to(x, mixed.reshape(rows, -1).to(x.dtype))
            # The rows of a slot share its keys and values, so their queries go together.
            by_slot = x.view(slots, rows // slots, -1)
            cross = caches.cross_attention[layer]
            x = cross_attention(block, by_slot, cross[0, :slots], cross[1, :slots], heads)
            x = mlp(block, x.view(rows, -1))
        return self.logits(layer_norm(x, self._decoder_norm))

    def _embedded(self, tokens: Tensor) -> Tensor:
        return self._embeddings[tokens].float()

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (…, vocabulary) in float32 of hidden states (…, width)."""
        if self.dtype == torch.bfloat16:
            hidden = hidden.float()
        return self._to_logits(hidden).float()

    @torch.no_grad()
    def run_decoder(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Run the decoder over whole texts, without caches.

        Args:
            tokens: (texts, length), padded at the right.
            features: (texts, 1500, width) of their windows.

        Returns:
            Logits (texts, length, vocabulary), and the scores of the alignment heads before the
            softmax (texts, heads, length, 1500); both in float32.
        """
        heads = self.dims.n_text_head
        x = (self._embedded(tokens) + self._text_positions[: tokens.shape[1]]).to(self.dtype)
        scores: dict[tuple[int, int], Tensor] = {}
        for layer, block in enumerate(self._decoder):
            assert block.cross_keys_values is not None
            x = causal_attention(block, x, heads)[0]
            keys, values = block.cross_keys_values(features).chunk(2, dim=-1)
            keys, values = by_head(keys, heads), by_head(values, heads)
            chosen = [head for at, head in self.alignment_heads if at == layer]
            if chosen:
                query = by_head(cross_query(block, x), heads)[:, chosen]
                scale = query.shape[-1] ** -0.25  # on both factors, as in the reference
                scaled_query, scaled_keys = query.float() * scale, keys[:, chosen].float() * scale
                by_chosen = scaled_query @ scaled_keys.transpose(-1, -2)
                for place, head in enumerate(chosen):
                    scores[layer, head] = by_chosen[:, place]
            x = mlp(block, cross_attention(block, x, keys, values, heads))
        all_scores = torch.stack([scores[where] for where in self.alignment_heads], dim=1)
        return self.logits(layer_norm(x, self._decoder_norm)), all_scores


def _narrow(weight: Tensor) -> Tensor:
    """The same numbers in half the memory, if they are a float16 checkpoint's."""
    half = weight.half()
    return half if torch.equal(half.float(), weight) else weight


_PREPARED: WeakKeyDictionary[Any, dict[torch.dtype, Network]] = WeakKeyDictionary()


def prepared_network(whisper: Any, dtype: torch.dtype, *, take: bool = False) -> Network:
    """The network of a loaded checkpoint; prepared once, and kept as long as the checkpoint is.

    With `take`, the checkpoint is left without its weights: see `Network`.
    """
    networks = _PREPARED.setdefault(whisper, {})
    if dtype not in networks:
        networks[dtype] = Network(whisper, dtype, take=take)
    return networks[dtype]
