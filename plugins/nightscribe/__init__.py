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
    from nightscribe.evaluating import evaluate
    from nightscribe.export.formats import WordOptions, render
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.reading import connect, read
    from nightscribe.lake.tables import Lake
    from nightscribe.recordings import open_recording
    from nightscribe.settings import Settings
    from nightscribe.stages.night import Night, run
    from nightscribe.stages.order import Order
    from nightscribe.transcribing import transcribe
    from nightscribe.whisper.contract import Failure, LoadedModel, Transcript
    from nightscribe.whisper.engines import load_model

__all__ = [
    "Failure",
    "Lake",
    "LoadedModel",
    "Night",
    "NightscribeError",
    "Order",
    "Rejected",
    "Settings",
    "Transcript",
    "WordOptions",
    "connect",
    "evaluate",
    "load_model",
    "open_lake",
    "open_recording",
    "read",
    "render",
    "run",
    "transcribe",
]

__version__ = "0.1.0"

_MODULES = {
    "Failure": "whisper.contract",
    "Lake": "lake.tables",
    "LoadedModel": "whisper.contract",
    "Night": "stages.night",
    "NightscribeError": "errors",
    "Order": "stages.order",
    "Rejected": "errors",
    "Settings": "settings",
    "Transcript": "whisper.contract",
    "WordOptions": "export.formats",
    "connect": "lake.reading",
    "evaluate": "evaluating",
    "load_model": "whisper.engines",
    "open_lake": "lake.opening",
    "open_recording": "recordings",
    "read": "lake.reading",
    "render": "export.formats",
    "run": "stages.night",
    "transcribe": "transcribing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
