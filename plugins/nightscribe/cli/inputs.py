"""The inputs of `nightscribe transcribe`: files, pipes, standard input and URLs, opened in turn.

What cannot be read twice is copied first, in memory up to `ArchiveLimits.spool_bytes` and to the
temporary folder beyond it. An input is known by its content from then on, as a file is.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from nightscribe.archives.spooling import spool
from nightscribe.cli.fetching import fetched, too_large
from nightscribe.errors import ConfigurationError, Reason, Rejected
from nightscribe.recordings import content_id
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import is_web_url, shown_url

if TYPE_CHECKING:
    from nightscribe.whisper.contract import Job, Request

__all__ = ["Inputs", "opened", "require_distinct_stems", "shown", "stem_of"]

_STANDARD_INPUT = "-"
# FFmpeg's protocols that need no slashes; the whisper command would hand these names to it.
_OTHER = re.compile(
    r"[a-z][a-z0-9+.-]*://|(async|cache|concat|concatf|crypto|data|fd|file|pipe|subfile|tee):",
    re.IGNORECASE,
)


class Inputs:
    """The inputs of a command: opened one after the other, known by their content afterwards."""

    def __init__(self, names: Sequence[str], limits: ArchiveLimits) -> None:
        self.skipped = 0
        self._names = names
        self._limits = limits
        self._names_of: dict[str, list[str]] = {}  # two inputs may have the same content

    def requests(self, job: Job) -> Iterator[Request]:
        """A request for each input that can be read; each is open until the next is drawn."""
        from nightscribe.whisper.contract import Request

        for name in self._names:
            with ExitStack() as stack:
                try:
                    file = stack.enter_context(opened(name, self._limits))
                    recording_id = content_id(file)
                except Rejected as rejected:
                    self.skip(name, str(rejected))
                    continue
                except OSError as error:
                    self.skip(name, error.strerror or str(error))
                    continue
                self._names_of.setdefault(recording_id, []).append(name)
                yield Request(recording_id, file, (job,))

    def name_of(self, recording_id: str) -> str:
        """The input that a result belongs to; inputs with the same content get one result each."""
        return self._names_of[recording_id].pop(0)

    def skip(self, name: str, reason: str) -> None:
        """Report an input that has no result, and count it."""
        self.skipped += 1
        print(f"Skipping {shown(name)}: {reason}", file=sys.stderr)


def shown(name: str) -> str:
    """An input for messages: a URL without its secrets."""
    return shown_url(name) if is_web_url(name) else name


def stem_of(name: str) -> str:
    """The name of an input's output files, without a suffix.

    It is the file name without its suffix, as the whisper command takes it: `talk.` gives `talk`
    and `-` gives `-`. Of a URL, only the path counts, or the host if the path names no file.
    """
    if is_web_url(name):
        parts = urlsplit(name)
        name = os.path.basename(parts.path) or parts.netloc.rpartition("@")[2].partition(":")[0]
    return os.path.splitext(os.path.basename(name))[0]


def require_distinct_stems(names: Sequence[str]) -> None:
    """Output files are named by the stem: two inputs with one stem would overwrite each other."""
    if list(names).count(_STANDARD_INPUT) > 1:
        raise ConfigurationError("- is standard input, which can be read once: name it once")
    seen: dict[str, str] = {}
    for name in names:
        stem = stem_of(name)
        if seen.setdefault(stem, name) != name:
            raise ConfigurationError(
                f"{shown(seen[stem])} and {shown(name)} would both be written to {stem}.*: give "
                "them different names, or transcribe them into different folders (--output_dir)"
            )


@contextmanager
def opened(name: str, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """Open an input as a seekable file, at its start.

    Raises:
        Rejected: there is nothing of that kind to read, or it is larger than the limit.
        OSError: it cannot be read.
        NightscribeError: the temporary folder is full.
    """
    if is_web_url(name):
        with fetched(name, limits) as file:
            yield file
    elif name == _STANDARD_INPUT:
        if sys.stdin is None:
            raise Rejected(Reason.UNREADABLE, "standard input is closed")
        with open(0, "rb", closefd=False) as file, _seekable(file, limits) as copy:
            yield copy
    else:
        if _OTHER.match(name) and not os.path.lexists(name):
            raise Rejected(Reason.UNREADABLE, _not_supported(name))
        with open(name, "rb") as file, _seekable(file, limits) as copy:
            yield copy


@contextmanager
def _seekable(file: BinaryIO, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """The file itself if it is one on disk and at its start, else a copy of what it gives."""
    if file.isatty():
        raise Rejected(Reason.UNREADABLE, "a terminal: redirect a file or pipe a program into it")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.tell() == 0:
        yield file
        return
    try:
        copy = spool(file, 0, limits)
    except Rejected:
        raise too_large(limits) from None
    with copy:
        yield copy


def _not_supported(name: str) -> str:
    scheme = name.partition(":")[0]
    if scheme.lower() in {"s3", "s3a", "gs", "gcs"}:
        return f"{scheme}:// is for archives: use `nightscribe run`"
    return (
        f"{scheme}: is not supported, and there is no file of that name; give a path, - for "
        "standard input, or an http(s) URL"
    )
