"""A checkpoint in a folder of CTranslate2, as faster-whisper uses it: `model.bin`.

The file begins with its version, the name and revision of the network's description, and the number
of variables. A variable is its name, its dimensions, the kind of its numbers and their bytes. After
all variables follow aliases: other names for variables that are used twice. All numbers are
little-endian. In CTranslate2, `python/ctranslate2/specs/model_spec.py` writes the file and
`src/models/model.cc` reads it.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.network import (
    StoredNetwork,
    described,
    fitting_vocabulary,
    stated_heads,
)
from nightscribe.whisper.formats.tokens import check_vocabulary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_ctranslate2"]

_VERSIONS = range(4, 7)
"""Of the file. Before 4, of 2020, there was no Whisper."""
_SPECIFICATION = "WhisperSpec"
_KINDS = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""Kinds of numbers, by their code."""

_CONVERT = (
    "give a folder that `ct2-transformers-converter` wrote with --quantization float16 or float32"
)


def read_ctranslate2(folder: Path) -> StoredNetwork:
    """Read the weights of a folder that CTranslate2's converter wrote.

    Raises:
        ModelError: the folder holds no Whisper model, or a quantized one.
    """
    path = folder / "model.bin"
    try:
        found = _variables(path)
        dims = _dims(found)
        weights = _weights(found, dims)
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error}") from None
    except (struct.error, LookupError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a whole Whisper model of CTranslate2 ({type(error).__name__}: "
            f"{error}); copy it again"
        ) from None
    languages = fitting_vocabulary(folder, dims["n_vocab"])
    vocabulary, tokens = _vocabulary(folder)
    check_vocabulary(vocabulary, tokens, languages)
    config = folder / "config.json"
    heads = described(config).get("alignment_heads") if config.is_file() else None
    return StoredNetwork(dims, weights, stated_heads(folder, dims, heads))


def _vocabulary(folder: Path) -> tuple[Path, list[str]]:
    path = folder / "vocabulary.json"
    if path.is_file():
        try:
            tokens = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{path} is not JSON: {error}; copy it again") from None
        return path, list(tokens)
    path = folder / "vocabulary.txt"
    if path.is_file():
        return path, path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    raise ModelError(f"{folder} has no vocabulary.json; copy it from where model.bin came from")


def _variables(path: Path) -> dict[str, Tensor]:
    """All variables by name, mapped into memory; a setting is a tensor without dimensions."""
    import torch

    with open(path, "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    at = 0

    def number(code: str) -> int:
        nonlocal at
        [value] = struct.unpack_from(f"<{code}", content, at)
        at += struct.calcsize(f"<{code}")
        return int(value)

    def text() -> str:
        nonlocal at
        size = number("H")
        name = content[at : at + size - 1].decode()  # a zero byte ends it
        at += size
        return name

    version = number("I")
    if version not in _VERSIONS:
        raise ValueError(f"the version of the file is {version}")
    specification = text()
    if specification != _SPECIFICATION:
        raise ValueError(f"it is a {specification!r}")
    number("I")  # its revision
    found = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        kind, size = _KINDS[number("B")], number("I")
        dtype: torch.dtype = getattr(torch, kind)
        if at + size > len(content):
            raise ValueError(f"it ends within {name!r}")
        count = size // dtype.itemsize
        found[name] = torch.frombuffer(content, dtype=dtype, count=count, offset=at).reshape(shape)
        at += size
    for _ in range(number("I")):
        alias, name = text(), text()
        found.setdefault(alias, found[name])
    quantized = [name for name in found if name.endswith("weight_scale")]
    if quantized:
        raise ModelError(f"{path} is quantized, which changes its transcripts: {_CONVERT}")
    return found


def _dims(found: Mapping[str, Tensor]) -> dict[str, int]:
    vocabulary, width = found["decoder/embeddings/weight"].shape
    heads = {side: int(found[f"{side}/num_heads"]) for side in ("encoder", "decoder")}
    layers = {
        side: sum(
            re.fullmatch(rf"{side}/layer_\d+/ffn/linear_0/weight", one) is not None for one in found
        )
        for side in heads
    }
    return {
        "n_mels": found["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": found["encoder/position_encodings/encodings"].shape[0],
        "n_audio_state": found["encoder/conv1/weight"].shape[0],
        "n_audio_head": heads["encoder"],
        "n_audio_layer": layers["encoder"],
        "n_vocab": vocabulary,
        "n_text_ctx": found["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": width,
        "n_text_head": heads["decoder"],
        "n_text_layer": layers["decoder"],
    }


def _weights(found: Mapping[str, Tensor], dims: Mapping[str, int]) -> dict[str, Tensor]:
    """The weights under openai-whisper's names."""
    weights: dict[str, Tensor] = {}

    def put(name: str, theirs: str) -> None:
        weights[f"{name}.weight"] = found[f"{theirs}/weight"]
        weights[f"{name}.bias"] = found[f"{theirs}/bias"]

    def put_norm(name: str, theirs: str) -> None:
        weights[f"{name}.weight"] = found[f"{theirs}/gamma"]
        weights[f"{name}.bias"] = found[f"{theirs}/beta"]

    def put_several(attention: str, parts: Sequence[str], theirs: str) -> None:
        """Split what CTranslate2 computes as one product."""
        pieces = (found[f"{theirs}/{kind}"].chunk(len(parts)) for kind in ("weight", "bias"))
        for part, weight, bias in zip(parts, *pieces, strict=True):
            weights[f"{attention}.{part}.weight"] = weight
            if part != "key":  # Whisper's keys have no bias, CTranslate2's one of zeros
                weights[f"{attention}.{part}.bias"] = bias

    for number in (1, 2):
        put(f"encoder.conv{number}", f"encoder/conv{number}")
    for side, last in (("encoder", "ln_post"), ("decoder", "ln")):
        encodings = found[f"{side}/position_encodings/encodings"]
        weights[f"{side}.positional_embedding"] = encodings
        put_norm(f"{side}.{last}", f"{side}/layer_norm")
        for layer in range(dims["n_audio_layer" if side == "encoder" else "n_text_layer"]):
            block, theirs = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
            own = f"{theirs}/self_attention"
            put_norm(f"{block}.attn_ln", f"{own}/layer_norm")
            put_several(f"{block}.attn", ("query", "key", "value"), f"{own}/linear_0")
            put(f"{block}.attn.out", f"{own}/linear_1")
            if side == "decoder":
                cross = f"{theirs}/attention"
                put_norm(f"{block}.cross_attn_ln", f"{cross}/layer_norm")
                put_several(f"{block}.cross_attn", ("query",), f"{cross}/linear_0")
                put_several(f"{block}.cross_attn", ("key", "value"), f"{cross}/linear_1")
                put(f"{block}.cross_attn.out", f"{cross}/linear_2")
            put_norm(f"{block}.mlp_ln", f"{theirs}/ffn/layer_norm")
            put(f"{block}.mlp.0", f"{theirs}/ffn/linear_0")
            put(f"{block}.mlp.2", f"{theirs}/ffn/linear_1")
    weights["decoder.token_embedding.weight"] = found["decoder/embeddings/weight"]
    output = found.get("decoder/projection/weight", weights["decoder.token_embedding.weight"])
    if not output.equal(weights["decoder.token_embedding.weight"]):
        raise ValueError("it has an output layer of its own, which openai-whisper's has not")
    return weights
