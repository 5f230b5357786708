"""Whisper's network as functions over tensors, for many windows at a time.

The weights are openai-whisper's modules' own; what differs is how they are used: queries, keys
and values of a self-attention in one product, fixed-size caches in place of growing ones, and
every row of a batch at a position of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from nightscribe.whisper.batched.linear import Linear


@dataclass(frozen=True)
class _Attention:
    """An attention's layers: `inward` makes queries, or queries, keys and values in one."""

    inward: Linear
    out: Linear


@dataclass(frozen=True)
class _Block:
    """One layer of the network, in its precision; the weights of the norms in float32."""

    attention: _Attention
    attention_norm: tuple[Tensor, Tensor]
    cross: _Attention | None
    cross_norm: tuple[Tensor, Tensor] | None
    keys_values: Linear | None  # of the cross-attention, stacked
    mlp: tuple[Linear, Linear]
    mlp_norm: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Caches:
    """Keys and values of rows: shape (layers, 2, rows, heads, positions, head size)."""

    own: Tensor  # of the tokens so far; positions: the text context
    cross: Tensor  # of the audio; a row a slot, which a group of rows shares


class Network:
    """A loaded checkpoint, prepared for batches. `dtype` is that of its matrix products."""

    def __init__(self, whisper: Any, dtype: torch.dtype) -> None:
        self.dims = whisper.dims
        self.dtype = dtype
        self.device = whisper.device
        self.cached = _precise(torch.empty(0, dtype=dtype, device=self.device)).dtype
        """Precision of keys and values in caches."""
        encoder, decoder = whisper.encoder, whisper.decoder
        self._convolutions = [
            _weights(convolution, dtype) for convolution in (encoder.conv1, encoder.conv2)
        ]
        self._audio_positions = encoder.positional_embedding.detach()
        self._encoder = [_block(block, dtype) for block in encoder.blocks]
        self._encoder_norm = _norm(encoder.ln_post)
        # Summed in float32 and rounded once, as the reference does it: here and above.
        self._embeddings = decoder.token_embedding.weight.detach()
        self._text_positions = decoder.positional_embedding.detach()
        # Rounded to bfloat16's eight bits, the likeliest tokens would often be equals.
        self._to_logits = Linear(
            self._embeddings.to(torch.float32 if dtype == torch.bfloat16 else dtype)
        )
        self._decoder = [_block(block, dtype) for block in decoder.blocks]
        self._decoder_norm = _norm(decoder.ln)
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
            x = x + _self_attention(block, x, heads)[0]
            x = x + _mlp(block, x)
        return _normed(x, self._encoder_norm)

    def caches(self, slots: int, group: int) -> Caches:
        """Empty caches for so many slots of `group` rows each."""
        dims = self.dims
        size = dims.n_text_state // dims.n_text_head

        def empty(rows: int, positions: int) -> Tensor:
            shape = (dims.n_text_layer, 2, rows, dims.n_text_head, positions, size)
            return torch.zeros(shape, dtype=self.cached, device=self.device)

        return Caches(empty(slots * group, dims.n_text_ctx), empty(slots, dims.n_audio_ctx))

    @torch.no_grad()
    def hear(self, caches: Caches, slots: Tensor, features: Tensor) -> None:
        """Write the cross-attention's keys and values of windows into their slots."""
        heads = self.dims.n_text_head
        for layer, block in enumerate(self._decoder):
            assert block.keys_values is not None
            keys, values = block.keys_values(features).chunk(2, dim=-1)
            caches.cross[layer, 0, slots] = _precise(_by_head(keys, heads))
            caches.cross[layer, 1, slots] = _precise(_by_head(values, heads))

    @torch.no_grad()
    def read(
        self, tokens: Tensor, caches: Caches, slots: Tensor, rows: Tensor, group: int
    ) -> Tensor:
        """Read whole prompts: hidden states (prompts, length, width).

        `tokens` (prompts, length) may be padded at the right, which nothing before it can see; what
        the padding leaves in the caches is overwritten before it is looked at. Each prompt is
        written for its `group` rows, `rows` in order.
        """
        length = tokens.shape[1]
        x = (self._embeddings[tokens] + self._text_positions[:length]).to(self.dtype)
        heads = self.dims.n_text_head
        for layer, block in enumerate(self._decoder):
            added, keys, values = _self_attention(block, x, heads, causal=True)
            caches.own[layer, 0, rows, :, :length] = keys.repeat_interleave(group, 0)
            caches.own[layer, 1, rows, :, :length] = values.repeat_interleave(group, 0)
            x = x + added
            keys, values = caches.cross[layer, 0, slots], caches.cross[layer, 1, slots]
            x = x + _cross_attention(block, x, keys, values, heads)
            x = x + _mlp(block, x)
        return _normed(x, self._decoder_norm)

    @torch.no_grad()
    def next(
        self, tokens: Tensor, positions: Tensor, caches: Caches, slots: int, seen: int
    ) -> Tensor:
        """One token further: logits (rows, vocabulary), float32, of the rows of the first slots.

        `tokens` (rows,) stand at `positions` (rows,) of their texts, all below `seen`.
        """
        rows = tokens.shape[0]
        heads = self.dims.n_text_head
        x = (self._embeddings[tokens] + self._text_positions[positions]).to(self.dtype)
        visible = torch.arange(seen, device=x.device) <= positions[:, None]
        visible = visible[:, None, None]
        number = torch.arange(rows, device=x.device)
        for layer, block in enumerate(self._decoder):
            inward = block.attention.inward(_normed(x, block.attention_norm))
            query, key, value = _precise(inward).view(rows, 3, heads, -1).unbind(1)
            own = caches.own[layer]
            own[0, number, :, positions] = key
            own[1, number, :, positions] = value
            seen_values = F.scaled_dot_product_attention(
                query[:, :, None], own[0, :rows, :, :seen], own[1, :rows, :, :seen], visible
            )
            x = x + block.attention.out(seen_values.reshape(rows, -1).to(x.dtype))
            # The rows of a slot ask its keys and values together.
            asked = x.view(slots, rows // slots, -1)
            cross = caches.cross[layer]
            heard = _cross_attention(block, asked, cross[0, :slots], cross[1, :slots], heads)
            x = x + heard.view(rows, -1)
            x = x + _mlp(block, x)
        return self.logits(_normed(x, self._decoder_norm))

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (…, vocabulary) in float32 of hidden states (…, width)."""
        if self.dtype == torch.bfloat16:
            hidden = hidden.float()
        return self._to_logits(hidden).float()

    @torch.no_grad()
    def attend(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Read whole texts and watch where the alignment heads look.

        `tokens` (texts, length), padded at the right; `features` (texts, 1500, width). Returns
        logits (texts, length, vocabulary) and scores before the softmax in float32
        (texts, alignment heads, length, 1500).
        """
        heads = self.dims.n_text_head
        x = (self._embeddings[tokens] + self._text_positions[: tokens.shape[1]]).to(self.dtype)
        found: dict[tuple[int, int], Tensor] = {}
        for layer, block in enumerate(self._decoder):
            assert block.keys_values is not None
            x = x + _self_attention(block, x, heads, causal=True)[0]
            keys, values = block.keys_values(features).chunk(2, dim=-1)
            keys, values = _by_head(keys, heads), _by_head(values, heads)
            watched = [head for at, head in self.alignment_heads if at == layer]
            if watched:
                query = _by_head(_query(block, x), heads)[:, watched]
                scale = query.shape[-1] ** -0.25  # on both sides, as the reference has it
                looked_for, offered = query.float() * scale, keys[:, watched].float() * scale
                scores = looked_for @ offered.transpose(-1, -2)
                for place, head in enumerate(watched):
                    found[layer, head] = scores[:, place]
            x = x + _cross_attention(block, x, keys, values, heads)
            x = x + _mlp(block, x)
        looked = torch.stack([found[where] for where in self.alignment_heads], dim=1)
        return self.logits(_normed(x, self._decoder_norm)), looked


_PREPARED: WeakKeyDictionary[Any, dict[torch.dtype, Network]] = WeakKeyDictionary()


def prepared(whisper: Any, dtype: torch.dtype) -> Network:
    """The network of a checkpoint, prepared once for as long as it stays loaded."""
    networks = _PREPARED.setdefault(whisper, {})
    if dtype not in networks:
        networks[dtype] = Network(whisper, dtype)
    return networks[dtype]


def _block(block: Any, dtype: torch.dtype) -> _Block:
    own, cross = block.attn, block.cross_attn
    return _Block(
        _Attention(_stacked(own.query, own.key, own.value, dtype=dtype), _linear(own.out, dtype)),
        _norm(block.attn_ln),
        cross and _Attention(_linear(cross.query, dtype), _linear(cross.out, dtype)),
        cross and _norm(block.cross_attn_ln),
        cross and _stacked(cross.key, cross.value, dtype=dtype),
        (_linear(block.mlp[0], dtype), _linear(block.mlp[2], dtype)),
        _norm(block.mlp_ln),
    )


def _weights(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer; Whisper's keys have none, which is zeros here."""
    weight = layer.weight.detach().to(dtype)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().to(dtype)
    return weight, bias


def _linear(layer: Any, dtype: torch.dtype) -> Linear:
    return Linear(*_weights(layer, dtype))


def _stacked(*layers: Any, dtype: torch.dtype) -> Linear:
    weights, biases = zip(*(_weights(layer, dtype) for layer in layers), strict=True)
    return Linear(torch.cat(weights), torch.cat(biases))


def _norm(norm: Any) -> tuple[Tensor, Tensor]:
    return norm.weight.detach().float(), norm.bias.detach().float()


def _normed(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    """Layer norm in float32, whatever the precision around it."""
    return F.layer_norm(x.float(), x.shape[-1:], *norm).to(x.dtype)


def _precise(x: Tensor) -> Tensor:
    """What attention computes with: on a CPU float32 always, where bfloat16 takes longer."""
    return x.float() if x.device.type == "cpu" else x


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(batch, length, width) → (batch, heads, length, head size)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def _self_attention(
    block: _Block, x: Tensor, heads: int, *, causal: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """What attention adds to `x`, and its keys and values by head."""
    inward = block.attention.inward(_normed(x, block.attention_norm))
    query, keys, values = (_by_head(part, heads) for part in _precise(inward).chunk(3, dim=-1))
    seen = F.scaled_dot_product_attention(query, keys, values, is_causal=causal and x.shape[1] > 1)
    return block.attention.out(seen.transpose(1, 2).flatten(2).to(x.dtype)), keys, values


def _query(block: _Block, x: Tensor) -> Tensor:
    assert block.cross is not None
    assert block.cross_norm is not None
    return block.cross.inward(_normed(x, block.cross_norm))


def _cross_attention(block: _Block, x: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    assert block.cross is not None
    query = _precise(_by_head(_query(block, x), heads))
    seen = F.scaled_dot_product_attention(query, _precise(keys), _precise(values))
    return block.cross.out(seen.transpose(1, 2).flatten(2).to(x.dtype))


def _mlp(block: _Block, x: Tensor) -> Tensor:
    up, down = block.mlp
    return down(F.gelu(up(_normed(x, block.mlp_norm))))
