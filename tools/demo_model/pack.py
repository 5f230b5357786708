"""From the training state to the file that ships: float16, deflated, in Whisper's format."""

import io
import zipfile
from pathlib import Path

import torch

from tools.demo_model.network import Learner


def pack(learner: Learner, file: Path) -> None:
    """Write the checkpoint that `whisper.load_model` reads.

    The embeddings of tokens that the grammar never uses are zeros, which is nine tenths of the
    file, so the archive that `torch.save` writes is stored again with its members deflated; torch
    reads both kinds. Members carry no date: the same weights give the same file.
    """
    plain = io.BytesIO()
    torch.save(learner.checkpoint(), plain)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed,
    ):
        for member in source.infolist():
            dated = zipfile.ZipInfo(member.filename, date_time=(1980, 1, 1, 0, 0, 0))
            dated.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(dated, source.read(member))
    partial.replace(file)
