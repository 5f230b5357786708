"""Where a browser can play a recording that a report lists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes


def audio_url(pair: Mapping[str, Any]) -> str | None:
    """A `file://` URL of the recording; None if it is no file of its own on this machine.

    Members of zips and tars, and what lies in object stores, cannot be played from a page that
    is a file.
    """
    source = str(pair.get("source") or "")
    archive, _, member = source.removeprefix("file://").partition("!/")
    if not source.startswith("file://") or not member:
        return None
    # As bytes: a name need not be UTF-8.
    path = Path(os.fsdecode(unquote_to_bytes(f"{archive}/{member}")))
    try:
        return path.as_uri() if path.is_file() else None
    except OSError:  # a mount that is stale or closed to us: then it cannot be played either
        return None
