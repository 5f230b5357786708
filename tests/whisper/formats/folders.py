"""Writes checkpoints as Transformers and CTranslate2 do."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from whisper.tokenizer import get_encoding

from nightscribe.whisper.formats.hugging_face import RENAMED
from nightscribe.whisper.formats.network import StoredNetwork
from nightscribe.whisper.formats.tokens import letters

CODES = {torch.float32: 0, torch.int8: 1, torch.int16: 2, torch.float16: 4, torch.bfloat16: 5}


def tokens(*, multilingual: bool = True, languages: int = 99) -> list[str]:
    """OpenAI's tokens in the order of their ids, with the names that Transformers gives them."""
    encoding = get_encoding("multilingual" if multilingual else "gpt2", languages)
    letter = letters()
    found = {
        number: "".join(letter[byte] for byte in token)
        for token, number in encoding._mergeable_ranks.items()
    } | {number: token for token, number in encoding._special_tokens.items()}
    named = [found[number] for number in range(len(found))]
    return ["<|nocaptions|>" if one == "<|nospeech|>" else one for one in named]


def config_of(dims: dict[str, int]) -> dict[str, Any]:
    return {
        "model_type": "whisper",
        "num_mel_bins": dims["n_mels"],
        "max_source_positions": dims["n_audio_ctx"],
        "d_model": dims["n_audio_state"],
        "encoder_attention_heads": dims["n_audio_head"],
        "encoder_layers": dims["n_audio_layer"],
        "encoder_ffn_dim": 4 * dims["n_audio_state"],
        "vocab_size": dims["n_vocab"],
        "max_target_positions": dims["n_text_ctx"],
        "decoder_attention_heads": dims["n_text_head"],
        "decoder_layers": dims["n_text_layer"],
        "decoder_ffn_dim": 4 * dims["n_text_state"],
        "activation_function": "gelu",
    }


def write_hugging_face(folder: Path, network: StoredNetwork, *, shards: int = 1) -> None:
    folder.mkdir()
    weights = {}
    for name, tensor in network.weights.items():
        for ours, theirs in RENAMED:
            name = name.replace(ours, theirs)
        weights[f"model.{name}"] = tensor.contiguous()
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
    else:
        places = {
            name: f"model-{1 + number % shards:05}-of-{shards:05}.safetensors"
            for number, name in enumerate(weights)
        }
        for file in set(places.values()):
            own = {name: tensor for name, tensor in weights.items() if places[name] == file}
            save_file(own, folder / file)
        write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    write(folder / "config.json", config_of(network.dims))
    write(folder / "generation_config.json", {"alignment_heads": network.alignment_heads})
    named = {token: number for number, token in enumerate(tokens())}
    ordinary = {token: number for token, number in named.items() if number < 50_257}
    special = [{"id": at, "content": token} for token, at in named.items() if at >= 50_257]
    vocabulary = {"type": "BPE", "vocab": ordinary, "merges": []}
    write(folder / "tokenizer.json", {"model": vocabulary, "added_tokens": special})


def write_ctranslate2(folder: Path, network: StoredNetwork, **more: torch.Tensor) -> None:
    folder.mkdir()
    stored, dims = network.weights, network.dims
    found: dict[str, torch.Tensor] = {}

    def put(theirs: str, *names: str, kinds: tuple[str, str] = ("weight", "bias")) -> None:
        width = stored[f"{names[0]}.weight"].shape[0]
        zeros = torch.zeros(width, dtype=stored[f"{names[0]}.weight"].dtype)
        found[f"{theirs}/{kinds[0]}"] = torch.cat([stored[f"{one}.weight"] for one in names])
        biases = [stored.get(f"{one}.bias", zeros) for one in names]
        found[f"{theirs}/{kinds[1]}"] = torch.cat(biases)

    for side, last, layers in (
        ("encoder", "ln_post", dims["n_audio_layer"]),
        ("decoder", "ln", dims["n_text_layer"]),
    ):
        heads = dims["n_audio_head" if side == "encoder" else "n_text_head"]
        found[f"{side}/num_heads"] = torch.tensor(heads, dtype=torch.int16)
        encodings = stored[f"{side}.positional_embedding"]
        found[f"{side}/position_encodings/encodings"] = encodings
        put(f"{side}/layer_norm", f"{side}.{last}", kinds=("gamma", "beta"))
        for layer in range(layers):
            own, theirs = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
            qkv = [f"{own}.attn.{one}" for one in ("query", "key", "value")]
            put(f"{theirs}/self_attention/layer_norm", f"{own}.attn_ln", kinds=("gamma", "beta"))
            put(f"{theirs}/self_attention/linear_0", *qkv)
            put(f"{theirs}/self_attention/linear_1", f"{own}.attn.out")
            if side == "decoder":
                cross, to = f"{own}.cross_attn", f"{theirs}/attention"
                put(f"{to}/layer_norm", f"{own}.cross_attn_ln", kinds=("gamma", "beta"))
                put(f"{to}/linear_0", f"{cross}.query")
                put(f"{to}/linear_1", f"{cross}.key", f"{cross}.value")
                put(f"{to}/linear_2", f"{cross}.out")
            put(f"{theirs}/ffn/layer_norm", f"{own}.mlp_ln", kinds=("gamma", "beta"))
            put(f"{theirs}/ffn/linear_0", f"{own}.mlp.0")
            put(f"{theirs}/ffn/linear_1", f"{own}.mlp.2")
    put("encoder/conv1", "encoder.conv1")
    put("encoder/conv2", "encoder.conv2")
    found["decoder/embeddings/weight"] = stored["decoder.token_embedding.weight"]
    found |= more
    content = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(found))
    for name, tensor in found.items():
        data = tensor.contiguous().view(torch.uint8 if tensor.dim() else tensor.dtype)
        raw = data.numpy().tobytes()
        shape = struct.pack(f"<B{tensor.dim()}I", tensor.dim(), *tensor.shape)
        kind = struct.pack("<BI", CODES[tensor.dtype], len(raw))
        content += text(name) + shape + kind + raw
    content += struct.pack("<I", 1)
    content += text("decoder/projection/weight") + text("decoder/embeddings/weight")
    (folder / "model.bin").write_bytes(content)
    write(folder / "config.json", {"alignment_heads": network.alignment_heads})
    write(folder / "vocabulary.json", tokens())


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
