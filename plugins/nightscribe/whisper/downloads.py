"""Download an official checkpoint: one process at a time, verified, complete or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from nightscribe.errors import ModelError
from nightscribe.progress import Progress
from nightscribe.whisper.official import expected_digest

CHUNK_BYTES = 1 << 20


TIMEOUT_S = 60.0  # without a byte from the server


def obtain(name: str, url: str, path: Path, *, fetch: bool) -> None:
    """Download to `path`, or say in one sentence why not and what to do."""
    because = ""
    if fetch:
        try:
            with _only_writer(path):
                if not path.is_file():  # another process may just have finished it
                    _download(name, url, path)
            return
        except (OSError, http.client.HTTPException) as error:
            because = (
                f" and could not be downloaded ({str(error).strip('<>') or type(error).__name__})"
            )
    raise ModelError(
        f"the model {name!r} is not at {path}{because}: run `nightscribe models fetch {name}` on a "
        f"connected machine and copy {path.name} to {path.parent}, or set NIGHTSCRIBE_MODEL_DIR to "
        "the folder that has it"
    )


@contextlib.contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Let one process at a time download into the folder, and clear what killed ones left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder. Then two processes may download the
        # same file, each to a name of its own, and nothing is cleared.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in path.parent.glob(f".{path.name}.*.part"):
                left.unlink()
        yield
    finally:
        os.close(handle)


def _download(name: str, url: str, path: Path) -> None:
    """Download to a temporary name; the real name appears with the whole, verified file."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as source, open(part, "xb") as file:
            size = int(source.headers.get("Content-Length") or 0)
            with Progress(f"fetching {name}", 1, size / 1e6, "MB") as progress:
                while chunk := source.read(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    progress.add(len(chunk) / 1e6, items=int(received == size))
            file.flush()
            os.fsync(file.fileno())
        if size and received != size:
            raise OSError(f"the connection ended after {received} of {size} bytes")
        if digest.hexdigest() != expected_digest(url):
            raise ModelError(
                f"what {url} gave is not the model {name!r}: its SHA-256 is {digest.hexdigest()}; "
                "nothing was kept; try again, or look for a proxy that answers in its place"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
