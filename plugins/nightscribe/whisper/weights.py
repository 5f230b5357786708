"""Load a checkpoint's weights onto a device, without running code that a file may contain."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from nightscribe.errors import ModelError
from nightscribe.whisper.checkpoints import Checkpoint
from nightscribe.whisper.formats.ctranslate2 import read_ctranslate2
from nightscribe.whisper.formats.files import Format, format_of
from nightscribe.whisper.formats.hugging_face import read_hugging_face
from nightscribe.whisper.formats.network import Heads, StoredNetwork
from nightscribe.whisper.formats.openai import read_openai

if TYPE_CHECKING:
    from whisper.model import Whisper

__all__ = ["load_weights", "read_network"]

_READERS = {
    Format.OPENAI: read_openai,
    Format.HUGGING_FACE: read_hugging_face,
    Format.CTRANSLATE2: read_ctranslate2,
}


def load_weights(checkpoint: Checkpoint, device: str) -> Whisper:
    """Load a checkpoint onto a device, as `whisper.load_model` does.

    Only weights are read: a file that would run code when it is loaded is refused. Word times come
    from the heads that the checkpoint states; of an official `.pt`, from those that openai-whisper
    knows; else from all heads of the upper half of the decoder, as in openai-whisper.

    Raises:
        ModelError: it is not a Whisper checkpoint.
    """
    from whisper import _ALIGNMENT_HEADS

    network = read_network(Path(checkpoint.path))
    model = _build(network, checkpoint.path)
    if checkpoint.official:
        model.set_alignment_heads(_ALIGNMENT_HEADS[checkpoint.name])
    elif network.alignment_heads is not None:
        _set_heads(model, network.alignment_heads)
    return model.to(device)


def read_network(path: Path) -> StoredNetwork:
    """The weights of a checkpoint, in whichever format it has.

    Raises:
        ModelError: it is not a Whisper checkpoint, or cannot be computed.
    """
    return _READERS[format_of(path)](path)


def _build(network: StoredNetwork, path: str) -> Whisper:
    from whisper.model import ModelDimensions, Whisper

    try:
        model = Whisper(ModelDimensions(**network.dims))
        model.load_state_dict(network.weights)
    except (RuntimeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        # torch lists every weight that is missing, on lines of their own.
        reason = textwrap.shorten(str(error), 200, placeholder=" …") or "no details"
        raise ModelError(
            f"{path} is not a Whisper checkpoint: its weights and its description do not fit: "
            f"{type(error).__name__}: {reason}"
        ) from None
    return model


def _set_heads(model: Whisper, heads: Heads) -> None:
    import torch

    mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    for layer, head in heads:
        mask[layer, head] = True
    model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
