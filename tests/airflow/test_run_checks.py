"""What a run refuses before it reads or writes anything, and which run has nothing to do.

The bodies of the tasks run in this process, with the values that Airflow gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from nightscribe.airflow import form
from nightscribe.airflow.maintenance import run_maintain
from nightscribe.airflow.reviews import run_commit_reviews
from nightscribe.airflow.tasks import check_run, run_plan, run_publish, run_scan
from nightscribe.airflow.upload import ingest_upload

NIGHTLY = {
    "archives": form.archives(),
    "datasets": form.datasets(),
    **form.transcription(),
    "limit": form.limit(),
}
TURBO_IS_NOT_HERE = {"model": "turbo"}

Body = Callable[[Mapping[str, Any], Any], Any]


def _scan(conf: Mapping[str, Any], run_type: str = "manual") -> Any:
    params, dag, dag_run = _given(conf, run_type)
    return run_scan(params, "run", dag, dag_run)


def _plan(conf: Mapping[str, Any], run_type: str = "manual") -> Any:
    params, dag, dag_run = _given(conf, run_type)
    return run_plan(params, "run", dag, dag_run, None)


def _publish(conf: Mapping[str, Any], run_type: str = "manual") -> Any:
    params, _, dag_run = _given(conf, run_type)
    return run_publish(params, "run", dag_run)


def _check(conf: Mapping[str, Any], run_type: str = "manual") -> Any:
    params, _, dag_run = _given(conf, run_type)
    ti = SimpleNamespace(dag_id="transcribe_archives", get_ti_count=lambda **_: 0)
    return check_run(params, "run", dag_run, ti)


def _given(conf: Mapping[str, Any], run_type: str) -> tuple[dict[str, Any], Any, Any]:
    params = {name: param.value for name, param in NIGHTLY.items()} | dict(conf)
    return params, SimpleNamespace(params=NIGHTLY), SimpleNamespace(conf=conf, run_type=run_type)


@pytest.fixture
def archive(
    samples: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[str]]:
    """The `conf` that names an archive; the lake does not exist yet, and models have a folder."""
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_MODEL", "demo")
    monkeypatch.setenv("NIGHTSCRIBE_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("NIGHTSCRIBE_UPLOADS", str(samples))
    monkeypatch.delenv("NIGHTSCRIBE_ARCHIVES", raising=False)
    # Nothing answers there: a server that cannot be reached, on every machine.
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    return {"archives": [str(samples / "german")]}


WRONG = {
    "key": ({"modle": "demo"}, r"'modle'.*did you mean 'model'"),
    "keys": ({"lang": "de", "x": 1}, "'lang'.*'x'"),
    "model": ({"model": "larg-v3"}, "no model 'larg-v3'.*did you mean 'large-v3'"),
    "model path": ({"model": "/no/such/model.pt"}, r"no model '/no/such/model\.pt'"),
    "model folder": ({"model": "/tmp"}, "/tmp holds no model"),
    "absent model": (TURBO_IS_NOT_HERE, r"'turbo' is not at .*turbo\.pt and its server"),
    "language": ({"language": "germn"}, "language 'germn'.*did you mean 'german'"),
    "language code": ({"language": "xx"}, "language 'xx'"),
    "language of the model": (
        {"model": "tiny", "language": "yue"},
        "tiny does not know.*Cantonese",
    ),
    "English model": ({"model": "tiny.en", "language": "de"}, "tiny.en knows English only"),
    "task": ({"task": "sing"}, "task 'sing'"),
    "task of the model": ({"model": "turbo", "task": "both"}, "was not trained to translate"),
    "option": ({"options": {"beam": 5}}, "unknown option 'beam'.*did you mean 'beam_size'"),
    "value": ({"options": {"beam_size": "many"}}, "option beam_size is 'many'"),
    "token": ({"model": "tiny", "options": {"suppress_tokens": "51865"}}, "no token 51865"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("body", [_scan, _plan])
def test_what_is_wrong_is_refused_before_anything_is_read_and_not_tried_again(
    name: str, body: Body, archive: dict[str, list[str]], tmp_path: Path
) -> None:
    """Also by `plan`, which runs after `scan` has failed."""
    conf, sentence = WRONG[name]
    with pytest.raises(AirflowFailException, match=sentence):
        body({**archive, **conf})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("NIGHTSCRIBE_DEVICE", "gpu", "NIGHTSCRIBE_DEVICE=gpu: choose"),
        ("NIGHTSCRIBE_DEVICE", "cuda:x", "NIGHTSCRIBE_DEVICE=cuda:x: choose"),
        ("NIGHTSCRIBE_DEVICE", "cuda:99", "device 'cuda:99'"),
        ("NIGHTSCRIBE_PRECISION", "float16", "precision 'float16' is for graphics cards"),
    ],
)
def test_a_device_that_cannot_be_is_refused_by_scan(
    variable: str,
    value: str,
    sentence: str,
    archive: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_DEVICE", "cpu")
    monkeypatch.setenv(variable, value)
    with pytest.raises(AirflowFailException, match=sentence):
        _scan(archive)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("executor", ["CeleryExecutor", "LocalExecutor,CeleryExecutor"])
def test_a_worker_elsewhere_may_have_what_this_machine_lacks(
    executor: str,
    archive: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setenv("NIGHTSCRIBE_DEVICE", "cuda:99")
    assert len(_scan({**archive, **TURBO_IS_NOT_HERE})) == 1
    assert "workers of the queue gpu must have it" in caplog.text


@pytest.mark.parametrize("body", [_scan, _plan, _publish, _check])
@pytest.mark.parametrize("conf", [{}, {"archives": []}, {"archives": [" "]}])
def test_a_scheduled_run_without_archives_is_skipped(
    body: Callable[..., Any],
    conf: dict[str, Any],
    archive: dict[str, list[str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(AirflowSkipException, match="set NIGHTSCRIBE_ARCHIVES"):
        body(conf, "scheduled")
    assert "this scheduled run does nothing" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run_type", ["manual", "backfill", "asset_triggered"])
@pytest.mark.parametrize("body", [_scan, _plan])
def test_a_run_that_a_person_starts_without_archives_fails(
    body: Callable[..., Any], run_type: str, archive: dict[str, list[str]]
) -> None:
    with pytest.raises(AirflowFailException, match="no archive to transcribe"):
        body({}, run_type)


def test_a_scheduled_run_with_an_archive_that_is_not_there_fails(
    archive: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVES", "/no/such/archive")
    with pytest.raises(AirflowFailException, match="no such archive"):
        _scan({}, "scheduled")


@pytest.mark.parametrize("name", ["key", "model", "language", "task", "option"])
def test_an_upload_is_refused_for_the_same_mistakes(
    name: str, archive: dict[str, list[str]], samples: Path, tmp_path: Path
) -> None:
    conf, sentence = WRONG[name]
    conf = {"uri": str(samples / "german" / "de-01.flac"), **conf}
    dag = SimpleNamespace(params={"uri": "", **form.transcription()})
    with pytest.raises(AirflowFailException, match=sentence):
        ingest_upload(conf, "run", dag, SimpleNamespace(conf=conf))
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_the_maintenance_takes_no_parameter_and_counts(
    archive: dict[str, list[str]], tmp_path: Path
) -> None:
    dag = SimpleNamespace(params={})
    with pytest.raises(AirflowFailException, match="'force'; the DAG has no parameters"):
        run_maintain({}, "run", dag, SimpleNamespace(conf={"force": 1}))
    assert list(tmp_path.iterdir()) == []
    done = run_maintain({}, "run", dag, SimpleNamespace(conf={}))
    assert set(done.values()) == {0}  # of a new lake


def test_a_run_of_the_reviews_takes_no_parameter(
    archive: dict[str, list[str]], tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match="'force'; the DAG has no parameters"):
        run_commit_reviews(
            {}, "run", SimpleNamespace(params={}), SimpleNamespace(conf={"force": 1})
        )
    assert list(tmp_path.iterdir()) == []
