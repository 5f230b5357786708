"""Alerts: whom NIGHTSCRIBE_NOTIFIERS names is told of each failure once, with its reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nightscribe.airflow.alerts import NO_REASON, on_failure
from nightscribe.airflow.standalone import free_port
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from tests.airflow.notifying import Mailbox
from tests.waiting import until
from tools.airflow_api import AirflowApi

HERE = "tests.airflow.notifying"
TEXT = "{{ ti.dag_id }}.{{ ti.task_id }} {{ run_id }} {{ exception }}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alerts")


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


@pytest.fixture(scope="module")
def airflow(
    folder: Path,
    mailbox: Mailbox,
    make_archive: Callable[..., Path],
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> Iterator[AirflowApi]:
    """An Airflow whose nights are late, and which tells a file and sends mails of failures."""
    smtp = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    told = str(folder / "told")
    notifiers = [
        {"notifier": f"{HERE}.broken"},
        {"notifier": f"{HERE}.ToFile", "path": told, "text": TEXT},
        {"notifier": f"{HERE}.to_file", "path": told},
        {"notifier": smtp, "to": "operator@localhost", "subject": f"Nightscribe: {TEXT}"},
    ]
    environment = settings_of(
        folder / "lake",
        NIGHTSCRIBE_ARCHIVES=str(make_archive(folder / "archive", "german/de-01.flac")),
        NIGHTSCRIBE_NOTIFIERS=json.dumps(notifiers),
        NIGHTSCRIBE_DONE_BY="00:00",
        NIGHTSCRIBE_EXPECTED_RTFX="0.00001",  # so that a night of seconds is late
        AIRFLOW_CONN_SMTP_DEFAULT=mailbox.connection,
    )
    airflow = AirflowApi(folder / "airflow", free_port(), environment=environment)
    with without_settings():
        airflow.start()
    try:
        for dag_id in ("transcribe_archives", "commit_reviews", "transcribe_upload"):
            airflow.wait_for_dag(dag_id)
            airflow.unpause(dag_id)
        yield airflow
    finally:
        airflow.stop()


def told(folder: Path, run_id: str) -> list[list[str]]:
    """What was told of a run, in order."""
    lines = (folder / "told").read_text(encoding="utf-8").splitlines()
    return [[kind, text] for kind, text in map(json.loads, lines) if run_id in text]


def test_a_night_that_will_be_late_raises_an_alarm_while_it_goes_on(
    airflow: AirflowApi, folder: Path, mailbox: Mailbox
) -> None:
    run_id = airflow.trigger("transcribe_archives")
    assert airflow.wait_for_run("transcribe_archives", run_id, 120) == "success"
    [[first, rendered], [second, text]] = told(folder, run_id)
    assert (first, second) == ("notifier", "function")
    assert rendered == text
    assert text.startswith(f"transcribe_archives.forecast {run_id} ")
    assert "00:00" in text
    mail = until("a mail", lambda: next((m for m in mailbox.mails if run_id in m["Subject"]), None))
    assert mail["To"] == "operator@localhost"
    assert mail["From"] == "night@localhost"
    assert "transcribe_archives.forecast" in mail["Subject"]


def test_a_night_that_fails_raises_one_alarm_with_the_reason(
    airflow: AirflowApi, folder: Path
) -> None:
    run_id = airflow.trigger("transcribe_archives", {"archives": [str(folder / "absent")]})
    assert airflow.wait_for_run("transcribe_archives", run_id, 120) == "failed"
    [[_, text], _] = told(folder, run_id)
    assert text.startswith(f"transcribe_archives.check {run_id} ")
    assert str(folder / "absent") in text


def test_other_work_for_the_operator_raises_an_alarm_and_a_bad_upload_does_not(
    airflow: AirflowApi, folder: Path
) -> None:
    reviews = airflow.trigger("commit_reviews", {"force": True})
    upload = airflow.trigger("transcribe_upload", {"uri": str(folder / "absent.wav")})
    assert airflow.wait_for_run("commit_reviews", reviews, 120) == "failed"
    assert airflow.wait_for_run("transcribe_upload", upload, 120) == "failed"
    [[_, text], _] = told(folder, reviews)
    assert text.startswith(f"commit_reviews.commit {reviews} ")
    assert told(folder, upload) == []


def test_a_task_that_could_not_say_why_it_failed_is_told_of_too(tmp_path: Path) -> None:
    """As the DAG processor calls when the process of a task is gone."""
    path = str(tmp_path / "told")
    text = "{{ run_id }}: {{ exception }}"
    notifiers = ({"notifier": f"{HERE}.ToFile", "path": path, "text": text},)
    for callback in on_failure(Settings(notifiers=notifiers)):
        callback({"run_id": "a night"})
    assert json.loads(Path(path).read_text()) == ["notifier", f"a night: {NO_REASON}"]


def test_without_the_setting_nobody_is_told() -> None:
    assert on_failure(Settings()) == []


@pytest.mark.parametrize(
    ("notifier", "reason"),
    [
        ({"notifier": "no.such.Notifier"}, "no.such.Notifier cannot be imported (No module"),
        ({"notifier": f"{HERE}.Absent"}, "has no attribute 'Absent'"),
        ({"notifier": f"{HERE}.ToFile", "file": "x"}, "does not take these arguments: "),
        ({"notifier": f"{HERE}.to_file", "file": "x"}, "does not take these arguments: "),
        ({"notifier": f"{HERE}.to_file"}, "does not take these arguments: "),
        ({"notifier": "os.path.sep"}, "does not take these arguments: "),
        ({"notifier": "pathlib.Path"}, "neither a notifier of Airflow nor a function"),
    ],
    ids=["package", "name", "arguments", "of a function", "too few", "text", "class"],
)
def test_a_notifier_that_is_not_there_is_an_error_of_the_dag(
    notifier: dict[str, Any], reason: str, repository: Path
) -> None:
    with pytest.raises(ConfigurationError, match="NIGHTSCRIBE_NOTIFIERS: ") as raised:
        on_failure(Settings(notifiers=(notifier,)))
    assert reason in str(raised.value)
    # As Airflow's page shows it.
    environment = {**os.environ, "NIGHTSCRIBE_NOTIFIERS": json.dumps([notifier])}
    path = repository / "dags" / "maintain_lake.py"
    code = f"import runpy; runpy.run_path({str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert reason in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "value",
    ["mail me", "{}", "[1]", "[{}]", '[{"notifier": "Path"}]', '[{"notifier": "a b.c"}]'],
)
def test_a_value_that_is_no_list_of_notifiers_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_NOTIFIERS", value)
    with pytest.raises(ValueError, match=r"not JSON|expected a list of objects"):
        Settings()
