"""Task of the DAG `commit_reviews`."""

from __future__ import annotations

import logging

from nightscribe.airflow.tasks import lake_of
from nightscribe.errors import NightscribeError
from nightscribe.settings import Settings
from nightscribe.stages.reviews import commit_reviews

__all__ = ["run_commit_reviews"]

log = logging.getLogger(__name__)


def run_commit_reviews(run_id: str) -> dict[str, int]:
    """Commit the decisions of reviewers. Returns counts.

    Raises:
        NightscribeError: some files hold no decision. The others are committed.
    """
    settings = Settings()
    committed = commit_reviews(lake_of(settings), settings, run_id)
    log.info(committed.summary())
    if committed.unreadable:
        raise NightscribeError("; ".join(committed.unreadable))
    return {"corrections": committed.corrections, "reviews": committed.reviews}
