"""What every format of a checkpoint holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nightscribe.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Heads", "StoredNetwork", "described", "fitting_vocabulary", "stated_heads"]

Heads: TypeAlias = list[tuple[int, int]]
"""(decoder layer, head) of each attention head from which word times are taken."""

VOCABULARIES = {51_864: 0, 51_865: 99, 51_866: 100}
"""Number of tokens of OpenAI's vocabularies → languages; 0: English only."""


@dataclass(frozen=True)
class StoredNetwork:
    """The weights of a checkpoint under openai-whisper's names, and their shape."""

    dims: dict[str, int]
    """As the fields of `whisper.model.ModelDimensions`."""
    weights: Mapping[str, Tensor]
    alignment_heads: Heads | None
    """None: the checkpoint does not state them."""


def described(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a checkpoint.

    Raises:
        ModelError: it cannot be read, or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error}") from None
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}; copy it again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} describes no model: it holds no JSON object; copy it again")
    return content


def fitting_vocabulary(folder: Path, tokens: int) -> int:
    """The number of languages of OpenAI's vocabulary with this number of tokens; 0: English only.

    Raises:
        ModelError: OpenAI has none.
    """
    if tokens not in VOCABULARIES:
        known = ", ".join(f"{number:_}" for number in VOCABULARIES)
        raise ModelError(
            f"the model in {folder} has {tokens:_} tokens and OpenAI's vocabularies have {known}: "
            "its tokens would be read as other words; give a model with OpenAI's tokenizer"
        )
    return VOCABULARIES[tokens]


def stated_heads(folder: Path, dims: dict[str, int], heads: Any) -> Heads | None:
    """The alignment heads of a folder's settings; None if there are none.

    Raises:
        ModelError: they are no pairs of a decoder layer and a head.
    """
    if not heads:
        return None
    limits = (dims["n_text_layer"], dims["n_text_head"])
    try:
        pairs = [(int(layer), int(head)) for layer, head in heads]
    except (TypeError, ValueError):
        pairs = [(-1, -1)]
    if not all(0 <= one < limit for pair in pairs for one, limit in zip(pair, limits, strict=True)):
        raise ModelError(
            f"the alignment heads of the model in {folder} are {heads!r}: its decoder has "
            f"{limits[0]} layers of {limits[1]} heads"
        )
    return pairs
