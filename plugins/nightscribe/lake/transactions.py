"""Ids of application transactions that readers and writers of a lake agree on."""

from __future__ import annotations

__all__ = ["FORGOTTEN", "REPLACED"]

REPLACED = "nightscribe.replaced"
"""Of commits that replace rows of `transcripts`, and of those that delete what belonged to them.
Its version is that of the table `transcripts`."""

FORGOTTEN = "nightscribe.forgotten"
"""The same for segments of transcripts that were deleted and not replaced."""
