"""Convert a checkpoint of openai-whisper to the file that whisper.cpp loads.

Written after the reader of that file, `whisper_model_load` of whisper.cpp 1.8: integers of the
hyperparameters, the mel filters, the vocabulary, then each tensor with its name, its shape from the
last dimension to the first, and its type. Numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import mel_filters
from whisper.model import ModelDimensions
from whisper.tokenizer import get_encoding

from nightscribe.whisper.batched.random_weights import is_multilingual, languages

_MAGIC = 0x67676D6C  # "ggml"
_FLOAT32, _FLOAT16, _Q8_0 = 0, 1, 8  # types of tensors
_FILE_OF_FLOAT16, _FILE_OF_Q8_0 = 1, 2007  # types of files: version 2 of the quantization, kind 7
_BLOCK = 32  # weights with a common scale in Q8_0
_AS_COLUMNS = ("encoder.conv1.bias", "encoder.conv2.bias")
_NOT_ROUNDED = ("encoder.positional_embedding", "decoder.positional_embedding")


def to_ggml(checkpoint: Path, file: Path, *, int8: bool) -> None:
    """Write the weights in float16, as in whisper.cpp's own files, or matrices in Q8_0."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    dims = ModelDimensions(**content["dims"])
    partial = file.with_name(file.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as target:
        _head(dims, target, _FILE_OF_Q8_0 if int8 else _FILE_OF_FLOAT16)
        for name, weight in content["model_state_dict"].items():
            _tensor(name, weight.float().numpy(), target, int8=int8)
    partial.rename(file)


def _head(dims: ModelDimensions, target: BinaryIO, kind: int) -> None:
    sizes = [dims.n_vocab, dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head]
    sizes += [dims.n_audio_layer, dims.n_text_ctx, dims.n_text_state, dims.n_text_head]
    sizes += [dims.n_text_layer, dims.n_mels, kind]
    target.write(struct.pack("<12i", _MAGIC, *sizes))
    filters = mel_filters("cpu", dims.n_mels).numpy().astype("<f4")
    target.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
    words = list(_words(dims))
    target.write(struct.pack("<i", len(words)))
    for word in words:
        target.write(struct.pack("<i", len(word)) + word)


def _words(dims: ModelDimensions) -> Iterator[bytes]:
    """The bytes of the ordinary tokens, by their number; the reader adds the special ones."""
    name = "multilingual" if is_multilingual(dims) else "gpt2"
    ranks = get_encoding(name, num_languages=languages(dims))._mergeable_ranks
    yield from sorted(ranks, key=ranks.__getitem__)


def _tensor(name: str, weight: NDArray[np.float32], target: BinaryIO, *, int8: bool) -> None:
    if name in _AS_COLUMNS:
        weight = weight[:, np.newaxis]
    rounded = weight.ndim > 1 and name not in (*_AS_COLUMNS, *_NOT_ROUNDED)
    if rounded and int8 and weight.ndim == 2:
        kind, content = _Q8_0, _in_blocks(weight)
    elif rounded:
        kind, content = _FLOAT16, weight.astype("<f2").tobytes()
    else:
        kind, content = _FLOAT32, weight.astype("<f4").tobytes()
    encoded = name.encode()
    target.write(struct.pack("<3i", weight.ndim, len(encoded), kind))
    target.write(struct.pack(f"<{weight.ndim}i", *reversed(weight.shape)))
    target.write(encoded + content)


def _in_blocks(weight: NDArray[np.float32]) -> bytes:
    """Q8_0: of every 32 weights a scale in float16, the largest / 127, and their eight bits."""
    blocks = weight.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    divisors = np.where(scales == 0, 1, scales)
    packed = np.empty(len(blocks), [("scale", "<f2"), ("weights", "i1", _BLOCK)])
    packed["scale"] = scales[:, 0]
    packed["weights"] = np.rint(blocks / divisors)
    return packed.tobytes()
