"""Requests to an engine: the audio of a batch's recordings, opened one at a time."""

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
    fail: Callable[[str, str], None],
) -> Iterator[Request]:
    """Yield one request per recording, in the order in which the archives are read.

    If a source no longer has the bytes that were ingested, the recording's next source is tried.

    Args:
        sources: recording_id → its sources
        jobs: recording_id → the transcripts to make
        fail: called with the recording_id and the reasons if no source of a recording is usable
    """
    waiting = {recording_id: list(untried) for recording_id, untried in sources.items()}
    reasons: dict[str, list[str]] = {recording_id: [] for recording_id in waiting}
    while waiting:
        first = {untried.pop(0): recording_id for recording_id, untried in waiting.items()}
        for source, file in open_sources(list(first), limits):
            recording_id = first[source]
            difference = difference_from(recording_id, file)
            if difference is None:
                assert not isinstance(file, Rejection)
                yield Request(recording_id, file, jobs[recording_id])
                del waiting[recording_id]
            else:
                reasons[recording_id].append(f"{join_uri(*source)}: {difference}")
        for recording_id in [r for r, untried in waiting.items() if not untried]:
            del waiting[recording_id]
            fail(recording_id, "; ".join(reasons[recording_id]))
