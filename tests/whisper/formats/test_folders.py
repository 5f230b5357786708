"""Checkpoints in folders of other libraries: the same network, or one sentence why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper

from nightscribe.cli import main
from nightscribe.errors import ModelError
from nightscribe.whisper.checkpoints import locate_model, resolve, verify
from nightscribe.whisper.formats.files import Format, format_of
from nightscribe.whisper.formats.network import StoredNetwork
from nightscribe.whisper.formats.openai import read_openai
from nightscribe.whisper.weights import load_weights, read_network
from tests.nights import SAMPLES
from tests.whisper.formats.folders import (
    config_of,
    tokens,
    write,
    write_ctranslate2,
    write_hugging_face,
)

HEADS = [(1, 0), (2, 3)]


@pytest.fixture(scope="module")
def network(demo_checkpoint: Path) -> StoredNetwork:
    return replace(read_openai(demo_checkpoint), alignment_heads=HEADS)


@pytest.fixture(scope="module")
def folders(network: StoredNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    write_hugging_face(folder / "whole", network)
    write_hugging_face(folder / "shards", network, shards=3)
    write_ctranslate2(folder / "ctranslate2", network)
    return folder


NAMES = ["whole", "shards", "ctranslate2"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_the_network_of_the_file(
    name: str, folders: Path, network: StoredNetwork
) -> None:
    found = read_network(folders / name)
    assert found.dims == network.dims
    assert found.weights.keys() == network.weights.keys()
    for one, tensor in network.weights.items():
        assert found.weights[one].dtype == tensor.dtype
        assert torch.equal(found.weights[one], tensor), one
    assert found.alignment_heads == HEADS
    loaded = load_weights(resolve(str(folders / name)), "cpu")
    assert loaded.alignment_heads.to_dense().nonzero().tolist() == [list(one) for one in HEADS]


def test_three_formats_write_one_text(folders: Path, demo_checkpoint: Path, tmp_path: Path) -> None:
    audio = [str(SAMPLES / "german/de-01.flac"), str(SAMPLES / "english/en-02.mp3")]
    written = []
    for number, model in enumerate([demo_checkpoint, *(folders / one for one in NAMES)]):
        out = ["--output_dir", str(tmp_path / str(number)), "--output_format", "srt"]
        assert main(["transcribe", "--model", str(model), "--device", "cpu", *out, *audio]) == 0
        texts = {one.name: one.read_text() for one in (tmp_path / str(number)).iterdir()}
        assert len(texts) == 2
        written.append(texts)
    assert all(one == written[0] for one in written)


def test_the_identity_is_that_of_the_content(folders: Path, tmp_path: Path) -> None:
    ids = {name: resolve(str(folders / name)).model_id for name in NAMES}
    assert len(set(ids.values())) == 3
    for name in NAMES:
        copied = tmp_path / name
        shutil.copytree(folders / name, copied)
        (copied / "README.md").write_text("nothing that counts")
        assert verify(str(copied)).model_id == ids[name]
        assert locate_model(str(copied)).size_bytes == sum(
            one.stat().st_size
            for one in copied.iterdir()
            if one.name not in ("README.md", "model.safetensors.index.json")
        )
        config = json.loads((copied / "config.json").read_text())
        write(copied / "config.json", {**config, "dropout": 0.1})
        assert resolve(str(copied)).model_id != ids[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_converted_to_a_file_that_openai_whisper_loads(
    name: str, folders: Path, demo_checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    assert main(["models", "convert", str(folders / name), str(path)]) == 0
    converted, original = whisper.load_model(str(path)), whisper.load_model(str(demo_checkpoint))
    for one, tensor in original.state_dict().items():
        assert torch.equal(converted.state_dict()[one], tensor), one
    # The heads stay with the weights, though openai-whisper does not read them.
    heads = load_weights(resolve(str(path)), "cpu").alignment_heads.to_dense().nonzero().tolist()
    assert heads == [list(one) for one in HEADS]
    before = path.read_bytes()
    assert main(["models", "convert", str(folders / name), str(path)]) == 2
    assert path.read_bytes() == before


def test_a_distilled_network_has_fewer_decoder_layers(
    network: StoredNetwork, tmp_path: Path
) -> None:
    weights = {one: t for one, t in network.weights.items() if "decoder.blocks.2." not in one}
    dims = {**network.dims, "n_text_layer": 2}
    distilled = StoredNetwork(dims, weights, None)
    write_hugging_face(tmp_path / "hf", distilled)
    write_ctranslate2(tmp_path / "ct2", distilled)
    for name in ("hf", "ct2"):
        loaded = load_weights(resolve(str(tmp_path / name)), "cpu")
        assert (len(loaded.decoder.blocks), len(loaded.encoder.blocks)) == (2, 3)
        # Without heads of its own: all of the upper half, as in openai-whisper.
        assert loaded.alignment_heads.to_dense().nonzero().tolist() == [[1, n] for n in range(4)]


def test_other_kinds_of_numbers_and_an_older_file(network: StoredNetwork, tmp_path: Path) -> None:
    weights = {one: tensor.to(torch.bfloat16) for one, tensor in network.weights.items()}
    write_hugging_face(tmp_path / "hf", StoredNetwork(network.dims, weights, None))
    wide = {one: tensor.float() for one, tensor in network.weights.items()}
    write_ctranslate2(tmp_path / "ct2", StoredNetwork(network.dims, wide, None))
    torch.save({f"model.{one}": t for one, t in _theirs(tmp_path / "hf").items()},
               tmp_path / "pytorch_model.bin")  # fmt: skip
    shutil.copytree(tmp_path / "hf", tmp_path / "older")
    (tmp_path / "older" / "model.safetensors").unlink()
    shutil.move(tmp_path / "pytorch_model.bin", tmp_path / "older")
    name = "decoder.token_embedding.weight"
    for folder, expected in (("hf", weights), ("older", weights), ("ct2", wide)):
        assert torch.equal(read_network(tmp_path / folder).weights[name], expected[name])


def _theirs(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found = load_file(folder / "model.safetensors")
    return {one.removeprefix("model."): tensor for one, tensor in found.items()}


# What is refused


def changed(path: Path, **values: Any) -> None:
    write(path, {**json.loads(path.read_text()), **values})


def other_vocabulary(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["Ġfine"] = content["model"]["vocab"].pop("Ġthe")
    write(path, content)


def shifted_languages(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    for one in content["added_tokens"]:
        if one["content"] == "<|de|>":
            one["content"] = "<|gsw|>"
    write(path, content)


def fewer_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    for token in ("Ġthe", "Ġof", "Ġand"):
        del content["model"]["vocab"][token]
    write(path, content)


def own_output(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    own = weights["model.decoder.embed_tokens.weight"] + 1
    save_file({**weights, "proj_out.weight": own}, folder / "model.safetensors")


def an_adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    write(folder / "adapter_config.json", {})


def without_a_layer(folder: Path) -> None:
    changed(folder / "config.json", decoder_layers=4)


HUGGING_FACE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "vocabulary": (other_vocabulary, r"is not OpenAI's tokenizer: token \d+ is 'Ġfine'"),
    "languages": (shifted_languages, r"token 50261 is '<\|gsw\|>', and '<\|de\|>' in OpenAI's"),
    "tokens": (fewer_tokens, "lacks 3 of its tokens"),
    "size": (lambda f: changed(f / "config.json", vocab_size=51_872), "has 51_872 tokens"),
    "tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer: copy"),
    "broken": (lambda f: (f / "tokenizer.json").write_text("{"), "is not JSON"),
    "list": (lambda f: (f / "config.json").write_text("[]"), "holds no JSON object"),
    "kind": (lambda f: changed(f / "config.json", model_type="wav2vec2"), "no Whisper model"),
    "width": (lambda f: changed(f / "config.json", d_model=None), "d_model = None"),
    "inner": (lambda f: changed(f / "config.json", encoder_ffn_dim=512), "encoder_ffn_dim = 512"),
    "gate": (lambda f: changed(f / "config.json", activation_function="silu"), "'silu'"),
    "layers": (without_a_layer, "Missing key"),
    "heads": (lambda f: write(f / "generation_config.json", {"alignment_heads": [[9, 0]]}), "3 la"),
    "output": (own_output, "an output layer of its own"),
    "adapter": (an_adapter, "holds an adapter, not a model"),
    "cut": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "copy it again"),
    "empty": (lambda f: (f / "model.safetensors").unlink(), "holds no model"),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_folder_of_transformers_that_cannot_be_used_says_why(
    name: str, folders: Path, tmp_path: Path
) -> None:
    damage, reason = HUGGING_FACE[name]
    folder = tmp_path / "model"
    shutil.copytree(folders / "whole", folder)
    damage(folder)
    with pytest.raises(ModelError, match=reason) as raised:
        load_weights(resolve(str(folder)), "cpu")
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("index", ["missing", "elsewhere", "empty"])
def test_shards_lie_in_the_folder(index: str, folders: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folders / "shards", folder)
    path = folder / "model.safetensors.index.json"
    if index == "missing":
        (folder / "model-00002-of-00003.safetensors").unlink()
    else:
        other = {"one": "../whole/model.safetensors"} if index == "elsewhere" else {}
        changed(path, weight_map=other)
    with pytest.raises(ModelError, match=r"lacks the file|names no files"):
        resolve(str(folder))


def test_a_folder_of_ctranslate2_that_cannot_be_used_says_why(
    folders: Path, network: StoredNetwork, tmp_path: Path
) -> None:
    scale = torch.ones(3)
    write_ctranslate2(tmp_path / "int8", network, **{"encoder/conv1/weight_scale": scale})
    write_ctranslate2(
        tmp_path / "own", network, **{"decoder/projection/weight": torch.ones(51_865, 192)}
    )
    cut, other, none, version = (tmp_path / one for one in ("cut", "other", "none", "version"))
    for folder in (cut, other, none, version):
        shutil.copytree(folders / "ctranslate2", folder)
    content = (cut / "model.bin").read_bytes()
    (cut / "model.bin").write_bytes(content[: len(content) // 2])
    write(other / "vocabulary.json", ["x", *tokens()[1:]])
    (none / "vocabulary.json").unlink()
    (version / "model.bin").write_bytes(b"\x63" + content[1:])
    for folder, reason in (
        (tmp_path / "int8", "is quantized, which changes its transcripts"),
        (tmp_path / "own", "an output layer of its own"),
        (cut, "not a whole Whisper model"),
        (other, "token 0 is 'x', and '!' in OpenAI's"),
        (none, "has no vocabulary.json"),
        (version, "the version of the file is 99"),
    ):
        with pytest.raises(ModelError, match=reason) as raised:
            load_weights(resolve(str(folder)), "cpu")
        assert str(folder) in str(raised.value)


def test_real_folders_of_both_libraries(demo_checkpoint: Path, tmp_path: Path) -> None:
    """As the libraries themselves write them."""
    pytest.importorskip("transformers", reason="Transformers is not installed")
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    from benchmarks.convert import to_ctranslate2, to_transformers

    to_transformers(demo_checkpoint, tmp_path / "hf")
    to_ctranslate2(tmp_path / "hf", tmp_path / "ct2")
    expected = read_openai(demo_checkpoint)
    assert (
        config_of(expected.dims).items()
        <= json.loads((tmp_path / "hf" / "config.json").read_text()).items()
    )
    for name, kind in (("hf", Format.HUGGING_FACE), ("ct2", Format.CTRANSLATE2)):
        assert format_of(tmp_path / name) is kind
        found = read_network(tmp_path / name)
        assert found.dims == expected.dims
        assert found.weights.keys() == expected.weights.keys()
        for one, tensor in expected.weights.items():
            assert torch.equal(found.weights[one], tensor), one
