"""One request to an object store fails, whichever it is: the command says so, and no row is lost.

A seeded sample of the requests; `FAULTY_CALLS` is as for `test_faulty_calls`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faulty_calls import FaultyCalls, Ran
from tests.faulty_requests import KINDS, FaultyRequests
from tests.nights import write_noise
from tests.test_faulty_calls import assert_said, counts, environment, numbers, run_of

pytest.importorskip("s3fs", reason="needs s3fs: pip install 'nightscribe[s3]'")
boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'nightscribe[s3]'")
pytest.importorskip("moto.server", reason="needs moto: pip install 'nightscribe[dev]'")

BUCKET = "radio"
ARCHIVE = f"s3://{BUCKET}/shows"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

COMMANDS: dict[str, list[object]] = {
    "sql": ["sql", "--format", "csv", "SELECT text, start_s FROM segments"],
    "export": ["export", "--format", "srt", "--out", "OUT"],
    "evaluate": ["evaluate"],
    "datasets": ["datasets", "add", "manifest", "--path", "MANIFEST", "--name", "x"],
    "run": ["run", "--archives", ARCHIVE, "--model", "demo", "--language", "en"],
}
SAMPLE = 1  # request of `sql`; the other commands take a minute each


@dataclass
class Cloud:
    """An object store with an archive, and the way to run a command over a lake in it."""

    server: FaultyRequests
    calls: FaultyCalls
    client: Any
    folder: Path
    lakes: int = 0

    def new_lake(self) -> str:
        """A copy of the lake that one night has made of a local archive."""
        self.lakes += 1
        for file in (self.folder / "lake").rglob("*.*"):
            if file.is_file():
                key = f"{self.lakes}/{file.relative_to(self.folder / 'lake')}"
                self.client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        return f"s3://{BUCKET}/{self.lakes}"

    def run(self, name: str, lake: str, number: int = 0, kind: str = "") -> tuple[Ran, Any, int]:
        """What a command came to, the files that it exported, and the number of its requests."""
        out, manifest = self.folder / "out", self.folder / "archive" / "manifest.csv"
        shutil.rmtree(out, ignore_errors=True)
        there = {"OUT": out, "MANIFEST": manifest}
        words = [there.get(str(word), word) for word in COMMANDS[name]]
        self.server.arm(number, kind)
        ran = self.calls.run([*words, "--lake", lake])
        files = {file.name: file.read_bytes() for file in out.rglob("*.*")}
        return ran, files, self.server.arm()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    server = FaultyRequests()
    client = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket=BUCKET)
    for seed in (0, 1):
        write_noise(folder / "archive" / f"{seed}.wav", seed)
    client.upload_file(str(folder / "archive" / "1.wav"), BUCKET, "shows/1.wav")
    manifest = "path,language,text\n0.wav,en,The doctor is here.\n"
    (folder / "archive" / "manifest.csv").write_text(manifest)
    settings = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        **{name.upper(): value for name, value in KEYS.items()},
    }
    calls = FaultyCalls(None, {**environment(repository), **settings})
    made = calls.run(run_of(folder / "archive", folder / "lake"))
    assert made.code == 0, made.err
    yield Cloud(server, calls, client, folder)
    calls.close()
    server.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_request_that_fails_is_said_and_the_next_run_makes_the_same_lake(
    name: str, cloud: Cloud
) -> None:
    if name != "sql" and "FAULTY_CALLS" not in os.environ:
        pytest.skip("takes a minute: set FAULTY_CALLS, as CONTRIBUTING.md says")
    lake = cloud.new_lake()
    clean, made, count = cloud.run(name, lake)
    assert clean.code == 0, clean.err
    writes = name in ("datasets", "run")
    rows = counts(cloud.calls, lake) if writes else []
    for place, number in enumerate(numbers(count, name, SAMPLE)):
        lake = cloud.new_lake() if writes else lake
        ran, files, _ = cloud.run(name, lake, number, KINDS[place % len(KINDS)])
        assert_said(ran, clean)
        assert ran.code != 2 or BUCKET in ran.err.splitlines()[-1], ran.err
        if ran.code == 0 and name in ("sql", "export"):
            assert (ran.out, files) == (clean.out, made)
        if writes:
            assert cloud.run(name, lake)[0].code == 0
            assert counts(cloud.calls, lake) == rows


@pytest.mark.parametrize(
    ("pattern", "content", "what"),
    [
        ("segments/*.parquet", None, "segments, version 1: .* is missing. .* version 0"),
        ("segments/*.parquet", b"PAR1", "segments, version 1: .* 4 bytes instead of .* version 0"),
        ("segments/*/*1.json", None, "segments: it is at version 0, and was at 1"),
    ],
)
def test_what_a_lake_in_an_object_store_lacks_is_said(
    pattern: str, content: bytes | None, what: str, cloud: Cloud
) -> None:
    lake = cloud.new_lake()
    [file] = (cloud.folder / "lake").glob(pattern)
    place = {"Bucket": BUCKET, "Key": f"{cloud.lakes}/{file.relative_to(cloud.folder / 'lake')}"}
    if content is None:
        cloud.client.delete_object(**place)
    else:
        cloud.client.put_object(**place, Body=content)
    ran, _, _ = cloud.run("sql", lake)
    assert ran.code == 2
    [line] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert re.match(f"error: lake {lake}: table {what}", line), line


def test_maintenance_and_forgetting_work_in_an_object_store(cloud: Cloud) -> None:
    lake = cloud.new_lake()
    assert cloud.calls.run(["lake", "maintain", "--lake", lake]).code == 0
    checked = cloud.calls.run(["lake", "check", "--lake", lake])
    assert checked.code == 0, checked.out
    ran = cloud.calls.run(["forget", "--lake", lake, "--where", "true", "--yes"])
    assert ran.code == 0, ran.err
    assert counts(cloud.calls, lake)[0]["transcripts"] == 0
    listed = cloud.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{cloud.lakes}/")["Contents"]
    bodies = {
        one["Key"]: cloud.client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        for one in listed
    }
    assert [key for key, body in bodies.items() if b"The doctor" in body] == []
