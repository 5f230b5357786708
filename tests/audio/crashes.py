"""Contents over which a decoder dies or never ends, in workers that a test has prepared for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

CRASHING = b"crash the decoder" * 99
ENDLESS = b"never come to an end" * 99

_SITECUSTOMIZE = """
import os, signal, av

opened = av.open

def open_or_die(file, *args, **kwargs):
    content = file.read(1 << 30)
    file.seek(0)
    if content in {crashing!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    while content == {endless!r}:
        pass
    return opened(file, *args, **kwargs)

av.open = open_or_die
"""


def crash_decoders(
    folder: Path, monkeypatch: pytest.MonkeyPatch, crashing: Iterable[bytes] = (CRASHING,)
) -> None:
    """Have workers that start from now on die where FFmpeg would open one of these contents.

    Python imports `sitecustomize` when it starts; workers find the one in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = _SITECUSTOMIZE.format(crashing=list(crashing), endless=ENDLESS)
    (folder / "sitecustomize.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
