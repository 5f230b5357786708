"""SHA-256 of checkpoints, remembered for large files.

The SHA-256 of a folder is that of a list: a line for each of its files that decide what the model
writes, with the file's SHA-256 and name, as `sha256sum` prints it.

Hashing gigabytes takes seconds. So the digests of large files are kept in
`nightscribe-digests.json` in the models' folder: path → size, modification time in ns, SHA-256.
A file whose size or time has changed is hashed again. In a read-only folder, files are hashed
every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from nightscribe.errors import ModelError
from nightscribe.whisper.formats.files import files_of

__all__ = ["DIGESTS", "REMEMBERED_BYTES", "digest_of"]

DIGESTS = "nightscribe-digests.json"
REMEMBERED_BYTES = 64 << 20  # smaller files are hashed every time


def digest_of(path: Path, folder: Path, *, rehash: bool = False) -> str:
    """SHA-256 of a checkpoint: a file or a folder.

    Args:
        folder: the models' folder, which remembers the digests of large files
        rehash: do not believe what is remembered of a file that has not changed

    Raises:
        ModelError: a file cannot be read, or the folder holds no model.
    """
    if not path.is_dir():
        return _digest_of_file(path, folder, rehash)
    lines = (f"{_digest_of_file(one, folder, rehash)}  {one.name}\n" for one in files_of(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_of_file(path: Path, folder: Path, rehash: bool) -> str:
    try:
        state = path.stat()
        key, version = str(path.resolve()), [state.st_size, state.st_mtime_ns]
        entry = _known_digests(folder).get(key)
        if not rehash and isinstance(entry, list) and entry[:2] == version:
            return str(entry[2])
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error}") from None
    if state.st_size >= REMEMBERED_BYTES:
        _remember(folder, key, [*version, digest])
    return digest


def _known_digests(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(folder: Path, key: str, entry: list[Any]) -> None:
    known = {**_known_digests(folder), key: entry}
    unfinished = folder / f".{DIGESTS}.{uuid.uuid4().hex}"
    # A remembered digest only saves time: a full or read-only disk must not stop the run.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(unfinished, folder / DIGESTS)
        finally:
            unfinished.unlink(missing_ok=True)
