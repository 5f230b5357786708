"""A checkpoint in a folder of Transformers: `config.json` and safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.files import weights_of
from nightscribe.whisper.formats.network import (
    StoredNetwork,
    described,
    fitting_vocabulary,
    stated_heads,
)
from nightscribe.whisper.formats.openai import load_plain
from nightscribe.whisper.formats.tokens import check_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RENAMED", "read_hugging_face"]

RENAMED = (
    (".blocks.", ".layers."),
    (".cross_attn_ln.", ".encoder_attn_layer_norm."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".mlp_ln.", ".final_layer_norm."),
    (".cross_attn.", ".encoder_attn."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
    (".positional_embedding", ".embed_positions.weight"),
    (".token_embedding.", ".embed_tokens."),
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
)
"""Parts of the names of weights: openai-whisper's and those of Transformers."""

_DIMS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
_OTHERWISE = {"activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": True}
"""Settings of a network and their only value in openai-whisper."""


def read_hugging_face(folder: Path) -> StoredNetwork:
    """Read the weights of a folder that Transformers saved; safetensors are mapped into memory.

    Raises:
        ModelError: the folder holds no Whisper model, or one that openai-whisper's network cannot
            compute.
    """
    dims = _dims(folder)
    check_tokenizer(folder, fitting_vocabulary(folder, dims["n_vocab"]))
    stored = _stored(folder)
    embedding, output = (
        stored.get(name) for name in ("decoder.embed_tokens.weight", "proj_out.weight")
    )
    if output is not None and embedding is not None and not output.equal(embedding):
        raise ModelError(
            f"the model in {folder} has an output layer of its own, which openai-whisper's "
            "network has not"
        )
    stored.pop("proj_out.weight", None)
    weights = {_renamed(name): tensor for name, tensor in stored.items()}
    settings = folder / "generation_config.json"
    heads = described(settings).get("alignment_heads") if settings.is_file() else None
    return StoredNetwork(dims, weights, stated_heads(folder, dims, heads))


def _dims(folder: Path) -> dict[str, int]:
    path = folder / "config.json"
    config = described(path)
    if config.get("model_type") != "whisper":
        raise ModelError(f"the model in {folder} is no Whisper model: {config.get('model_type')!r}")
    dims = {}
    for name, theirs in _DIMS.items():
        value = config.get(theirs)
        if not isinstance(value, int) or value <= 0:
            raise ModelError(f"{path} has {theirs} = {value!r}, which is no size; copy it again")
        dims[name] = value
    others: dict[str, Any] = {
        **_OTHERWISE,
        "encoder_ffn_dim": 4 * dims["n_audio_state"],
        "decoder_ffn_dim": 4 * dims["n_text_state"],
    }
    for name, needed in others.items():
        if config.get(name, needed) != needed:
            raise ModelError(
                f"the model in {folder} has {name} = {config[name]!r}; openai-whisper's network "
                f"can only be computed with {needed!r}"
            )
    return dims


def _stored(folder: Path) -> dict[str, Tensor]:
    """All tensors, without the `model.` that their names begin with."""
    found: dict[str, Tensor] = {}
    for path in weights_of(folder):
        found.update(_safetensors(path) if path.suffix == ".safetensors" else _pickled(path))
    return {name.removeprefix("model."): tensor for name, tensor in found.items()}


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the model file {path} cannot be read: {error}; copy it again") from None


def _pickled(path: Path) -> dict[str, Tensor]:
    content = load_plain(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no weights by name; copy it again")
    return content


def _renamed(name: str) -> str:
    for ours, theirs in RENAMED:
        name = name.replace(theirs, ours)
    return name
