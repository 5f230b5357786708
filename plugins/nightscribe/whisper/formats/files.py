"""Which format a path has, and which files make up its model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.network import described

__all__ = ["Format", "files_of", "format_of", "weights_of"]


class Format(StrEnum):
    """How a checkpoint is stored."""

    OPENAI = "openai-whisper"
    HUGGING_FACE = "Hugging Face"
    CTRANSLATE2 = "CTranslate2"


_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Names of a folder of Transformers; the second was its default until 2023."""

_DESCRIPTIONS = {
    Format.HUGGING_FACE: (
        *("config.json", "generation_config.json", "added_tokens.json"),
        *("tokenizer.json", "vocab.json"),
    ),
    Format.CTRANSLATE2: ("config.json", "vocabulary.json", "vocabulary.txt"),
}
"""Files beside the weights that are read, if they are there."""


def format_of(path: Path) -> Format:
    """The format of an existing file or folder.

    Raises:
        ModelError: the folder holds no model.
    """
    if not path.is_dir():
        return Format.OPENAI
    if any((path / name).is_file() for one in _WEIGHTS for name in (one, f"{one}.index.json")):
        return Format.HUGGING_FACE
    if (path / "model.bin").is_file():
        return Format.CTRANSLATE2
    if (path / "adapter_config.json").is_file():
        raise ModelError(
            f"{path} holds an adapter, not a model: merge it into the model that it was trained "
            "on (`merge_and_unload` of PEFT), then give the folder of the result"
        )
    raise ModelError(
        f"{path} holds no model: a folder of Transformers has config.json and model.safetensors, "
        "one of CTranslate2 has model.bin; for openai-whisper's format give the .pt file"
    )


def weights_of(folder: Path) -> list[Path]:
    """The files with the weights of a folder of Transformers.

    Raises:
        ModelError: one that the index names is missing.
    """
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if not index.is_file():
            continue
        places = described(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise ModelError(f"{index} names no files with weights; copy it again")
        shards = sorted(set(map(str, places.values())))
        for shard in shards:
            # Only names, so that an index from elsewhere leads to no other folder.
            if Path(shard).name != shard or not (folder / shard).is_file():
                raise ModelError(
                    f"{folder} lacks the file {shard!r}, which {index.name} names; copy it too"
                )
        return [folder / shard for shard in shards]
    raise AssertionError("not a folder of Transformers")


def files_of(path: Path) -> list[Path]:
    """The files that decide what the model writes, ordered by name.

    Raises:
        ModelError: the folder holds no model, or a part of it is missing.
    """
    kind = format_of(path)
    if kind is Format.OPENAI:
        return [path]
    weights = weights_of(path) if kind is Format.HUGGING_FACE else [path / "model.bin"]
    others = [path / name for name in _DESCRIPTIONS[kind]]
    return sorted([*weights, *(one for one in others if one.is_file())])
