"""The network's layers: weights prepared for batches, and attention, MLP and norm as functions.

The weights are those of openai-whisper's modules. Queries, keys and values of a self-attention
come out of one matrix product here, as do keys and values of a cross-attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from nightscribe.whisper.batched.attention import full_attention
from nightscribe.whisper.batched.linear import Linear

__all__ = [
    "Attention",
    "Block",
    "block_of",
    "by_head",
    "causal_attention",
    "cross_attention",
    "cross_query",
    "drop_weights",
    "encoder_attention",
    "layer_norm",
    "mlp",
    "norm_of",
    "to_attention_dtype",
    "weights_of",
]


@dataclass(frozen=True)
class Attention:
    """An attention's layers. `input` gives queries; in a self-attention keys and values, too."""

    input: Linear
    output: Linear


@dataclass(frozen=True)
class Block:
    """One block of the encoder or the decoder. Its norms stay in float32."""

    attention: Attention
    attention_norm: tuple[Tensor, Tensor]
    cross: Attention | None  # of the decoder alone, like the next two
    cross_norm: tuple[Tensor, Tensor] | None
    cross_keys_values: Linear | None
    mlp: tuple[Linear, Linear]
    mlp_norm: tuple[Tensor, Tensor]


def block_of(block: Any, dtype: torch.dtype, *, take: bool) -> Block:
    """Prepare a `whisper.model.ResidualAttentionBlock`; its products are computed in `dtype`.

    With `take`, its own weights are dropped afterwards.
    """
    own, cross = block.attn, block.cross_attn
    prepared = Block(
        Attention(_stacked(own.query, own.key, own.value, dtype=dtype), _linear(own.out, dtype)),
        norm_of(block.attn_ln),
        cross and Attention(_linear(cross.query, dtype), _linear(cross.out, dtype)),
        cross and norm_of(block.cross_attn_ln),
        cross and _stacked(cross.key, cross.value, dtype=dtype),
        (_linear(block.mlp[0], dtype), _linear(block.mlp[2], dtype)),
        norm_of(block.mlp_ln),
    )
    if take:
        drop_weights(block)
    return prepared


def drop_weights(module: Any) -> None:
    """Leave a module without its weights; tensors that are prepared from them stay."""
    for parameter in module.parameters():
        parameter.data = parameter.new_empty(0)


def weights_of(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer. Whisper's keys have no bias: it is zeros here."""
    weight = layer.weight.detach().to(dtype)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().to(dtype)
    return weight, bias


def norm_of(norm: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer norm, in float32."""
    return norm.weight.detach().float(), norm.bias.detach().float()


def layer_norm(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    """Layer norm of `x` (…, width), computed in float32 and returned in the type of `x`."""
    return F.layer_norm(x.float(), x.shape[-1:], *norm).to(x.dtype)


def to_attention_dtype(x: Tensor) -> Tensor:
    """`x` in the type that attention computes in: on a CPU float32, where bfloat16 is slower."""
    return x.float() if x.device.type == "cpu" else x


def by_head(x: Tensor, heads: int) -> Tensor:
    """(batch, length, width) → (batch, heads, length, head size)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def encoder_attention(block: Block, x: Tensor, heads: int) -> Tensor:
    """`x` (batch, length, width) with what the attention of the encoder adds to it."""
    projected = block.attention.input(layer_norm(x, block.attention_norm))
    mixed = full_attention(*(by_head(part, heads) for part in projected.chunk(3, dim=-1)))
    return block.attention.output.added_to(x, _joined(mixed, x))


def causal_attention(block: Block, x: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """`x` (batch, length, width) with what the attention of the decoder adds to it.

    Also its keys and values by head.
    """
    projected = block.attention.input(layer_norm(x, block.attention_norm))
    query, keys, values = (
        by_head(part, heads) for part in to_attention_dtype(projected).chunk(3, dim=-1)
    )
    mixed = F.scaled_dot_product_attention(query, keys, values, is_causal=x.shape[1] > 1)
    return block.attention.output.added_to(x, _joined(mixed, x)), keys, values


def cross_query(block: Block, x: Tensor) -> Tensor:
    """Queries (batch, length, width) of the cross-attention."""
    assert block.cross is not None
    assert block.cross_norm is not None
    return block.cross.input(layer_norm(x, block.cross_norm))


def cross_attention(block: Block, x: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """`x` (batch, length, width) with what the cross-attention adds; keys and values by head."""
    assert block.cross is not None
    query = to_attention_dtype(by_head(cross_query(block, x), heads))
    mixed = F.scaled_dot_product_attention(
        query, to_attention_dtype(keys), to_attention_dtype(values)
    )
    return block.cross.output.added_to(x, _joined(mixed, x))


def mlp(block: Block, x: Tensor) -> Tensor:
    """`x` (…, width) with what the MLP adds to it."""
    up, down = block.mlp
    return down.added_to(x, up.gelu(layer_norm(x, block.mlp_norm)))


def _joined(mixed: Tensor, x: Tensor) -> Tensor:
    """(batch, heads, length, head size) → (batch, length, width), in the type of `x`."""
    return mixed.transpose(1, 2).flatten(2).to(x.dtype)


def _linear(layer: Any, dtype: torch.dtype) -> Linear:
    return Linear(*weights_of(layer, dtype))


def _stacked(*layers: Any, dtype: torch.dtype) -> Linear:
    weights, biases = zip(*(weights_of(layer, dtype) for layer in layers), strict=True)
    return Linear(torch.cat(weights), torch.cat(biases))
