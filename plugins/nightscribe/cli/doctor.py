"""Examine whether this machine could run the configured night, and say what to do if not.

Examines archives, lake, model, device, memory, decoder, temporary folder and Airflow. It reads the
first entries of each archive, writes one file into the lake and removes it. A flag overrides its
setting, named in parentheses. Exits with 1 if a line says FAIL.

examples:
  nightscribe doctor
  nightscribe doctor --archives /data/radio --lake /data/lake --model large-v3
  nightscribe doctor --verify --json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

import nightscribe
from nightscribe.cli.arguments import add_night, settings_of
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings, invalid_variables

if TYPE_CHECKING:
    from nightscribe.stages.findings import Check, Finding

_LIMIT_S = 45.0  # for a busy machine; one that is not takes a few seconds
_VERIFY_S = 600.0  # hashing a model on a slow disk
_INDENT = " " * 22


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the night would use, and how to report."""
    add_night(parser)
    parser.add_argument("--verify", action="store_true", help="hash the model's file too: slow")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def execute(arguments: argparse.Namespace) -> int:
    """Print one line per finding; returns 1 if the night could not run."""
    from nightscribe.stages.findings import State, examine, fail

    findings = []
    try:
        settings = _settings(arguments)
    except ValidationError as error:
        remedy = "correct or unset the variable"
        findings = [fail("settings", found, remedy) for found in invalid_variables(error)]
        checks = _checks_of_machine()
    except ConfigurationError as error:
        findings = [fail("settings", str(error), "")]
        checks = _checks_of_machine()
    else:
        checks = _checks_of_machine() + _checks_of_night(settings, arguments.verify)
    findings += examine(checks, _VERIFY_S if arguments.verify else _LIMIT_S)
    ready = all(finding.state is not State.FAIL for finding in findings)
    if arguments.json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"ready": ready, "findings": rows}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            print(_line(finding))
        print("the night can run" if ready else "the night cannot run: see the lines with FAIL")
    return 0 if ready else 1


def _settings(arguments: argparse.Namespace) -> Settings:
    chosen = {
        "archives": tuple(arguments.archives) if arguments.archives else None,
        "lake": arguments.lake,
        "model": arguments.model,
        "task": arguments.task,
    }
    given = {name: value for name, value in chosen.items() if value}
    return settings_of(arguments).model_copy(update=given)


def _checks_of_machine() -> list[Check]:
    from nightscribe.stages import machine_checks, night_checks
    from nightscribe.stages.findings import Check

    reinstall = "install Nightscribe again, with its constraints.txt"
    room = "make room, or set TMPDIR to a folder that this user may write"
    return [
        Check("machine", machine_checks.machine_findings, reinstall),
        Check("decoder", machine_checks.decoder_findings, reinstall),
        Check("temp", night_checks.temporary_findings, room),
    ]


def _checks_of_night(settings: Settings, verify: bool) -> list[Check]:
    from nightscribe.stages import machine_checks, night_checks
    from nightscribe.stages.findings import Check

    lake = partial(night_checks.lake_findings, settings.lake, settings.lake_conn_id)
    return [
        Check("settings", partial(night_checks.order_findings, settings), "correct the setting"),
        *(
            Check(
                "archive",
                partial(night_checks.archive_findings, uri),
                f"check that {uri} is mounted and reachable",
            )
            for uri in settings.archives
        ),
        Check("lake", lake, f"check the credentials of {settings.lake}, and that it is reachable"),
        Check(
            "model",
            partial(machine_checks.model_findings, settings, verify=verify),
            f"nightscribe models verify {settings.model}",
        ),
        Check(
            "device",
            partial(machine_checks.device_findings, settings),
            "choose another --device or --precision",
        ),
        Check("airflow", _airflow, "see the error; `nightscribe run` works without Airflow"),
    ]


def _airflow() -> Iterator[Finding]:
    """Findings of `nightscribe.airflow.readiness`, which runs in a process of its own."""
    from nightscribe.stages.findings import Finding, State, ok, warn

    folder = str(Path(nightscribe.__file__).parents[1])
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nightscribe.airflow.readiness"],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S - 1,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield warn(
            "airflow",
            f"nothing is known of it after {_LIMIT_S - 1:.0f} s",
            "ask again when the machine is less busy; else Airflow's database does not answer",
        )
        return
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no output").splitlines()[-1])
    rows = json.loads(done.stdout.splitlines()[-1])
    if not rows:
        yield ok("airflow", "not set up here; `nightscribe run` works without it")
    for row in rows:
        yield Finding(row["name"], State(row["state"]), row["found"], row["remedy"])


def _line(finding: Finding) -> str:
    line = f"{finding.state.value:<5} {finding.name:<15} {finding.found}"
    return f"{line}\n{_INDENT}→ {finding.remedy}" if finding.remedy else line
