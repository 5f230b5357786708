"""Task of the DAG `maintain_lake`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nightscribe.airflow.failures import reported
from nightscribe.airflow.run_conf import check_conf
from nightscribe.airflow.tasks import lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.stages.maintain import maintain

__all__ = ["run_maintain"]

log = logging.getLogger(__name__)


@reported(ConfigurationError)
def run_maintain(params: Mapping[str, Any], run_id: str, dag: Any, dag_run: Any) -> dict[str, int]:
    """Maintain the lake. Returns counts. Raises `ConfigurationError` if parameters are given."""
    check_conf(dag_run.conf, dag.params, params)
    settings = Settings()
    done = maintain(lake_of(settings), settings, run_id, say=log.info)
    log.info(done.summary())
    return {
        "files_before": sum(one.before.files for one in done.tables),
        "files_after": sum(one.after.files for one in done.tables),
        "files_removed": sum(one.removed for one in done.tables) + done.files,
        "forgotten": done.forgotten,
        "orphans": sum(done.orphans.values()),
        "busy_tables": len(done.busy),
    }
