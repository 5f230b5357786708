"""Key columns of each table, for `Lake.insert_new` and `Lake.upsert`."""

from __future__ import annotations

__all__ = ["KEYS"]

KEYS: dict[str, tuple[str, ...]] = {
    "recordings": ("recording_id",),
    "sources": ("archive", "member"),
    "scans": ("uri", "size_bytes", "version"),
    "rejected": ("uri", "version", "reason", "recording_id", "model_id", "task", "options_key"),
    "reference_texts": ("recording_id", "task", "dataset"),
    "annotations": ("manifest", "archive", "member"),
    "plans": ("run_id",),
    "account_parts": ("run_id", "collection", "part"),
    "warnings": ("recording_id", "kind"),
    "waveforms": ("recording_id",),
    "source_states": ("archive", "member"),
    "corrections": ("decision_id", "index"),
    "reviews": ("decision_id",),
    "forgotten": ("recording_id",),
    "transcripts": ("recording_id", "model_id", "task", "options_key"),
}
"""Table → columns whose values identify a row."""
