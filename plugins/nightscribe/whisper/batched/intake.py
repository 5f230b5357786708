"""From requests to decoded recordings: how many are pulled, and when they are handed on.

Audio is decoded by worker processes, ahead of the engine or in turns with it. In turns, all audio
that was handed in is decoded before the engine computes again. Then the time at which a worker is
done does not decide which recordings share a batch, and so not the last digits of a result.
"""

from __future__ import annotations

from collections.abc import Iterable

from nightscribe.audio.stored import Samples
from nightscribe.audio.workers import Workers
from nightscribe.errors import Rejected
from nightscribe.whisper.contract import Request

__all__ = ["DecodedRequest", "Intake"]

DecodedRequest = tuple[Request, Samples | Rejected]
"""A request with its audio, or with the reason why it has none."""


class Intake:
    """Requests that are being decoded."""

    def __init__(self, requests: Iterable[Request], workers: Workers[Samples]) -> None:
        self._requests = iter(requests)
        self._workers = workers
        self._in_workers: dict[int, Request] = {}
        self._more = True

    @property
    def done(self) -> bool:
        """Whether all requests have been handed on."""
        return not self._more and not self._in_workers

    def pull(self, limit: int) -> list[tuple[Request, OSError]]:
        """Pull requests until `limit` are being decoded; returns those that cannot be read."""
        unreadable = []
        while self._more and len(self._in_workers) < limit and not self._workers.full:
            request = next(self._requests, None)
            if request is None:
                self._more = False
                break
            try:
                self._in_workers[self._workers.submit(request.audio)] = request
            except OSError as error:
                unreadable.append((request, error))
        return unreadable

    def decoded(self, *, wait_for_one: bool) -> list[DecodedRequest]:
        """Requests that are decoded by now; waits for one if none is and that is asked for."""
        finished = self._workers.finished(wait_for_one=wait_for_one)
        return [(self._in_workers.pop(number), outcome) for number, outcome in finished]

    def decode_all(self) -> list[DecodedRequest]:
        """Wait for everything that is being decoded; returns it in the order of the requests."""
        outcomes: dict[int, Samples | Rejected] = {}
        while len(outcomes) < len(self._in_workers):
            outcomes.update(self._workers.finished(wait_for_one=True))
        found = [(request, outcomes[number]) for number, request in self._in_workers.items()]
        self._in_workers.clear()
        return found
