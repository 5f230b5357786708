"""The `conf` that a run was triggered with, compared with what its DAG knows.

Airflow validates the values of the parameters that a DAG declares, and nothing else: its schemas
are per parameter, and a key that the DAG does not declare becomes one more parameter, without a
schema (`process_params` of the task SDK). So a misspelt key would leave the parameter that it means
at its default. The first task of a run refuses it, however the run was triggered: by the form, the
command line, the REST API, or another DAG.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nightscribe.errors import ConfigurationError
from nightscribe.nearest import did_you_mean

__all__ = ["check_conf"]


def check_conf(
    conf: Mapping[str, Any] | None, known: Iterable[str], params: Mapping[str, Any]
) -> None:
    """Raise `ConfigurationError` for a key that the DAG does not know, or that Airflow ignores.

    Args:
        conf: what the run was triggered with
        known: the parameters that the DAG declares
        params: the values that Airflow gives to the task
    """
    known = list(known)
    unknown = sorted(str(key) for key in conf or {} if key not in known)
    if unknown:
        named = ", ".join(f"{key!r}{did_you_mean(key, known)}" for key in unknown)
        knows = f"knows {', '.join(known)}" if known else "has no parameters"
        raise ConfigurationError(
            f"the run was triggered with a key that its DAG does not know: {named}; the DAG "
            f"{knows}; nothing was read: trigger a new run"
        )
    ignored = sorted(key for key, value in (conf or {}).items() if params.get(key) != value)
    if ignored:
        raise ConfigurationError(
            "Airflow ignores the parameters that the run was triggered with: "
            f"{', '.join(ignored)}; set AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS=True"
        )
