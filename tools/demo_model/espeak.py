"""espeak-ng as a library: text → samples, with the time of every phoneme and word.

The shared library speaks at about a thousand times real time. Unlike the `espeak-ng` command, it
reports when each phoneme begins. Its interface is `speak_lib.h` of espeak-ng 1.51 (Debian:
`libespeak-ng1`, with the voices of `espeak-ng-data`).
"""

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS = 2  # pass samples to the callback; calls return when the speech is complete
_PHONEME_EVENTS = 1
_UTF8, _NO_END_PAUSE = 0x01, 0x1000
_RATE, _PITCH, _RANGE = 1, 3, 4
_WORD, _PHONEME = 1, 7


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Spoken:
    """A spoken sentence: mono samples from -1 to 1 at `rate` Hz, and the starts of its parts."""

    samples: NDArray[np.float32]
    rate: int
    phonemes: list[tuple[int, str]]  # (first sample, phoneme)
    words: list[tuple[int, int, int]]  # (first sample, first character, number of characters)


class Espeak:
    """The synthesizer. There is one per process, since the library has global state."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise RuntimeError(
                "libespeak-ng.so.1 cannot be loaded: install espeak-ng "
                "(Debian and Ubuntu: apt-get install espeak-ng)"
            ) from error
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng did not start: is espeak-ng-data installed?")
        self._chunks: list[NDArray[np.int16]] = []
        self._phonemes: list[tuple[int, str]] = []
        self._words: list[tuple[int, int, int]] = []
        self._callback = _Callback(self._take)  # keeps it alive: the library has only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                self._phonemes.append((event.sample, event.id.string.decode("utf-8", "replace")))
            elif event.type == _WORD and event.length:
                self._words.append((event.sample, event.text_position - 1, event.length))
            index += 1
        return 0

    def speak(self, text: str, voice: str, *, rate: int, pitch: int, spread: int) -> Spoken:
        """Speak a text.

        Args:
            voice: name with variant, such as `fr-be+f3`
            rate: words per minute
            pitch: 0 to 99
            spread: range of the pitch, 0 to 99

        Raises:
            RuntimeError: the voice is not installed.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, spread)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks, self._phonemes, self._words = [], [], []
        encoded = text.encode()
        self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, 1, 0, _UTF8 | _NO_END_PAUSE, None, None
        )
        pcm = np.concatenate(self._chunks).astype(np.float32) / 32768
        return Spoken(pcm, self.rate, self._phonemes, self._words)


@cache
def espeak() -> Espeak:
    """The synthesizer of this process."""
    return Espeak()
