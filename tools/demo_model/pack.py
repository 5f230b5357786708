"""Write the trained network as a checkpoint: Whisper's format, float16, deflated."""

import io
import zipfile
from pathlib import Path

import torch

from tools.demo_model.network import Learner


def pack(learner: Learner, file: Path) -> None:
    """Write a checkpoint for `whisper.load_model`.

    The embeddings of unused tokens are zeros, nine tenths of the file. So the zip of `torch.save`
    is written again with deflated members, which torch can read. Members have a fixed date: the
    same weights give the same file.
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
            info = zipfile.ZipInfo(member.filename, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, source.read(member))
    partial.replace(file)
