"""The ids of runs, and the names of their folders in the lake."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from nightscribe.lake.specs import SPECS

__all__ = ["CLI_RUN", "new_run_id", "work_folder"]

CLI_RUN = "cli__"
"""How the id of a run begins that Airflow did not start."""


def new_run_id() -> str:
    """The id of a run that Airflow did not start."""
    return f"{CLI_RUN}{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def work_folder(run_id: str) -> str:
    """The folder of a run's specs, relative to the lake: its id as a valid path, and a digest."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id).strip("-.")[:80]
    return f"{SPECS}/{slug}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
