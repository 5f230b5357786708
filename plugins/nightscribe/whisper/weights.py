"""Load a checkpoint's weights onto a device, without running code that a file may contain."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING

from nightscribe.errors import ModelError
from nightscribe.whisper.checkpoints import Checkpoint

if TYPE_CHECKING:
    from whisper.model import Whisper

__all__ = ["load_weights"]


def load_weights(checkpoint: Checkpoint, device: str) -> Whisper:
    """Load a checkpoint onto a device, as `whisper.load_model` does.

    Only weights are read: a file that would run code when it is loaded is refused. The file is
    mapped into memory if its format allows that.

    Raises:
        ModelError: the file is not a Whisper checkpoint.
    """
    import torch
    from whisper import _ALIGNMENT_HEADS
    from whisper.model import ModelDimensions, Whisper

    try:
        content = torch.load(
            checkpoint.path,
            map_location="cpu",
            weights_only=True,
            mmap=_can_be_mapped(checkpoint.path),
        )
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} instead of a dictionary")
        model = Whisper(ModelDimensions(**content["dims"]))
        model.load_state_dict(content["model_state_dict"])
    except pickle.UnpicklingError:
        # torch's own message recommends to load the file without this protection.
        raise ModelError(
            f"{checkpoint.path} is not a Whisper checkpoint: it does not hold plain weights; "
            "nothing in it was run"
        ) from None
    except (RuntimeError, EOFError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"{checkpoint.path} is not a Whisper checkpoint as openai-whisper saves it: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from None
    except OSError as error:
        raise ModelError(f"the model file {checkpoint.path} cannot be read: {error}") from None
    if checkpoint.official:
        model.set_alignment_heads(_ALIGNMENT_HEADS[checkpoint.name])
    return model.to(device)


def _can_be_mapped(path: str) -> bool:
    """Whether the tensors are stored as they are: uncompressed in a zip archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no details").splitlines()[0]
