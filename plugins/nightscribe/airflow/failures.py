"""Why a task failed: whether a retry may help, and the reason, which the task `check` reports.

A task that fails leaves its reason as an XCom of its own. Airflow has no other place for it that
another task can read. Airflow removes the XComs of a task when it is tried again.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.settings import invalid_variables
from nightscribe.stages.outcome import NAMED

__all__ = ["FAILURE", "failures_of", "reported"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

FAILURE = "failure"
"""Key of the XCom with the reason."""

_LONGEST = 1000  # characters of one reason; the task's log has all of it
_NO_REASON = "it ended without a reason; it was killed, or ran out of memory: see its log"


def reported(
    *permanent: type[NightscribeError],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate the body of a task: leave the reason of a failure.

    An error of the `permanent` kinds fails the task at once: a retry would fail in the same way. So
    does a variable whose value is no setting.
    """

    def decorate(task: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(task)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

            try:
                return task(*args, **kwargs)
            except AirflowSkipException:
                raise
            except ValidationError as error:  # of a variable with a setting
                reason = "; ".join(invalid_variables(error))
                _leave(ConfigurationError(reason))
                raise AirflowFailException(reason) from error
            except BaseException as error:  # a time-out of Airflow is no `Exception`
                _leave(error)
                if isinstance(error, permanent):
                    raise AirflowFailException(str(error)) from error
                raise

        return run

    return decorate


def _leave(error: BaseException) -> None:
    from airflow.sdk import get_current_context

    is_ours = isinstance(error, NightscribeError)
    reason = str(error) if is_ours else f"{type(error).__name__}: {error}".removesuffix(": ")
    try:
        get_current_context()["ti"].xcom_push(FAILURE, reason[:_LONGEST])
    except Exception as second:  # the first error is the one to report
        log.info("the reason of the failure is in this log alone: %s", second)


def failures_of(ti: Any, run_id: str, order: Sequence[str]) -> list[str]:
    """The failed tasks of a run with their reasons; tasks with the same reason are one text.

    At most `NAMED` texts, and one for those beyond them.

    Args:
        ti: the running task instance
        order: the ids of the tasks that are named
    """
    failed = [
        one
        for one in ti.get_task_breadcrumbs(ti.dag_id, run_id)
        if one["state"] == "failed" and one["task_id"] in order
    ]
    failed.sort(key=lambda one: (order.index(one["task_id"]), one["map_index"]))
    tasks: dict[str, list[str]] = {}
    for one in failed:
        tasks.setdefault(_reason(ti, run_id, one), []).append(_name(one))
    texts = [f"{_joined(names)}: {reason}" for reason, names in tasks.items()]
    more = len(texts) - NAMED
    return texts[:NAMED] + ([f"{more:,} more reasons, in the logs"] if more > 0 else [])


def _joined(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _name(task: Mapping[str, Any]) -> str:
    index = task["map_index"]
    return task["task_id"] if index < 0 else f"{task['task_id']}[{index}]"


def _reason(ti: Any, run_id: str, task: Mapping[str, Any]) -> str:
    left = ti.xcom_pull(
        task_ids=task["task_id"], map_indexes=task["map_index"], key=FAILURE, run_id=run_id
    )
    return str(left) if left else _NO_REASON
