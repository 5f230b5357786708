"""Open an audio file with FFmpeg, select its audio stream, read its header.

FFmpeg gets bytes without a file name, so the result depends on the content only. It may recognise
only the container formats that are listed here. Playlists are not among them, since they name other
files or addresses. FFmpeg's log is off, as is PyAV's default: passing log lines from FFmpeg's
threads to Python can deadlock.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition

from nightscribe.audio.parts import content_start, part
from nightscribe.audio.stated_length import Lengths, lengths_of
from nightscribe.errors import Reason, Rejected

__all__ = [
    "CODECS",
    "CONTAINERS",
    "AudioFile",
    "AudioInfo",
    "Opened",
    "Source",
    "error_text",
    "opened",
    "probe",
]

CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,gsm,"
    "matroska,mov,mp4,mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)
"""Container formats that may be opened, by FFmpeg's names. None refers to other files for audio."""

CODECS = (
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,"
    "adpcm_sbpro_2,adpcm_sbpro_3,adpcm_sbpro_4,adpcm_swf,adpcm_yamaha,alac,als,amrnb,"
    "amrwb,ape,atrac1,atrac3,atrac3al,atrac3plus,atrac3plusal,cook,dca,dsd_lsbf,"
    "dsd_lsbf_planar,dsd_msbf,dsd_msbf_planar,dst,dvaudio,eac3,flac,g722,g723_1,g726,"
    "g726le,g729,gsm,gsm_ms,ilbc,libopencore_amrnb,libopencore_amrwb,libopus,mlp,mp1,"
    "mp1float,mp2,mp2float,mp3,mp3adu,mp3adufloat,mp3float,mp3on4,mp3on4float,mpc7,"
    "mpc8,nellymoser,opus,pcm_alaw,pcm_bluray,pcm_dvd,pcm_f16le,pcm_f24le,pcm_f32be,"
    "pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16be_planar,pcm_s16le,"
    "pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s24le_planar,pcm_s32be,pcm_s32le,"
    "pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_s8,pcm_s8_planar,pcm_u16be,pcm_u16le,"
    "pcm_u24be,pcm_u24le,pcm_u32be,pcm_u32le,pcm_u8,pcm_vidc,qcelp,qdm2,qdmc,real_144,"
    "real_288,s302m,sipr,speex,tak,truehd,truespeech,tta,vorbis,wavpack,wmalossless,"
    "wmapro,wmav1,wmav2,wmavoice"
)
"""Decoders that may be used, by FFmpeg's names: for audio only. A video stream is never decoded."""

# Raw formats behind bytes that are not audio, by the first bytes of a frame. Frames of MP3 and AAC
# have 11 and 12 bits of sync (ISO 11172-3, 2.4.2.3; ISO 13818-7, 6.2); AC-3 and E-AC-3 16 (ETSI TS
# 102 366, 4.4.1); DTS 32 (ETSI TS 102 114, 5.3.1).
_SYNCS = (
    (rb"fLaC", "flac"),
    (rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]", "mp3"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "aac"),
    (rb"\x0b\x77", "ac3"),
    (rb"\x0b\x77", "eac3"),
    (rb"\x7f\xfe\x80\x01", "dts"),
)
_JUNK_BYTES = 4 << 20  # in which a raw format is searched for
_MOST_SYNCS = 8  # places that are tried for a raw format
_TRIAL_BYTES = 1 << 20
_TRIAL_PACKETS = 20

AudioFile: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A path, or an open, seekable binary file."""


@dataclass(frozen=True)
class AudioInfo:
    """Values from the header of an audio file."""

    container: str  # FFmpeg's name; "mov,mp4,m4a,3gp,3g2,mj2" is one format
    codec: str  # FFmpeg's name: pcm_s16le, mp3, opus …
    sample_rate: int  # Hz
    channels: int
    duration_s: float | None  # stated, or estimated from the bit rate; it may be wrong


class Source:
    """The file that FFmpeg reads: bytes without a name. Keeps the error of a failed read.

    FFmpeg treats a failed read as the end of the file, and PyAV raises the error in a later call.
    So the error (also an interrupt or a time-out) is kept in `error`, and `raise_error` raises it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self.error is None:
            try:
                return self._file.read(size)
            except BaseException as error:
                self.error = error
        return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self.error is None:
            try:
                return self._file.seek(offset, whence)
            except BaseException as error:
                self.error = error
        return -1

    def tell(self) -> int:
        return self._file.tell()

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class Opened:
    """An open container and its selected audio stream. The other streams are not read."""

    source: Source
    container: InputContainer
    stream: AudioStream
    info: AudioInfo
    lengths: Lengths  # the file's size beside its header
    skipped_bytes: int  # in front of the audio, not audio and not a tag


@contextmanager
def opened(file: AudioFile, passed_over: frozenset[int] = frozenset()) -> Iterator[Opened]:
    """Open a file and select its audio stream. Reads an open file from its start; keeps it open.

    `passed_over` are indexes of streams that must not be selected. If FFmpeg does not recognise the
    file, it gets what follows the tags at the beginning, and then what follows other bytes.

    Raises:
        Rejected: empty file, not audio, or no audio stream.
        OSError: the file could not be read.
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as by_path, opened(by_path, passed_over) as found:
            yield found
        return
    if not file.seek(0, io.SEEK_END):
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    lengths = lengths_of(file)
    file.seek(0)
    source, container, skipped = _container(file)
    with container:
        source.raise_error()
        stream = _best_stream(container, passed_over)
        # One thread per recording: callers decode many recordings in parallel.
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield Opened(source, container, stream, _info(container, stream), lengths, skipped)


def _container(file: BinaryIO) -> tuple[Source, InputContainer, int]:
    """The opened container, and the number of bytes in front of it that are not audio.

    Tags do not count among these.
    """
    source = Source(file)
    try:
        return source, _recognised(source), 0
    except av.FFmpegError as error:
        source.raise_error()
        rejected = Rejected(
            Reason.NOT_AUDIO, f"cannot be opened as audio or video: {error_text(error)}"
        )
    # FFmpeg searches a bounded number of bytes behind a tag, except for MP3.
    start, size = content_start(file), file.seek(0, io.SEEK_END)
    if 0 < start < size:
        source = Source(part(file, start, size))
        try:
            return source, _recognised(source), 0
        except av.FFmpegError:
            source.raise_error()
    found = _behind_junk(file, start, size)
    if found is None:
        raise rejected
    junk, name = found
    source = Source(part(file, junk, size))
    try:
        return source, _recognised(source, name), junk - start
    except av.FFmpegError:
        source.raise_error()
        raise rejected from None


def _behind_junk(file: BinaryIO, start: int, size: int) -> tuple[int, str] | None:
    """Where audio begins behind bytes that are not audio, and its format by FFmpeg's names.

    The ffmpeg command takes the format from the file's name in this case. Here a recording is its
    bytes, whatever their name is: each raw format is tried, and must decode without errors.
    """
    for begin, name in _raw_starts(file, start, size):
        source = Source(part(file, begin, min(size, begin + _TRIAL_BYTES)))
        try:
            with _recognised(source, name) as container:
                if _decodes(container):
                    return begin, name
        except (av.FFmpegError, IndexError):
            source.raise_error()
    return None


def _raw_starts(file: BinaryIO, start: int, size: int) -> Iterator[tuple[int, str]]:
    file.seek(start)
    head = file.read(min(_JUNK_BYTES, size - start))
    for sync, name in _SYNCS:
        for found in islice(re.finditer(sync, head), _MOST_SYNCS):
            yield start + found.start(), name


def _decodes(container: InputContainer) -> bool:
    """Whether a container begins with frames of one form that decode and follow each other.

    The sync of a frame also occurs by chance, but not again where the frame ends.
    """
    stream = container.streams.audio[0]
    if stream.codec_context.codec.name.startswith("mp1"):
        return False  # nobody has used layer I; its sync is that of bytes 255, 255
    end: int | None = None
    forms = []
    for packet in islice(container.demux(stream), _TRIAL_PACKETS):
        if not packet.size:  # the end
            break
        if packet.pos is None or end not in (None, packet.pos):
            return False
        end = packet.pos + packet.size
        forms += [(frame.sample_rate, frame.layout.name) for frame in stream.decode(packet)]
    return len(set(forms)) == 1 and len(forms) >= _TRIAL_PACKETS - 2  # a decoder may hold some back


def _recognised(source: Source, name: str | None = None) -> InputContainer:
    return av.open(
        source,
        mode="r",
        format=name,
        container_options={"format_whitelist": CONTAINERS, "codec_whitelist": CODECS},
        metadata_errors="replace",
    )


def probe(file: AudioFile) -> AudioInfo:
    """Read the header only.

    Raises:
        Rejected: empty file, not audio, or no audio stream.
        OSError: the file could not be read.
    """
    with opened(file) as found:
        return found.info


def error_text(error: av.FFmpegError) -> str:
    """FFmpeg's message for an error.

    Raises `MemoryError` for a lack of memory. That is not damage of the recording: without its
    rest, it would pass for a shorter one.
    """
    if error.errno == errno.ENOMEM:
        raise MemoryError
    return error.strerror or type(error).__name__


def _best_stream(container: InputContainer, passed_over: frozenset[int]) -> AudioStream:
    """The stream that the ffmpeg command selects: a default stream, then the most channels."""
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise Rejected(
            Reason.NO_AUDIO_STREAM,
            f"{container.format.name} with no audio stream (it has: {', '.join(kinds) or 'none'})",
        )
    # Without a decoder a stream has no codec context.
    streams = [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None
        and stream.codec_context.codec.name in CODECS.split(",")
        and stream.index not in passed_over
    ]
    if not streams:
        raise Rejected(
            Reason.NOT_AUDIO,
            f"{container.format.name} with an audio codec that cannot be decoded here",
        )
    return max(
        streams,
        key=lambda stream: (
            stream.sample_rate > 0,
            Disposition.default in stream.disposition,
            stream.channels,
        ),
    )


def _info(container: InputContainer, stream: AudioStream) -> AudioInfo:
    duration_s = None
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / av.time_base
    return AudioInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        duration_s=duration_s,
    )
