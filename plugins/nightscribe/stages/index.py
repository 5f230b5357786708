"""Index: bring the search index up to date with the latest transcripts."""

from __future__ import annotations

import logging

from nightscribe.errors import NightscribeError
from nightscribe.lake.damage import explains
from nightscribe.lake.tables import Lake
from nightscribe.search.building import Built, build
from nightscribe.search.generations import index_folder
from nightscribe.settings import Settings

__all__ = ["index", "index_published", "summary"]

log = logging.getLogger(__name__)


@explains
def index(lake: Lake, settings: Settings) -> Built:
    """Build the index. Raises `SearchError`, and `LakeError` for a lake that cannot be read."""
    return build(lake, index_folder(lake, settings.index))


def index_published(lake: Lake, settings: Settings) -> str:
    """Build the index after a publication, which stands even if that fails. Returns the summary."""
    try:
        return summary(index(lake, settings))
    except Exception as error:
        # The transcripts are published. The pages say up to when the old index knows them.
        if not isinstance(error, NightscribeError):
            log.exception("the search index was not brought up to date")
        return f"index: not brought up to date, run `nightscribe index` again: {error}"


def summary(built: Built) -> str:
    """One line: what was added and removed, and up to which time the index knows the lake."""
    until = built.state.known_until
    made = "made anew, " if built.is_new else ""
    return (
        f"index: {made}{built.added:,} segments added, {built.removed:,} removed; knows "
        f"{built.state.segments:,} segments of {built.state.transcripts:,} transcripts"
        + (f" up to {until:%Y-%m-%d %H:%M:%S} UTC" if until else "")
    )
