"""What a report links to: a recording that a browser can play, and its segments in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightscribe.uris import child_uri, decode_path, split_uri


def audio_url(pair: Mapping[str, Any]) -> str | None:
    """A `file://` URL of the recording; None if it is not a file of its own on this machine.

    A page that is a file cannot play members of zips and tars, nor what is in an object store.
    """
    archive, member = split_uri(str(pair.get("source") or ""))
    if not archive.startswith("file://") or not member:
        return None
    path = Path(decode_path(child_uri(archive, member).removeprefix("file://")))
    try:
        return path.as_uri() if path.is_file() else None
    except OSError:  # a stale mount, or one without permission: it cannot be played either
        return None


def segments_query(pair: Mapping[str, Any]) -> str | None:
    """SQL for the segments of the transcript; None if the pair does not come from a lake."""
    transcript_id = pair.get("transcript_id")
    if not transcript_id:
        return None
    return f"SELECT * FROM segments WHERE transcript_id = '{transcript_id}' ORDER BY index"
