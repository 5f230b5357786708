"""What files of a deployment may name: commands, options, settings, queues and pools.

Each is asked of the program that reads it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.compose_file import REPOSITORY

__all__ = [
    "airflow_environment",
    "airflow_options",
    "nightscribe_settings",
    "parse_airflow_commands",
    "parse_nightscribe_command",
    "queues_and_pools",
]


def airflow_environment(environment: Mapping[str, object], home: Path) -> dict[str, str]:
    """Variables for a process of Airflow with the settings of a deployment and a home folder."""
    path = os.pathsep.join([f"{REPOSITORY}/plugins", f"{REPOSITORY}", *sys.path])
    settings = {name: str(value) for name, value in environment.items()}
    return os.environ | settings | {"AIRFLOW_HOME": str(home), "PYTHONPATH": path}


def parse_airflow_commands(lines: list[list[str]], environment: dict[str, str]) -> None:
    """Let Airflow's own parser read commands, without the word `airflow`.

    In a process of its own: the parser reads the configuration.
    """
    program = """
import json, sys
from airflow.cli.cli_parser import get_parser
for words in json.load(sys.stdin):
    arguments = get_parser().parse_args(words)
    assert callable(arguments.func), words
"""
    subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(lines),
        text=True,
        check=True,
        env=environment,
    )


def parse_nightscribe_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the parser of `nightscribe` takes a command, without the word itself."""
    from nightscribe import cli

    for name in cli.COMMANDS:
        module = importlib.import_module(f"nightscribe.cli.{name}")
        monkeypatch.setattr(module, "execute", lambda arguments: 77)
    try:
        return cli.main(words) == 77
    except SystemExit:
        return False


def airflow_options() -> set[str]:
    """The environment variables of all options of Airflow and its Celery executor."""
    import airflow.config_templates
    from airflow.providers.celery.get_provider_info import get_provider_info

    folder = Path(airflow.config_templates.__file__).parent
    options = yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))
    options |= get_provider_info()["config"]
    known = {
        f"AIRFLOW__{section}__{key}".upper()
        for section, content in options.items()
        for key in content["options"]
    }
    # Airflow reads this one and lists it nowhere.
    unlisted = "num_stuck_in_queued_retries"
    scheduler = Path(airflow.__file__).parent / "jobs" / "scheduler_job_runner.py"
    assert f'key="{unlisted}"' in scheduler.read_text(encoding="utf-8")
    return known | {f"AIRFLOW__SCHEDULER__{unlisted.upper()}"}


def nightscribe_settings() -> set[str]:
    """The environment variables of all settings of Nightscribe."""
    from nightscribe.settings import ArchiveLimits, Settings

    known = {f"NIGHTSCRIBE_{field.upper()}" for field in Settings.model_fields}
    return known | {f"NIGHTSCRIBE_ARCHIVE_{field.upper()}" for field in ArchiveLimits.model_fields}


def queues_and_pools(environment: dict[str, str]) -> tuple[set[str], set[str]]:
    """Queues and pools of the tasks. The DAGs are loaded as the dag-processor loads them."""
    program = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
tasks = [task for dag in bag.dags.values() for task in dag.tasks]
print("\\n" + json.dumps([bag.import_errors, [[task.queue, task.pool] for task in tasks]]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    errors, tasks = json.loads(answer.stdout.splitlines()[-1])
    assert not errors
    assert tasks
    return {queue for queue, _ in tasks}, {pool for _, pool in tasks}
