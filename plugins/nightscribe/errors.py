"""Two kinds of errors: an input that cannot be used, and what a person must correct.

A bad input never stops a batch. It raises `Rejected`, and the loop over the inputs turns that into
one row of the table `rejected`. A wrong setting, a missing model or a lake with a newer format
raises `NightscribeError`; `nightscribe.faults` turns failures of the disk and the network into one.
Its message names the thing, says what is wrong with it, and what to do.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an input cannot be used. The list is closed, so that SQL can group by reason."""

    EMPTY_FILE = "empty_file"
    NOT_AUDIO = "not_audio"
    NO_AUDIO_STREAM = "no_audio_stream"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    CORRUPT_ARCHIVE = "corrupt_archive"
    NESTED_ARCHIVE = "nested_archive"
    UNSUPPORTED_ARCHIVE = "unsupported_archive"
    ENCRYPTED_MEMBER = "encrypted_member"
    UNSAFE_MEMBER_NAME = "unsafe_member_name"
    LINK_MEMBER = "link_member"
    ARCHIVE_LIMIT = "archive_limit"
    MANIFEST_UNREADABLE = "manifest_unreadable"
    MANIFEST_MISSING_FILE = "manifest_missing_file"
    MANIFEST_BAD_ROW = "manifest_bad_row"
    CHANGED = "changed"
    TRANSCRIPTION_FAILED = "transcription_failed"
    POSTPONED = "postponed"


class WarningKind(StrEnum):
    """What is wrong with a recording that is used all the same. A closed list, as `Reason`."""

    DAMAGED_PACKETS = "damaged_packets"
    GAP = "gap"
    CUT_SHORT = "cut_short"
    STOPPED = "stopped"
    LINK_SKIPPED = "link_skipped"  # a link of a chained Ogg file has no audio that can be decoded
    TRACK_EMPTY = "track_empty"  # the preferred audio track has no audio; another one is used
    TRACK_SILENT = "track_silent"  # the preferred audio track is silent, and another is not
    CHANNELS_CANCEL = "channels_cancel"  # the mono mix of the channels is silence
    CHANNEL_LEFT_OUT = "channel_left_out"  # sound on a channel that the mono mix weakens or lacks
    BYTES_SKIPPED = "bytes_skipped"  # bytes in front of the audio are not audio
    TRAILING_BYTES = "trailing_bytes"  # bytes behind the stated end are not decoded


@dataclass(frozen=True)
class AudioWarning:
    """A flaw of a recording that is used all the same: the content of a row of `warnings`.

    Attributes:
        kind: from the closed list
        detail: what was found, in words
        missing_s: seconds that are not in the decoded audio; None if that is unknown
    """

    kind: WarningKind
    detail: str
    missing_s: float | None = None


def warning_text(warnings: Iterable[AudioWarning]) -> str | None:
    """The details of warnings in one line; None without warnings."""
    return "; ".join(warning.detail for warning in warnings) or None


class Rejected(Exception):
    """An input that cannot be used. It becomes one row of the table `rejected`.

    Attributes:
        reason: from the closed list
        detail: what was found, in words
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Rejected], tuple[Reason, str]]:
        # By default, exceptions are pickled by their `args`: here, the joined message.
        return Rejected, (self.reason, self.detail)


class NightscribeError(Exception):
    """What a person must correct. Its message says what to do and needs no traceback."""


class ConfigurationError(NightscribeError):
    """A setting, parameter or argument that cannot be used as given."""


class ModelError(NightscribeError):
    """A Whisper checkpoint that cannot be found, fetched, verified or loaded."""


class LakeError(NightscribeError):
    """A lake that cannot be opened, read or written."""


class BusyError(LakeError):
    """Other processes commit to a table all the time."""


class SearchError(NightscribeError):
    """A search index that cannot be built or read."""


@contextmanager
def explain_full_disk() -> Iterator[None]:
    """Turn errors about a full temporary folder into a `NightscribeError`.

    Without this, an input would be rejected for a fault of the machine.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NightscribeError(
            f"the temporary folder {tempfile.gettempdir()} is full: make room in it, or set TMPDIR "
            "to a folder on a larger disk"
        ) from error
