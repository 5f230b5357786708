"""The checkpoint of a benchmark, in the format of each engine."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from benchmarks.shapes import write_checkpoint


def random_checkpoint(shape: str, tokens: int, work: Path) -> Path:
    """The checkpoint of a shape with `tokens` tokens per window. Written at the first call."""
    file = work / f"{shape}-{tokens}-tokens.pt"
    if not file.is_file():
        write_checkpoint(shape, tokens, file)
    return file


def in_formats(formats: Collection[str], checkpoint: Path, work: Path) -> dict[str, Path]:
    """Format → path of the checkpoint in this format. Converts it at the first call.

    Conversions are stored by the digest of the checkpoint, so another one is converted again.
    """
    found = {"whisper": checkpoint}
    if set(formats) <= set(found):
        return found
    from benchmarks.convert import to_ctranslate2, to_transformers
    from benchmarks.ggml import to_ggml

    with checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    for name in {"ggml", "ggml-q8_0"} & set(formats):
        found[name] = work / digest / f"{name}.bin"
        if not found[name].is_file():
            to_ggml(checkpoint, found[name], int8=name == "ggml-q8_0")
    if not {"transformers", "ctranslate2"} & set(formats):
        return found
    # CTranslate2's converter reads the format of Transformers, so both formats need it.
    found["transformers"] = work / digest / "transformers"
    if not found["transformers"].is_dir():
        to_transformers(checkpoint, found["transformers"])
    if "ctranslate2" in formats:
        found["ctranslate2"] = work / digest / "ctranslate2"
        if not found["ctranslate2"].is_dir():
            to_ctranslate2(found["transformers"], found["ctranslate2"])
    return found
