"""What Airflow calls when a task has failed for good, as NIGHTSCRIBE_NOTIFIERS says.

A DAG file asks for it when it is parsed, so that a notifier that is not there shows as an import
error of the DAG, and not as an alert that never comes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings

__all__ = ["NO_REASON", "on_failure"]

Callback = Callable[[Any], Any]

NO_REASON = "its process was killed, or was not heard of any more: see its log"
"""The `exception` of a task that could not say why it failed."""


def on_failure(settings: Settings) -> list[Callback]:
    """The callbacks of a task, each of which takes the task's context; none without the setting.

    Raises:
        ConfigurationError: a notifier cannot be imported, or does not take its arguments.
    """
    return [_with_reason(_made(one)) for one in settings.notifiers]


def _made(notifier: Mapping[str, Any]) -> Callback:
    """A notifier of Airflow with its arguments, or a function that gets them with the context."""
    arguments = dict(notifier)
    path: str = arguments.pop("notifier")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # whatever somebody else's module does
        raise ConfigurationError(
            f"NIGHTSCRIBE_NOTIFIERS: {path} cannot be imported ({error}); install its provider "
            "where DAGs are parsed and where tasks run, or correct the name"
        ) from error
    try:
        if isinstance(found, type):
            made: Callback = found(**arguments)
        else:
            made = functools.partial(found, **arguments)
            inspect.signature(made).bind({})  # with the context
    except Exception as error:
        raise ConfigurationError(
            f"NIGHTSCRIBE_NOTIFIERS: {path} does not take these arguments: {error}"
        ) from error
    if not callable(made):
        raise ConfigurationError(
            f"NIGHTSCRIBE_NOTIFIERS: {path} is neither a notifier of Airflow nor a function"
        )
    return made


def _with_reason(callback: Callback) -> Callback:
    """Sees to it that the context has an `exception`.

    If the process of a task is gone, the DAG processor calls, with a context that has none, and the
    templates of notifiers raise for what is not there.
    """

    @functools.wraps(callback, assigned=())
    def call(context: Any) -> Any:
        if context.get("exception") is None:
            context["exception"] = NO_REASON
        return callback(context)

    return call
