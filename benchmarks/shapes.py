"""Checkpoint files of the official shapes with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from nightscribe.whisper.batched.random_weights import SHAPES, random_network


def write_checkpoint(shape: str, tokens: int, file: Path) -> None:
    """Write a checkpoint that decodes `tokens` tokens per window, timestamps included.

    The weights are float16, as in the official checkpoints.
    """
    network = random_network(SHAPES[shape], tokens)
    content = {
        "dims": vars(network.dims),
        "model_state_dict": {name: weight.half() for name, weight in network.state_dict().items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.rename(file)
