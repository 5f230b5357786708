"""Names of runs, and of their folders in the lake."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime


def new_run_id() -> str:
    """Name of a run that Airflow did not name."""
    return f"cli__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def work_folder(run_id: str) -> str:
    """Folder in the lake for the specs of a run: its id, made fit for a path, and a digest."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id).strip("-.")[:80]
    return f"_plans/{slug}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
