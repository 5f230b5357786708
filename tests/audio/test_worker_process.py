"""What a worker process is started with: no credentials, and no code of the working folder."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

import nightscribe
from nightscribe.audio.operations import Decoding, Inspection
from nightscribe.audio.worker_process import Worker, environment
from nightscribe.audio.worker_program import READY
from nightscribe.audio.workers import Workers
from nightscribe.errors import NightscribeError, Rejected
from tests.nights import SAMPLES

CLIP = SAMPLES / "english" / "en-02.mp3"
LIBRARY = str(Path(nightscribe.__file__).parents[1])
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hidden-1",
    "AWS_SESSION_TOKEN": "hidden-2",
    "GOOGLE_APPLICATION_CREDENTIALS": "/hidden-3.json",
    "AIRFLOW_CONN_LAKE": "aws://hidden-4",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:hidden-5@127.0.0.1/airflow",
    "HF_TOKEN": "hidden-6",
    "PGPASSWORD": "hidden-7",
    "NIGHTSCRIBE_LAKE_CONN_ID": "hidden-8",
    "LANG_PASSWORD": "hidden-9",
}


def inspected() -> bool:
    with Workers(1, Inspection()) as workers:
        workers.submit(str(CLIP))
        [(_, outcome)] = workers.finished(wait_for_one=True)
    return not isinstance(outcome, Rejected)


@pytest.mark.parametrize("spelling", ["", ".", "absolute"])
def test_a_module_in_the_working_folder_is_not_run(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("av", "numpy", "pickle", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'was-run')!r}, 'a').write({name!r})\n"
        )
    monkeypatch.chdir(tmp_path)
    # As a program has it that was started with -c, -m or by its file's name.
    monkeypatch.syspath_prepend(str(tmp_path) if spelling == "absolute" else spelling)
    assert inspected()
    assert not (tmp_path / "was-run").exists()


def test_a_workers_environment_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    worker = Worker(60)
    try:
        assert worker.pipe.recv(99) == READY  # right after its start, it has no environment yet
        entries = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
    finally:
        worker.end()
    found = {os.fsdecode(entry.partition(b"=")[0]) for entry in entries if entry}
    assert found.isdisjoint(SECRETS)
    assert b"hidden" not in b"".join(entries)
    assert found >= {"LC_ALL", "PYTHONPATH"}


def test_what_decoding_depends_on_is_passed_on() -> None:
    given = {"TMPDIR": "/fast", "LD_LIBRARY_PATH": "/opt/lib", "PYTHONPATH": "/a"}
    found = environment(given, ["/b"])
    assert found.items() >= {"TMPDIR": "/fast", "LD_LIBRARY_PATH": "/opt/lib"}.items()
    assert found["PYTHONPATH"] == os.pathsep.join(["/b", LIBRARY])


def test_a_worker_has_one_thread_however_many_cores_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "4")
    worker = Worker(60)
    try:
        assert worker.pipe.recv(99) == READY
        assert len(os.listdir(f"/proc/{worker.process.pid}/task")) == 1
    finally:
        worker.end()


def test_pythons_path_keeps_its_order_without_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    path = ["", "/first", ".", str(tmp_path), str(tmp_path / "link"), "below", LIBRARY, "/last"]
    found = environment({}, path)["PYTHONPATH"].split(os.pathsep)
    assert found == ["/first", str(tmp_path / "below"), LIBRARY, "/last"]


def test_the_library_is_found_also_where_it_lies_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(LIBRARY)
    found = environment({}, [LIBRARY, *sys.path])["PYTHONPATH"].split(os.pathsep)
    assert found[-1] == LIBRARY
    assert found.count(LIBRARY) == 1
    assert inspected()


def test_a_machine_without_descriptors_is_told_and_no_recording_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with Workers(1, Decoding()) as workers:
        monkeypatch.setattr("nightscribe.audio.worker_process.TemporaryFile", none_left)
        with pytest.raises(NightscribeError, match="decoder process: Too many open files"):
            workers.submit(str(CLIP))
