"""Contents over which a decoder dies or never ends, in workers that a test has prepared for it."""

from __future__ import annotations

from pathlib import Path

import pytest

CRASHING = b"crash the decoder" * 99
ENDLESS = b"never come to an end" * 99

_SITECUSTOMIZE = f"""
import os, signal, av

opened = av.open

def open_or_die(file, *args, **kwargs):
    head = file.read(17)
    file.seek(0)
    if head == {CRASHING[:17]!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    while head == {ENDLESS[:17]!r}:
        pass
    return opened(file, *args, **kwargs)

av.open = open_or_die
"""


def crash_decoders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workers that start from now on die where FFmpeg would open one of these contents.

    Python imports `sitecustomize` when it starts; workers find the one in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    monkeypatch.syspath_prepend(folder)
