"""The Airflow plugin: the pages below `/nightscribe`, the entry in Airflow's navigation, pools.

Every component of Airflow loads plugins, so this module imports nothing heavy. The applications are
made by the first request for one, in the API server.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

__all__ = ["POOLS_PREFIX", "PREFIX", "NightscribePlugin", "base_path"]

PREFIX = "/nightscribe"
"""Path of the pages in Airflow's web server."""

POOLS_PREFIX = "/nightscribe-pools"
"""Path at which a task asks for missing pools; see `nightscribe.airflow.pools`."""


def base_path() -> str:
    """The path of Airflow's address, such as `/airflow`; empty at the root of a host."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class _Lazy:
    """An application, made when it is first called."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            with self._lock:
                if self._app is None:
                    self._app = self._make()
        await self._app(scope, receive, send)


def _pages() -> Any:
    return importlib.import_module("nightscribe.airflow.pages").pages(base_path())


def _pools() -> Any:
    return importlib.import_module("nightscribe.airflow.pools").pools_of_a_task()


def _view(name: str, path: str, **more: Any) -> dict[str, Any]:
    icon = f"{base_path()}{PREFIX}/static/icon.svg"
    return {"name": name, "href": f"{base_path()}{PREFIX}{path}", "icon": icon, **more}


class NightscribePlugin(AirflowPlugin):
    """What Airflow reads of this plugin."""

    name = "nightscribe"
    fastapi_apps: list[Any] = [  # noqa: RUF012
        {"app": _Lazy(_pages), "url_prefix": PREFIX, "name": "Nightscribe"},
        {"app": _Lazy(_pools), "url_prefix": POOLS_PREFIX, "name": "Nightscribe pools"},
    ]
    external_views: list[Any] = [  # noqa: RUF012
        _view(
            "Nightscribe",
            "/",
            destination="nav",
            url_route="nightscribe",
            nav_top_level=True,
        ),
        _view(
            "Transcripts",
            "/runs/{DAG_ID}/{RUN_ID}",
            destination="dag_run",
            url_route="nightscribe_run",
        ),
        _view(
            "Transcripts",
            "/runs/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}",
            destination="task_instance",
            url_route="nightscribe_task",
        ),
    ]
