"""Damage of a recording that can still be used: recorded while decoding, reported in one line."""

from __future__ import annotations

from dataclasses import dataclass

from nightscribe.audio.containers import Opened
from nightscribe.errors import AudioWarning, WarningKind

__all__ = ["Damage"]

# Containers whose header states the duration. For others FFmpeg estimates it from the bit rate.
_STATES_DURATION = frozenset(
    {"aiff", "au", "caf", "flac", "flv", "matroska", "mov", "mp3", "ogg", "rm", "w64", "wav"}
)
# A header may state this much more than is decoded: encoder delay, padding, rounding.
_MISSING_S = 0.25
# Time stamps of live recordings jitter by a few packets of about 20 ms.
_GAP_S = 0.05


@dataclass
class Damage:
    """The damage found so far. All positions are in seconds of decoded audio."""

    bad_packets: int = 0
    first_bad_s: float = 0.0
    last_error: str = ""
    missing_s: float = 0.0  # sum of the gaps between time stamps
    first_gap_s: float = 0.0
    stopped: str | None = None  # why the rest of the container cannot be read

    def note_bad_packet(self, at_s: float, error: str) -> None:
        if not self.bad_packets:
            self.first_bad_s = at_s
        self.bad_packets += 1
        self.last_error = error

    def note_gap(self, at_s: float, gap_s: float) -> None:
        """Record a gap between time stamps, unless it is as short as jitter."""
        if gap_s <= _GAP_S:
            return
        if not self.missing_s:
            self.first_gap_s = at_s
        self.missing_s += gap_s

    def warnings(self, recording: Opened, decoded_s: float) -> tuple[AudioWarning, ...]:
        """All damage, after decoding has ended."""
        found = []
        if recording.skipped_bytes:
            detail = f"{recording.skipped_bytes} bytes in front of the audio are not audio"
            found.append(AudioWarning(WarningKind.BYTES_SKIPPED, detail, 0.0))
        if self.bad_packets:
            found.append(
                AudioWarning(
                    WarningKind.DAMAGED_PACKETS,
                    f"{self.bad_packets} damaged packet{'s' if self.bad_packets > 1 else ''} "
                    f"skipped, the first at about {self.first_bad_s:.1f} s",
                )
            )
        if self.missing_s:
            found.append(
                AudioWarning(
                    WarningKind.GAP,
                    f"{self.missing_s:.2f} s missing, the first at about {self.first_gap_s:.1f} s",
                    self.missing_s,
                )
            )
        stated_s = recording.info.duration_s
        cut_s = None if stated_s is None else max(0.0, stated_s - decoded_s - self.missing_s)
        if self.stopped:
            detail = f"reading stopped at {decoded_s:.1f} s: {self.stopped}"
            found.append(AudioWarning(WarningKind.STOPPED, detail, cut_s))
        elif recording.lengths.missing:
            detail = (
                f"cut short at {decoded_s:.1f} s: the file has {recording.lengths.missing} bytes "
                "fewer than its header states"
            )
            # FFmpeg derives the duration of a cut WAV from the bytes that are there.
            lacks_s = _seconds(recording, recording.lengths.missing)
            found.append(AudioWarning(WarningKind.CUT_SHORT, detail, lacks_s))
        elif not recording.lengths.trailing and self._is_cut_short(recording, decoded_s):
            detail = f"cut short: {decoded_s:.1f} s decoded, but the header states {stated_s:.1f} s"
            found.append(AudioWarning(WarningKind.CUT_SHORT, detail, cut_s))
        if recording.lengths.trailing:
            detail = (
                f"{recording.lengths.trailing} bytes behind the end that the header states are not "
                "decoded: another file joined to this one, or a header that was never completed"
            )
            lacks_s = _seconds(recording, recording.lengths.trailing)
            found.append(AudioWarning(WarningKind.TRAILING_BYTES, detail, lacks_s))
        return tuple(found)

    def _is_cut_short(self, recording: Opened, decoded_s: float) -> bool:
        stated_s = recording.info.duration_s
        if stated_s is None or _STATES_DURATION.isdisjoint(recording.info.container.split(",")):
            return False
        if recording.stream.duration is None and len(recording.container.streams) > 1:
            return False  # the container's duration; the video may be longer than the audio
        if recording.info.container == "mp3":
            # Without a variable-bit-rate header, the duration is estimated from the file's size.
            size = recording.container.size
            if abs(stated_s * (recording.stream.bit_rate or 0) / 8 - size) < size / 50:
                return False
        return stated_s - decoded_s - self.missing_s > _MISSING_S


def _seconds(recording: Opened, size_bytes: int) -> float | None:
    """How long this many bytes play at the stream's bit rate; None if that is unknown."""
    bit_rate = recording.stream.bit_rate
    return size_bytes * 8 / bit_rate if bit_rate else None
