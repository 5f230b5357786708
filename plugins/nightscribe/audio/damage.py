"""What is wrong with a recording that can still be used: counted on the way, told in one line."""

from __future__ import annotations

from dataclasses import dataclass

from nightscribe.audio.containers import Opened

__all__ = ["Damage"]

# Containers whose header states the duration; elsewhere FFmpeg guesses it from a bit rate.
_STATES_DURATION = frozenset(
    {"aiff", "au", "caf", "flac", "matroska", "mov", "mp3", "ogg", "w64", "wav"}
)
# What a header may promise beyond what is decoded: encoder delay and padding, rounding.
_MISSING_S = 0.25
# Time stamps of live recordings jitter by some packets, and a packet is about 20 ms.
_GAP_S = 0.05


@dataclass
class Damage:
    """What decoding has found so far. All places are in seconds of decoded audio."""

    bad_packets: int = 0
    first_bad_s: float = 0.0
    last_error: str = ""
    missing_s: float = 0.0  # that the time stamps jump over
    first_gap_s: float = 0.0
    stopped: str | None = None  # why the container could not be read to its end

    def note_bad_packet(self, at_s: float, error: str) -> None:
        if not self.bad_packets:
            self.first_bad_s = at_s
        self.bad_packets += 1
        self.last_error = error

    def note_gap(self, at_s: float, gap_s: float) -> None:
        """Note a jump of the time stamps, unless it is short enough to be jitter."""
        if gap_s <= _GAP_S:
            return
        if not self.missing_s:
            self.first_gap_s = at_s
        self.missing_s += gap_s

    def warning(self, recording: Opened, decoded_s: float) -> str | None:
        """One line once decoding has come to its end; None if nothing is wrong."""
        found = []
        if self.bad_packets:
            found.append(
                f"{self.bad_packets} damaged packet{'s' if self.bad_packets > 1 else ''} skipped, "
                f"the first at about {self.first_bad_s:.1f} s"
            )
        if self.missing_s:
            found.append(
                f"{self.missing_s:.2f} s missing, the first at about {self.first_gap_s:.1f} s"
            )
        if self.stopped:
            found.append(f"reading stopped at {decoded_s:.1f} s: {self.stopped}")
        elif recording.missing_bytes:
            found.append(
                f"cut short at {decoded_s:.1f} s: {recording.missing_bytes} bytes that the "
                "header states are not there"
            )
        elif self._is_cut_short(recording, decoded_s):
            found.append(
                f"cut short: {decoded_s:.1f} s could be decoded of the "
                f"{recording.info.duration_s:.1f} s that the header states"
            )
        return "; ".join(found) or None

    def _is_cut_short(self, recording: Opened, decoded_s: float) -> bool:
        stated_s = recording.info.duration_s
        if stated_s is None or _STATES_DURATION.isdisjoint(recording.info.container.split(",")):
            return False
        if recording.stream.duration is None and len(recording.container.streams) > 1:
            return False  # the duration of the whole, and a picture may outlast the sound
        if recording.info.container == "mp3":
            # Without a header for variable bit rates, the duration is a guess from the file's size.
            size = recording.container.size
            if abs(stated_s * (recording.stream.bit_rate or 0) / 8 - size) < size / 50:
                return False
        return stated_s - decoded_s - self.missing_s > _MISSING_S
