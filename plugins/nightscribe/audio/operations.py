"""The operations that a worker process can run on a recording."""

from __future__ import annotations

import os
import resource
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, ClassVar, Generic, TypeVar

from nightscribe.audio.containers import AudioFile, AudioInfo
from nightscribe.audio.decode import Inspected, inspect
from nightscribe.audio.sandbox import confined
from nightscribe.audio.stored import Samples, Stored, decode_to
from nightscribe.audio.waveform import Waveform
from nightscribe.errors import AudioWarning, WarningKind, warning_text

__all__ = ["Decoding", "Inspection", "Operation", "Trial"]

Result = TypeVar("Result")


class Operation(ABC, Generic[Result]):
    """Work that is the same for every recording. It is pickled, so its fields are plain values."""

    writes: ClassVar[bool] = False
    """Whether `run` gets a file to write to."""

    @abstractmethod
    def run(self, encoded: AudioFile, out: BinaryIO | None) -> Any:
        """Do the work, in a worker. The return value is sent as JSON and must be small."""

    @abstractmethod
    def result(self, answer: Any, out: BinaryIO | None) -> Result:
        """The result, from what `run` has returned and written; called in the parent process."""


@dataclass(frozen=True)
class Inspection(Operation[Inspected]):
    """Decode to the end without keeping samples: see `decode.inspect`."""

    min_duration_s: float = 0.0
    max_duration_s: float | None = None

    def run(self, encoded: AudioFile, out: BinaryIO | None) -> dict[str, Any]:
        found = inspect(
            encoded, min_duration_s=self.min_duration_s, max_duration_s=self.max_duration_s
        )
        return asdict(found)

    def result(self, answer: Any, out: BinaryIO | None) -> Inspected:
        warnings = tuple(
            AudioWarning(WarningKind(warning["kind"]), warning["detail"], warning["missing_s"])
            for warning in answer["warnings"]
        )
        waveform = Waveform(**answer["waveform"])
        return Inspected(AudioInfo(**answer["info"]), answer["duration_s"], warnings, waveform)


@dataclass(frozen=True)
class Decoding(Operation[Samples]):
    """Decode to 16-bit samples in a file."""

    writes: ClassVar[bool] = True

    def run(self, encoded: AudioFile, out: BinaryIO | None) -> str | None:
        assert out is not None
        return warning_text(decode_to(out, encoded))

    def result(self, answer: Any, out: BinaryIO | None) -> Samples:
        assert out is not None
        return Samples(Stored(out), answer)


@dataclass(frozen=True)
class Trial(Operation[dict[str, Any]]):
    """Try to open a file and a socket, instead of decoding: see `confinement`."""

    def run(self, encoded: AudioFile, out: BinaryIO | None) -> dict[str, Any]:
        found = confined()
        return {
            **({} if found is None else asdict(found)),
            "files": _possible(lambda: os.close(os.open(os.__file__, os.O_RDONLY))),
            "network": _possible(lambda: socket.socket().close()),
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        }

    def result(self, answer: Any, out: BinaryIO | None) -> dict[str, Any]:
        return dict(answer)


def _possible(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True
