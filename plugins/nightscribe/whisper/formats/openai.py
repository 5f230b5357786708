"""A checkpoint as openai-whisper saves it: one `.pt` file."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.network import StoredNetwork
from nightscribe.whole_file import whole_file

__all__ = ["load_plain", "read_openai", "write_openai"]

_HEADS = "alignment_heads"
"""Key of our own, which openai-whisper ignores: it knows the heads of its official models only."""


def read_openai(path: Path) -> StoredNetwork:
    """Read a checkpoint. The file is mapped into memory if its format allows that.

    Raises:
        ModelError: it is not a checkpoint, or would run code when it is loaded.
    """
    content = load_plain(path)
    try:
        heads = content.get(_HEADS)
        return StoredNetwork(content["dims"], content["model_state_dict"], heads)
    except (LookupError, AttributeError, TypeError) as error:
        raise _not_openai(path, error) from None


def load_plain(path: Path) -> Any:
    """Load a file of `torch.save` without running code that it may contain.

    Raises:
        ModelError: it cannot be read, or would run code.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_can_be_mapped(path))
    except pickle.UnpicklingError:
        # torch's own message recommends to load the file without this protection.
        raise ModelError(
            f"{path} is not a Whisper checkpoint: it does not hold plain weights; "
            "nothing in it was run"
        ) from None
    except (RuntimeError, EOFError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise _not_openai(path, error) from None
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error}") from None


def write_openai(network: StoredNetwork, path: Path) -> None:
    """Write a checkpoint that openai-whisper loads. The file has its name when it is complete."""
    import torch

    content: dict[str, Any] = {"dims": network.dims, "model_state_dict": dict(network.weights)}
    if network.alignment_heads is not None:
        content[_HEADS] = network.alignment_heads
    with whole_file(path) as unfinished:
        torch.save(content, unfinished)


def _not_openai(path: Path, error: BaseException) -> ModelError:
    """The error for a file that openai-whisper could not load either."""
    reason = (str(error).strip() or "no details").splitlines()[0]
    return ModelError(
        f"{path} is not a Whisper checkpoint as openai-whisper saves it: "
        f"{type(error).__name__}: {reason}"
    )


def _can_be_mapped(path: Path) -> bool:
    """Whether the tensors are stored as they are: uncompressed in a zip archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
