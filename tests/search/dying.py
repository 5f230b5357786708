"""A build in a process of its own that is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from nightscribe.lake.tables import Lake
from nightscribe.search import building


def die_while_building(lake: str, folder: str, moment: str) -> None:
    """Build, and be killed when this function of the builder is called."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(building, moment, die)
    building.build(Lake(lake), Path(folder))
