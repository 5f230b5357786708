"""Nightscribe: from audio archives to transcript tables.

The library behind the DAGs and the command line. The packages follow the data: `archives` finds
recordings, `audio` decodes them, `whisper` transcribes them, `lake` commits the transcripts and
`export` writes files; `stages` combines them into a nightly run. Everything but
`nightscribe.airflow` can be imported without Airflow.

`__all__` lists the public names. Each is imported at its first use, so that importing the package
is fast: Airflow does it every few seconds.

>>> from nightscribe import Settings
>>> Settings(lake="/data/lake").lake
'/data/lake'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightscribe.errors import NightscribeError, Rejected
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.reading import connect, read
    from nightscribe.lake.tables import Lake
    from nightscribe.recordings import open_recording
    from nightscribe.settings import Settings
    from nightscribe.stages.night import Night, run
    from nightscribe.stages.order import Order

__all__ = [
    "Lake",
    "Night",
    "NightscribeError",
    "Order",
    "Rejected",
    "Settings",
    "connect",
    "open_lake",
    "open_recording",
    "read",
    "run",
]

__version__ = "0.1.0"

_MODULES = {
    "Lake": "lake.tables",
    "Night": "stages.night",
    "NightscribeError": "errors",
    "Order": "stages.order",
    "Rejected": "errors",
    "Settings": "settings",
    "connect": "lake.reading",
    "open_lake": "lake.opening",
    "open_recording": "recordings",
    "read": "lake.reading",
    "run": "stages.night",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
