"""Download an official checkpoint: one process at a time, verified, complete or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import lock_descriptor

from nightscribe.errors import ModelError
from nightscribe.progress import Progress
from nightscribe.whisper.official import expected_digest

__all__ = ["check_download", "download", "missing_checkpoint"]

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0  # without a byte from the server
_ANSWER_S = 5.0  # longest wait for the headers of a checkpoint


def download(name: str, url: str, path: Path) -> None:
    """Download an official checkpoint to `path`, unless another process just did.

    Raises:
        ModelError: the download failed, or its content is not the model.
    """
    try:
        with _lock_folder(path):
            if not path.is_file():
                _fetch(name, url, path)
    except (OSError, http.client.HTTPException) as error:
        cause = str(error).strip("<>") or type(error).__name__
        raise missing_checkpoint(name, path, f" and could not be downloaded ({cause})") from error


def check_download(name: str, url: str, path: Path) -> int:
    """Whether a missing official checkpoint could be downloaded to `path`. Returns its size, bytes.

    Raises:
        ModelError: the folder cannot be written or has no room, or the server does not answer.
    """
    import httpx

    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise missing_checkpoint(name, path, f" and {folder} is not writable")
    try:
        answer = httpx.head(url, timeout=_ANSWER_S, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        cause = f" and its server does not give it ({type(error).__name__})"
        raise missing_checkpoint(name, path, cause) from error
    size = int(answer.headers.get("Content-Length") or 0)
    if shutil.disk_usage(folder).free < size:
        raise missing_checkpoint(name, path, f" and {folder} has no room for {size / 1e6:.0f} MB")
    return size


def missing_checkpoint(name: str, path: Path, cause: str = "") -> ModelError:
    """The error for an official checkpoint that is not at `path`, with what to do."""
    return ModelError(
        f"the model {name!r} is not at {path}{cause}: run `nightscribe models fetch {name}` on a "
        f"connected machine and copy {path.name} to {path.parent}, or set NIGHTSCRIBE_MODEL_DIR to "
        "the folder that has it, or give the path of a folder with config.json, model.safetensors, "
        "generation_config.json and tokenizer.json of openai/whisper-"
        f"{_elsewhere(name)} (Hugging Face), or with model.bin, config.json and vocabulary.json of "
        "its conversion to CTranslate2"
    )


def _elsewhere(name: str) -> str:
    """The name of an official model at Hugging Face."""
    return {"large": "large-v3", "turbo": "large-v3-turbo", "large-v1": "large"}.get(name, name)


@contextlib.contextmanager
def _lock_folder(path: Path) -> Iterator[None]:
    """Let one process at a time download into the folder of `path`; remove what killed ones left.

    The folder itself is locked, so that no lock file stays in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder. Then two processes may download the
        # same file, each under a name of its own, and nothing is removed.
        with contextlib.suppress(OSError):
            lock_descriptor(folder)
            for unfinished in path.parent.glob(f".{path.name}.*.part"):
                unfinished.unlink()
        yield
    finally:
        os.close(folder)


def _fetch(name: str, url: str, path: Path) -> None:
    """Download under a temporary name; the file gets its name when it is complete and verified."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as source, open(part, "xb") as file:
            size = int(source.headers.get("Content-Length") or 0)
            with Progress(f"fetching {name}", 1, size / 1e6, "MB") as progress:
                while chunk := source.read(_CHUNK_BYTES):
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
                f"the content of {url} is not the model {name!r}: its SHA-256 is "
                f"{digest.hexdigest()}; it was not kept; try again, or look for a proxy that "
                "answers instead of the server"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
