"""Short excerpts of recordings, drawn from archives at random: what `bench` transcribes."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nightscribe.archives.entries import File, Member, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.audio.containers import probe
from nightscribe.audio.decode import blocks
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.audio.wav import wav_content
from nightscribe.errors import Rejected
from nightscribe.settings import GIB, MIB, ArchiveLimits

__all__ = ["EXCERPT_S", "MAX_FILE_BYTES", "NOISE_S", "draw_excerpts", "first_seconds", "noise"]

log = logging.getLogger(__name__)

EXCERPT_S = 60.0
"""Longest excerpt, s."""

NOISE_S = 30.0
"""Length of a recording of noise, s: one window."""

MAX_FILE_BYTES = GIB
"""Larger files are left out: a file of an object store is downloaded as a whole."""

_NOISES = 16
_MAX_EXCERPTS = 128
_MAX_TOTAL_BYTES = 256 * MIB  # of all excerpts; they are held in memory
_MAX_LISTED = 10_000  # files per archive that the draw considers
_MAX_MEMBERS = 32  # per container, its first: a compressed tar can only be read from its start


def draw_excerpts(archives: Sequence[str], limits: ArchiveLimits) -> Iterator[bytes]:
    """Draw up to 128 excerpts, as encoded files. The same archives give the same excerpts.

    A recording of at most `EXCERPT_S` is taken as it is; of a longer one, the beginning as WAV.
    Files without usable audio are skipped.

    Raises:
        ConfigurationError: an archive does not exist, or access to it is refused.
    """
    files = [
        file
        for archive in archives
        for file in islice(list_files(archive), _MAX_LISTED)
        if isinstance(file, File) and file.kind is not Kind.MANIFEST
    ]
    random.Random(0).shuffle(files)
    small = [file for file in files if file.size_bytes <= MAX_FILE_BYTES]
    if len(small) < len(files):
        skipped = len(files) - len(small)
        log.warning("%d files above %g GiB are left out", skipped, MAX_FILE_BYTES / GIB)
    count = total_bytes = 0
    for file in small:
        for recording in _recordings(file, limits):
            excerpt = _excerpt(recording)
            if excerpt is not None:
                count, total_bytes = count + 1, total_bytes + len(excerpt)
                yield excerpt
            if count >= _MAX_EXCERPTS or total_bytes >= _MAX_TOTAL_BYTES:
                return


def first_seconds(file: BinaryIO, seconds: float) -> bytes | None:
    """The beginning of a recording as a 16-bit WAV file; None if it cannot be decoded."""
    try:
        samples = next(blocks(file, block_s=seconds))
    except Rejected:
        return None
    return _as_wav(samples)


def noise() -> list[bytes]:
    """16 recordings of noise of `NOISE_S` each, as encoded files; always the same."""
    random = np.random.default_rng(0)
    shape = (_NOISES, int(NOISE_S * SAMPLE_RATE))
    return [_as_wav(sound) for sound in random.uniform(-0.3, 0.3, shape).astype(np.float32)]


def _as_wav(samples: NDArray[np.float32]) -> bytes:
    return wav_content((samples * FULL_SCALE).astype(np.int16), SAMPLE_RATE)


def _recordings(file: File, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """The file itself, or the first audio members of a container, each open until the next."""
    if file.kind is Kind.CONTAINER:
        members = (
            member.file
            for member in read_container(file.archive, limits)
            if isinstance(member, Member) and member.kind is Kind.AUDIO
        )
        yield from islice(members, _MAX_MEMBERS)
    else:
        for _, opened in open_sources([(file.archive, file.member)], limits):
            if not isinstance(opened, Rejection):
                yield opened


def _excerpt(file: BinaryIO) -> bytes | None:
    try:
        stated_s = probe(file).duration_s
    except Rejected:
        return None
    file.seek(0)
    if stated_s is not None and stated_s <= EXCERPT_S:
        return file.read()
    return first_seconds(file, EXCERPT_S)
