"""A converted checkpoint is the same network with the same vocabulary."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
import whisper

from nightscribe.whisper.batched.random_weights import tokenizer_of

TEXTS = (
    "Hello, it's 12 o'clock — I'll go.  Two  spaces\n and a new line",
    "Привет, мир! ещё раз",
    "你好，世界。これはペンです。",
    "¿Qué? äöü ß ½ ² 🙂 \t",
)


def any_text(seed: int) -> str:
    pick = random.Random(seed)
    letters = (pick.choice([(32, 126), (160, 1000), (0x4E00, 0x4F00)]) for _ in range(80))
    return "".join(chr(pick.randint(*bounds)) for bounds in letters)


def test_transformers_computes_the_same_logits(models: dict[str, Path]) -> None:
    transformers = pytest.importorskip("transformers")
    ours = whisper.load_model(str(models["whisper"]))
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(
        models["transformers"], dtype=torch.float32
    )
    mel = torch.randn(2, ours.dims.n_mels, 3000)
    tokens = torch.randint(0, ours.dims.n_vocab, (2, 7))
    with torch.no_grad():
        expected = ours(mel, tokens)
        found = theirs(input_features=mel, decoder_input_ids=tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_the_tokenizer_splits_text_as_whisper_does(models: dict[str, Path]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    if "transformers" not in models:
        pytest.skip("transformers is not installed")
    found = tokenizers.Tokenizer.from_file(str(models["transformers"] / "tokenizer.json"))
    dims = whisper.load_model(str(models["whisper"])).dims
    expected = tokenizer_of(dims)
    for text in (*TEXTS, *map(any_text, range(30))):
        tokens = expected.encode(text)
        assert found.encode(text, add_special_tokens=False).ids == tokens
        assert found.decode(tokens) == text
    assert found.get_vocab_size() == dims.n_vocab
    for name, token in expected.special_tokens.items():
        assert found.token_to_id(name) == token


def test_special_tokens_and_timestamps_are_left_out_of_texts(models: dict[str, Path]) -> None:
    transformers = pytest.importorskip("transformers")
    dims = whisper.load_model(str(models["whisper"])).dims
    expected = tokenizer_of(dims)
    tokenizer = transformers.WhisperTokenizer.from_pretrained(models["transformers"])
    said = expected.encode(" a b")
    marked = [*expected.sot_sequence, expected.timestamp_begin, *said, dims.n_vocab - 1]
    assert tokenizer.decode([*marked, expected.eot], skip_special_tokens=True) == " a b"


def test_a_folder_is_converted_once(
    models: dict[str, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from benchmarks import convert
    from benchmarks.models import in_formats

    monkeypatch.setattr(convert, "to_transformers", None)  # calling it would fail
    work = models["transformers"].parent.parent
    assert in_formats({"transformers"}, checkpoint, work)["transformers"] == models["transformers"]
