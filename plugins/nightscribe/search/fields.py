"""What the index stores of each segment."""

from __future__ import annotations

import zlib
from datetime import datetime

import tantivy

__all__ = ["FILTERS", "SCHEMA", "order_of"]

FILTERS = ("language", "task", "model")
"""Fields by which hits can be chosen."""


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="position")
    for name in ("transcript_id", *FILTERS):
        builder.add_text_field(name, stored=True, tokenizer_name="raw", index_option="basic")
    # The lines before and after are stored with a hit, since reading them from the lake would take
    # seconds. Compression makes up for most of it.
    for name in ("recording_id", "text", "before", "after"):
        builder.add_bytes_field(name, stored=True)
    builder.add_integer_field("index", stored=True)
    builder.add_float_field("start_s", stored=True)
    builder.add_integer_field("order", fast=True)
    return builder.build()


SCHEMA = _schema()


def order_of(created_at: datetime, recording_id: str) -> int:
    """The number by which hits are sorted: newest transcripts first, those of a recording together.

    Transcripts of a batch have the same time.
    """
    return int(created_at.timestamp() * 1000) << 20 | zlib.crc32(recording_id.encode()) & 0xFFFFF
