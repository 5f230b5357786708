"""Decode an open recording frame by frame, past its damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from nightscribe.audio.containers import Opened, error_text
from nightscribe.audio.damage import Damage
from nightscribe.audio.levels import Levels
from nightscribe.audio.samples import check_rate
from nightscribe.errors import AudioWarning, Reason, Rejected

__all__ = ["FrameDecoder"]


class FrameDecoder:
    """Decodes an open recording; counts its seconds, records its damage, measures its levels."""

    def __init__(self, recording: Opened, *, is_measured: bool = False) -> None:
        self._recording = recording
        self._damage = Damage()
        self.levels = Levels()
        self.decoded_s = Fraction(0)
        # A single mono stream has nothing that could be lost beside it.
        self._is_measured = (
            is_measured
            or recording.info.channels != 1
            or len(recording.container.streams.audio) > 1
        )

    def frames(self) -> Iterator[tuple[AudioFrame, float | None]]:
        """Decode frame by frame. Packets that cannot be decoded are skipped, as by ffmpeg, and
        recorded as damage.

        Frames have the codec's rate, layout and sample format.
        """
        expected_s: float | None = None
        for packet in self._packets():
            for frame in self._frames_of(packet):
                check_rate(frame)
                if frame.time is not None:
                    if expected_s is not None:
                        self._damage.note_gap(float(self.decoded_s), frame.time - expected_s)
                    expected_s = frame.time + frame.samples / frame.sample_rate
                self.decoded_s += Fraction(frame.samples, frame.sample_rate)
                yield frame, self.levels.add(frame) if self._is_measured else None
        if not self.decoded_s:
            raise self._nothing_decoded()

    def warnings(self) -> tuple[AudioWarning, ...]:
        """The flaws, after `frames` has ended."""
        damage = self._damage.warnings(self._recording, float(self.decoded_s))
        return damage + self.levels.warnings()

    def _nothing_decoded(self) -> Rejected:
        info, cause = self._recording.info, self._damage.stopped or self._damage.last_error
        return Rejected(
            Reason.NOT_AUDIO,
            f"{info.codec} in {info.container}, but no audio could be decoded"
            + (f": {cause}" if cause else ""),
        )

    def _packets(self) -> Iterator[av.Packet[AudioStream] | None]:
        """Yield the stream's packets; the last is empty or None, and flushes the decoder."""
        recording = self._recording
        packets = recording.container.demux(recording.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, IndexError) as error:
                # The rest of the container cannot be read, but the decoder may still hold audio.
                # PyAV raises IndexError if a damaged container adds a stream while it is read.
                self._damage.stopped = (
                    error_text(error) if isinstance(error, av.FFmpegError) else "its streams change"
                )
                recording.source.raise_error()
                yield None
                return
            recording.source.raise_error()
            if packet is None:
                return
            yield packet

    def _frames_of(self, packet: av.Packet[AudioStream] | None) -> list[AudioFrame]:
        try:
            frames = self._recording.stream.decode(packet)
        except av.FFmpegError as error:
            self._damage.note_bad_packet(float(self.decoded_s), error_text(error))
            return []
        return [frame for frame in frames if frame.samples]
