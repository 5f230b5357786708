"""Contents over which a decoder dies or never ends, in workers that a test has prepared for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

CRASHING = b"crash the decoder" * 99
ENDLESS = b"never come to an end" * 99
KILLED = b"killed by a signal" * 99
HUNGRY = b"take all memory" * 99
ASLEEP = b"wait for ever" * 99
PRYING = b"look around" * 99

_SITECUSTOMIZE = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading, time, av

opened = av.open
hoard = []

def attempts():
    yield "read", lambda: open(__file__)
    yield "list", lambda: os.listdir("/")
    yield "write", lambda: open("/tmp/was-written", "w")
    yield "remove", lambda: os.unlink(sys.executable + "-none")
    yield "own memory", lambda: open("/proc/self/mem", "rb")
    yield "socket", lambda: socket.socket()
    yield "unix socket", lambda: socket.socket(socket.AF_UNIX)
    yield "udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield "program", lambda: os.execv(sys.executable, [sys.executable, "-c", ""])
    yield "process", lambda: os.fork() or os._exit(0)
    yield "signal the parent", lambda: os.kill(os.getppid(), 0)
    yield "limit the parent", lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE)
    yield "memory", lambda: bytearray(3 << 30)
    yield "descriptors", lambda: [os.dup(0) for _ in range(30)]
    yield "thread", lambda: threading.Thread(target=print).start()

def tried(attempt):
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError) as error:
        return type(error).__name__
    return "done"

def take_all_memory():
    # FFmpeg itself finds none from here on: the process may not grow, and has no free memory left.
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1, hard))
    for size in (1 << 20, 1 << 17, 1 << 14, 1 << 12, 1 << 10):
        try:
            while True:
                hoard.append(bytearray(size))
        except MemoryError:
            pass

def open_or_die(file, *args, **kwargs):
    content = file.read(1 << 30)
    file.seek(0)
    if content in {crashing!r}:
        signal.raise_signal(signal.SIGSEGV)
    if content in {killed!r}:
        signal.raise_signal(signal.SIGKILL)
    if content in {hungry!r}:
        take_all_memory()
    if content in {starving!r}:
        container = opened(file, *args, **kwargs)
        take_all_memory()
        return container
    while content in {asleep!r}:
        time.sleep(1)
    if content == {prying!r}:
        found = {{name: tried(attempt) for name, attempt in attempts()}}
        raise OSError(json.dumps({{**found, "environment": dict(os.environ)}}))
    while content == {endless!r}:
        pass
    return opened(file, *args, **kwargs)

av.open = open_or_die
"""


def crash_decoders(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    crashing: Iterable[bytes] = (CRASHING,),
    *,
    killed: Iterable[bytes] = (KILLED,),
    hungry: Iterable[bytes] = (HUNGRY,),
    starving: Iterable[bytes] = (),
    asleep: Iterable[bytes] = (ASLEEP,),
) -> None:
    """Have workers that start from now on die where FFmpeg would open one of these contents.

    Python imports `sitecustomize` when it starts; workers find the one in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = _SITECUSTOMIZE.format(
        crashing=list(crashing),
        killed=list(killed),
        hungry=list(hungry),
        starving=list(starving),
        asleep=list(asleep),
        prying=PRYING,
        endless=ENDLESS,
    )
    (folder / "sitecustomize.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
