"""A trigger that starts the nightly DAG when files have arrived. It runs in Airflow's triggerer.

It only looks: Airflow's own file triggers delete what they find. Nothing is kept between two looks
but what was reported last. So a triggerer that starts anew may report once more what a run is
reading, and the run after that one finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

__all__ = ["ArrivalTrigger"]

log = logging.getLogger(__name__)


class ArrivalTrigger(BaseEventTrigger):
    """Reports files that no run has read yet, when two looks have found the same.

    A file that is still being written grows from look to look, and is reported once it has stopped.

    Args:
        archives: URIs
        every_s: seconds between two looks
    """

    def __init__(self, archives: Sequence[str], every_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.archives = list(archives)
        self.every_s = every_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow stores it."""
        place = f"{type(self).__module__}.{type(self).__qualname__}"
        return place, {"archives": self.archives, "every_s": self.every_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. What cannot be read is logged, and looked at again."""
        before = reported = None
        while True:
            found = await asyncio.to_thread(self._look)
            if found is not None and found == before and found != reported:
                reported = found
                yield TriggerEvent({"files": found[0]})  # type: ignore[no-untyped-call]
            before = found
            await asyncio.sleep(self.every_s)

    def _look(self) -> tuple[int, int] | None:
        """Number and fingerprint of the new files; None if there are none, or it is not known."""
        # DuckDB and the readers of archives are needed in the triggerer only.
        from nightscribe.credentials import storage_options
        from nightscribe.errors import NightscribeError
        from nightscribe.lake.opening import lake_exists, open_to_read
        from nightscribe.settings import Settings
        from nightscribe.stages.arrivals import arrivals

        settings = Settings()
        try:
            options = storage_options(settings.lake_conn_id)
            if not lake_exists(settings.lake, options):
                return 1, 0  # the first run makes it
            found = arrivals(open_to_read(settings.lake, options), self.archives)
        except NightscribeError as error:
            log.warning("whether files have arrived is not known: %s", error)
            return None
        return (found.files, found.fingerprint) if found.files else None
