"""Promises of archives on object stores, kept with a real S3 server on loopback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightscribe.archives.entries import File, Member, Rejection
from nightscribe.archives.growing_copies import copied_bytes
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.errors import ConfigurationError, Reason
from nightscribe.manifests.manifest import parse_manifest
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import canonical_uri

pytest.importorskip("s3fs", reason="needs s3fs: pip install 'nightscribe[s3]'")
boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'nightscribe[s3]'")
moto_server = pytest.importorskip(
    "moto.server", reason="needs moto: pip install 'nightscribe[dev]'"
)

LIMITS = ArchiveLimits()
MIB = 1024 * 1024
BUCKET = "radio"
AUDIO = {
    "a.wav": b"a" * 1000,
    "sub/b.mp3": b"b" * 2000,
    "sub/100% caf\u00e9 #1?.ogg": b"c" * 30,
    "caf%E9.wav": b"d" * 40,
}
MANIFEST = b"path,language\na.wav,en\nsub/b.mp3,es\n"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in AUDIO.items():
            archive.writestr(name, content)
        archive.writestr("manifest.csv", MANIFEST)
    return buffer.getvalue()


def tarred(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in [*AUDIO.items(), ("manifest.csv", MANIFEST)]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def cloud(endpoint: str) -> Iterator[Any]:
    """Environment as the cloud's own chain reads it, and a client; one bucket with an archive."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        objects = {f"shows/2024/{name}": content for name, content in AUDIO.items()}
        objects |= {
            "shows/2024/manifest.csv": MANIFEST,
            "shows/2024/packed/all.zip": zipped(),
            "shows/2024/packed/all.tar.gz": tarred("w:gz"),
            "shows/2024/packed/all.tar": tarred("w"),
            "shows/2024/empty.wav": b"",
            "shows/2024/notes.txt": b"x",
            "shows/2024/.hidden/x.wav": b"x",
            "shows/2024/folder-marker/": b"",
            "shows/2024/slash//x.wav": b"x",
            "shows/20245/not-ours.wav": b"x",
        }
        for key, content in objects.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=content)
        yield client


COLLECTION = f"s3://{BUCKET}/shows/2024"
CONTAINERS = [f"{COLLECTION}/packed/all.{suffix}" for suffix in ("tar", "tar.gz", "zip")]
MEMBERS = {"a.wav", "sub/b.mp3", "sub/100% caf\u00e9 #1?.ogg", "caf%25E9.wav"}


def contents_by_name() -> dict[str, bytes]:
    return {name.replace("%E9", "%25E9"): content for name, content in AUDIO.items()}


def test_prefix_lists_its_files_and_containers(cloud: Any) -> None:
    found = list(list_files(COLLECTION + "/"))
    files = [item for item in found if isinstance(item, File)]
    assert {f.collection for f in files} == {COLLECTION}
    assert {f.member for f in files if f.kind is Kind.AUDIO} == MEMBERS
    assert [f.archive for f in files if f.kind is Kind.CONTAINER] == CONTAINERS
    assert [f.uri for f in files if f.kind is Kind.MANIFEST] == [f"{COLLECTION}!/manifest.csv"]
    head = cloud.head_object(Bucket=BUCKET, Key="shows/2024/a.wav")
    (first,) = (f for f in files if f.member == "a.wav")
    assert (first.size_bytes, first.version) == (1000, head["ETag"].strip('"'))
    assert {(r.uri, r.reason) for r in found if isinstance(r, Rejection)} == {
        (f"{COLLECTION}!/empty.wav", Reason.EMPTY_FILE),
        (f"{COLLECTION}!/slash", Reason.UNSAFE_MEMBER_NAME),
    }


def test_changed_object_has_another_version_in_the_same_process(cloud: Any) -> None:
    def version() -> list[str]:
        return [f.version for f in list_files(f"s3://{BUCKET}/changing")]

    cloud.put_object(Bucket=BUCKET, Key="changing/a.wav", Body=b"1")
    before = version()
    assert version() == before
    cloud.put_object(Bucket=BUCKET, Key="changing/a.wav", Body=b"2")
    assert version() != before
    cloud.put_object(Bucket=BUCKET, Key="changing/b.wav", Body=b"3")
    assert len(version()) == 2


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_read_where_they_lie(container: str) -> None:
    contents = {}
    for item in read_container(container, LIMITS):
        assert isinstance(item, Member)
        assert item.archive == container
        contents[item.member] = item.file.read()
        item.file.seek(0)
    manifest = contents.pop("manifest.csv")
    assert contents == contents_by_name()
    rows, problems = parse_manifest("manifest.csv", manifest)
    assert [(row.path, row.language) for row in rows] == [("a.wav", "en"), ("sub/b.mp3", "es")]
    assert problems == []


@pytest.mark.usefixtures("cloud")
def test_sources_of_prefixes_and_containers_open_together() -> None:
    sources = [(archive, m) for m in sorted(MEMBERS) for archive in [COLLECTION, *CONTAINERS]]
    missing = [(COLLECTION, "gone.wav"), (f"{COLLECTION}/gone.zip", "x.wav"), (CONTAINERS[1], "x")]
    answers: dict[tuple[str, str], bytes] = {}
    rejected = {}
    for source, answer in open_sources([*sources, *missing], LIMITS):
        assert source not in answers
        if isinstance(answer, Rejection):
            rejected[source] = answer.reason
        else:
            answer.seek(1)
            answer.seek(0)
            answers[source] = answer.read()
    assert answers == {source: contents_by_name()[source[1]] for source in sources}
    assert rejected == dict.fromkeys(missing, Reason.CHANGED)


@pytest.mark.usefixtures("cloud")
def test_collection_may_be_one_object() -> None:
    (container,) = list_files(CONTAINERS[2])
    (single,) = list_files(f"{COLLECTION}/caf%E9.wav")
    assert isinstance(container, File)
    assert isinstance(single, File)
    assert (container.archive, container.kind) == (CONTAINERS[2], Kind.CONTAINER)
    assert (single.archive, single.member) == (COLLECTION, "caf%25E9.wav")
    ((_, file),) = open_sources([(single.archive, single.member)], LIMITS)
    assert not isinstance(file, Rejection)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/nowhere", "s3://no-such-bucket/x"])
def test_missing_prefix_or_bucket_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="no such archive; check the path, or the bucket"):
        list_files(uri)


_OPEN_LARGE = """
import os, sys, tracemalloc
from nightscribe.archives.opening import open_sources
from nightscribe.settings import ArchiveLimits
limits = ArchiveLimits(spool_bytes=2**20)
sources = [(sys.argv[1], "a.wav"), (sys.argv[1] + "/all.tar.gz", "a.wav")]
# Once before measuring, so that what is measured is the reading and not s3fs's own modules.
list(open_sources([(sys.argv[1], "gone.wav")], limits))
tracemalloc.start()
for _, file in open_sources(sources, limits):
    print(file.seek(0, os.SEEK_END))
print(tracemalloc.get_traced_memory()[1])
"""


def test_large_objects_are_held_on_disk_not_in_memory(cloud: Any) -> None:
    content = os.urandom(32 * MIB)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo("a.wav")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    cloud.put_object(Bucket=BUCKET, Key="large/a.wav", Body=content)
    cloud.put_object(Bucket=BUCKET, Key="large/all.tar.gz", Body=packed.getvalue())
    # In a process of its own: the server, in this one, holds all that it sends.
    command = [sys.executable, "-c", _OPEN_LARGE, f"s3://{BUCKET}/large"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *sizes, peak = map(int, done.stdout.split())
    assert sizes == [32 * MIB] * 2
    assert peak < 24 * MIB
    for key in ("large/a.wav", "large/all.tar.gz"):
        cloud.delete_object(Bucket=BUCKET, Key=key)


_WITH_CONNECTION = """
import sys
from nightscribe.archives.entries import File
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.errors import ConfigurationError
from nightscribe.settings import ArchiveLimits
try:
    files = [f for f in list_files(sys.argv[1]) if isinstance(f, File) and f.member]
except ConfigurationError as error:
    print("ConfigurationError", error)
    raise SystemExit
for source, answer in open_sources([(f.archive, f.member) for f in files], ArchiveLimits()):
    print(*source, len(answer.read()))
"""


@pytest.mark.usefixtures("cloud")
def test_airflow_connection_in_the_uri_gives_the_credentials(endpoint: str, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AIRFLOW_HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIRFLOW_CONN_ARCHIVE": json.dumps(
            {
                "conn_type": "aws",
                "login": "test",
                "password": "test",
                "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
            }
        ),
    }

    def run(*command: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    collection = f"s3://archive@{BUCKET}/shows/2024"
    assert canonical_uri(collection) == collection
    lines = run("-c", _WITH_CONNECTION, collection)
    assert f"{collection} a.wav 1000" in lines
    assert f"{collection} caf%25E9.wav 40" in lines
    assert len([line for line in lines if line.startswith(collection)]) == 5

    lines = run("-c", _WITH_CONNECTION, f"s3://nobody@{BUCKET}/shows")
    (message,) = (line for line in lines if "Configuration" in line)
    assert "there is no Airflow connection 'nobody'" in message

    environment["NIGHTSCRIBE_LAKE_CONN_ID"] = "archive"
    command = ("-c", "from nightscribe.cli import command; command()", "scan")
    lines = run(*command, "--archives", collection, "--lake", f"s3://{BUCKET}/no-lake")
    assert lines[-1].startswith(f"{collection}: found 12 = 8 new + 2 rejected + 2 passed over")


def test_parts_are_read_where_they_lie(cloud: Any) -> None:
    content = os.urandom(20 * MIB)
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("a.wav")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("a.wav", content)
    objects = {"parts/a.wav": content, "a.tar": tar.getvalue(), "a.zip": zipped.getvalue()}
    for key, body in objects.items():
        cloud.put_object(Bucket=BUCKET, Key=key, Body=body)
    try:
        for archive_uri in (f"s3://{BUCKET}/parts", f"s3://{BUCKET}/a.tar", f"s3://{BUCKET}/a.zip"):
            files = open_sources([(archive_uri, "a.wav")], LIMITS, in_parts=True)
            _, file = next(files)
            assert not isinstance(file, Rejection)
            assert file.seek(0, 2) == len(content)
            for start in (0, 15 * MIB, 100):
                file.seek(start)
                assert file.read(1000) == content[start : start + 1000]
            assert copied_bytes(file, len(content)) == 0
            files.close()
    finally:
        for key in objects:
            cloud.delete_object(Bucket=BUCKET, Key=key)
