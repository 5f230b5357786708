"""Convert a checkpoint of openai-whisper to the formats of Transformers and CTranslate2.

Nothing is downloaded: weights are renamed, the tokenizer is built from openai-whisper's vocabulary,
and the configuration files are derived from openai-whisper itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from whisper.model import ModelDimensions
from whisper.tokenizer import Tokenizer

from benchmarks.vocabulary import vocabulary
from nightscribe.whisper.batched.random_weights import is_multilingual, languages, tokenizer_of
from nightscribe.whisper.formats.hugging_face import RENAMED


def to_transformers(checkpoint: Path, folder: Path) -> None:
    """Convert a checkpoint to a folder that `WhisperForConditionalGeneration` loads."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    dims = ModelDimensions(**content["dims"])
    tokenizer = tokenizer_of(dims)
    weights = {f"model.{_renamed(name)}": w for name, w in content["model_state_dict"].items()}
    dtype = weights["model.encoder.conv1.weight"].dtype
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=dims.n_audio_state,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        decoder_ffn_dim=4 * dims.n_text_state,
        max_source_positions=dims.n_audio_ctx,
        max_target_positions=dims.n_text_ctx,
        decoder_start_token_id=tokenizer.sot,
        bos_token_id=tokenizer.eot,
        eos_token_id=tokenizer.eot,
        pad_token_id=tokenizer.eot,
        dtype=dtype,
    )
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True, strict=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(**generation(dims, tokenizer))
    partial = _emptied(folder)
    model.save_pretrained(partial)
    WhisperFeatureExtractor(feature_size=dims.n_mels).save_pretrained(partial)
    _tokenizer_for_transformers(dims).save_pretrained(partial)
    partial.rename(folder)


def to_ctranslate2(transformers_folder: Path, folder: Path) -> None:
    """Convert a folder of `to_transformers` to a folder that faster-whisper loads."""
    from ctranslate2.converters import TransformersConverter

    partial = _emptied(folder)
    # faster-whisper reads the number of mel bins from preprocessor_config.json.
    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(transformers_folder), copy_files=files).convert(str(partial))
    partial.rename(folder)


def generation(dims: ModelDimensions, tokenizer: Tokenizer) -> dict[str, Any]:
    """Settings with which Transformers' `generate` follows openai-whisper's rules."""
    specials = [tokenizer.transcribe, tokenizer.translate, tokenizer.sot]
    specials += [tokenizer.sot_prev, tokenizer.sot_lm, tokenizer.no_speech]
    settings: dict[str, Any] = {
        "max_length": dims.n_text_ctx,
        "decoder_start_token_id": tokenizer.sot,
        "bos_token_id": tokenizer.eot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "prev_sot_token_id": tokenizer.sot_prev,
        "max_initial_timestamp_index": round(1.0 / (30.0 / dims.n_audio_ctx)),
        "begin_suppress_tokens": [*tokenizer.encode(" "), tokenizer.eot],
        "suppress_tokens": sorted({*tokenizer.non_speech_tokens, *specials}),
        "is_multilingual": is_multilingual(dims),
        # openai-whisper's default for other checkpoints: all heads of the upper half of the layers.
        "alignment_heads": [
            [layer, head]
            for layer in range(dims.n_text_layer // 2, dims.n_text_layer)
            for head in range(dims.n_text_head)
        ],
    }
    if is_multilingual(dims):
        codes = zip(tokenizer.all_language_codes, tokenizer.all_language_tokens, strict=True)
        settings["lang_to_id"] = {f"<|{code}|>": token for code, token in codes}
        tasks = {"transcribe": tokenizer.transcribe, "translate": tokenizer.translate}
        settings["task_to_id"] = tasks
    return settings


def _renamed(name: str) -> str:
    for ours, theirs in RENAMED:
        name = name.replace(ours, theirs)
    return name


def _tokenizer_for_transformers(dims: ModelDimensions) -> Any:
    from transformers import AddedToken, WhisperTokenizer

    words = vocabulary(multilingual=is_multilingual(dims), languages=languages(dims))
    tokenizer = WhisperTokenizer(
        vocab=words.tokens,
        merges=words.merges,
        pad_token=words.special[0],  # end of text
        extra_special_tokens=words.special,
    )
    # Transformers takes the first token after the special ones as the first timestamp.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in words.timestamps])
    return tokenizer


def _emptied(folder: Path) -> Path:
    """The path of a partial folder beside this one, to be renamed when it is complete."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return partial
