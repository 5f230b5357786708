"""The audio of a batch's recordings, as an engine asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from nightscribe.archives.entries import Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.recordings import difference_from
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import join_uri
from nightscribe.whisper.contract import Job, Request

__all__ = ["Source", "requests"]

Source = tuple[str, str]
"""Archive URI and member path."""


def requests(
    sources: Mapping[str, Sequence[Source]],
    jobs: Mapping[str, tuple[Job, ...]],
    limits: ArchiveLimits,
    give_up: Callable[[str, str], None],
) -> Iterator[Request]:
    """One request for each recording, in the order in which the archives give their bytes.

    The bytes must still be those that were ingested. If they are not, the recording's other
    sources are tried.

    Args:
        sources: recording_id → where it was seen
        jobs: recording_id → the transcripts that are wanted of it
        give_up: called with a recording_id and the answers of its sources, once none is left
    """
    waiting = {recording_id: list(places) for recording_id, places in sources.items()}
    trouble: dict[str, list[str]] = {recording_id: [] for recording_id in waiting}
    while waiting:
        first = {places.pop(0): recording_id for recording_id, places in waiting.items()}
        for source, file in open_sources(list(first), limits):
            recording_id = first[source]
            difference = difference_from(recording_id, file)
            if difference is None:
                assert not isinstance(file, Rejection)
                yield Request(recording_id, file, jobs[recording_id])
                del waiting[recording_id]
            else:
                trouble[recording_id].append(f"{join_uri(*source)}: {difference}")
        for recording_id in [r for r, places in waiting.items() if not places]:
            del waiting[recording_id]
            give_up(recording_id, "; ".join(trouble[recording_id]))
