"""What can go wrong, in two kinds: an input to set aside, or a mistake to tell the user.

A bad input never stops a batch: it raises `Rejected`, and whoever works through many
inputs turns that into one row of the `rejected` table. Everything that only a person
can put right (configuration, a missing model, a lake from the future) raises
`NightscribeError`, whose message names the thing, what is wrong, and what to do.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Reason(StrEnum):
    """Why an input could not be used. A closed list, so that SQL can group by it."""

    EMPTY_FILE = "empty_file"
    NOT_AUDIO = "not_audio"
    NO_AUDIO_STREAM = "no_audio_stream"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    CORRUPT_ARCHIVE = "corrupt_archive"
    NESTED_ARCHIVE = "nested_archive"
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


class Rejected(Exception):
    """An input that cannot be used; ends as one row of the `rejected` table.

    `reason` is from the closed list, `detail` says in words what was found.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Rejected], tuple[Reason, str]]:
        # Exceptions pickle by their `args`, which here is the joined message.
        return Rejected, (self.reason, self.detail)


class NightscribeError(Exception):
    """Something a person must put right. The message says what to do; shown without a traceback."""


class ConfigurationError(NightscribeError):
    """A setting, parameter or argument that cannot be used as given."""


class ModelError(NightscribeError):
    """A Whisper checkpoint that cannot be found, fetched, verified or loaded."""


class LakeError(NightscribeError):
    """A lake that cannot be opened, read or written."""


@contextmanager
def explain_full_disk() -> Iterator[None]:
    """Turn a full temporary folder into a `NightscribeError`: it is not the input's fault."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NightscribeError(
            f"the temporary folder {tempfile.gettempdir()} is full: make room in it, or set TMPDIR "
            "to a folder on a larger disk"
        ) from error
