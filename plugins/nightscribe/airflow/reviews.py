"""Task of the DAG `commit_reviews`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nightscribe.airflow.failures import reported
from nightscribe.airflow.lineage import note_lineage
from nightscribe.airflow.run_conf import check_conf
from nightscribe.airflow.tasks import lake_of
from nightscribe.decisions import Decisions
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.settings import Settings
from nightscribe.stages.reviews import commit_reviews

__all__ = ["run_commit_reviews"]

log = logging.getLogger(__name__)


@reported(ConfigurationError)
def run_commit_reviews(
    params: Mapping[str, Any], run_id: str, dag: Any, dag_run: Any
) -> dict[str, int]:
    """Commit the decisions of reviewers. Returns counts.

    Raises:
        ConfigurationError: the run was triggered with parameters.
        NightscribeError: some files hold no decision. The others are committed.
    """
    check_conf(dag_run.conf, dag.params, params)
    settings = Settings()
    lake = lake_of(settings)
    committed = commit_reviews(lake, settings, run_id)
    log.info(committed.summary())
    note_lineage(lake, [str(Decisions.of(settings).folder)])
    if committed.unreadable:
        raise NightscribeError("; ".join(committed.unreadable))
    return {"corrections": committed.corrections, "reviews": committed.reviews}
