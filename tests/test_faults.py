"""Every library's way to report a failure of the surroundings becomes one sentence."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from fsspec.implementations.memory import MemoryFileSystem

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.faults import fault_of, is_fault

ROWS = pa.table({"a": [1, 2, 3]})


def python_opens_what_is_not_there(folder: Path) -> None:
    (folder / "gone").open()


def python_makes_a_folder_where_a_file_is(folder: Path) -> None:
    (folder / "file").write_text("")
    (folder / "file" / "below").mkdir()


def python_writes_a_file_that_is_too_large(folder: Path) -> None:
    with limited(), (folder / "large").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def delta_opens_a_cut_log(folder: Path) -> None:
    write_deltalake(str(folder / "t"), ROWS)
    log = folder / "t" / "_delta_log" / f"{0:020d}.json"
    log.write_bytes(log.read_bytes()[:50])
    DeltaTable(str(folder / "t"))


def delta_writes_what_is_too_large(folder: Path) -> None:
    with limited():
        write_deltalake(str(folder / "t"), pa.table({"a": [os.urandom(100_000)]}))


def delta_asks_a_store_that_is_not_there(folder: Path) -> None:
    options = {
        "aws_endpoint_url": f"http://127.0.0.1:{free_port()}",
        "aws_allow_http": "true",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
        "aws_region": "us-east-1",
        "max_retries": "0",
    }
    DeltaTable("s3://bucket/t", storage_options=options)


def arrow_reads_what_is_no_parquet(folder: Path) -> None:
    (folder / "a.parquet").write_bytes(bytes(1000))
    pq.read_table(folder / "a.parquet")


def duckdb_reads_what_is_not_there(folder: Path) -> None:
    duckdb.sql(f"FROM read_parquet('{folder}/gone.parquet')")


def duckdb_reads_what_is_no_parquet(folder: Path) -> None:
    (folder / "a.parquet").write_bytes(bytes(1000))
    duckdb.sql(f"FROM read_parquet('{folder}/a.parquet')").fetchall()


def duckdb_writes_what_is_too_large(folder: Path) -> None:
    with limited():
        duckdb.sql(f"COPY (FROM range(100_000)) TO '{folder}/large.csv'")


def duckdb_has_too_little_memory(folder: Path) -> None:
    with duckdb.connect(config={"memory_limit": "10MB", "max_temp_directory_size": "0B"}) as one:
        one.sql("SELECT list(range) FROM range(10_000_000)").fetchall()


def s3_asks_a_store_that_is_not_there(folder: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    store = s3fs.S3FileSystem(
        key="a",
        secret="b",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        config_kwargs={"retries": {"max_attempts": 0}, "connect_timeout": 1},
        skip_instance_cache=True,
    )
    store.retries = 1
    store.ls("bucket/lake")


def s3_refuses(folder: Path) -> None:
    errors = pytest.importorskip("s3fs.errors")
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": "ExpiredToken", "Message": "The token has expired."}}
    raise errors.translate_boto_error(ClientError(answer, "GetObject"))


class Refusing(MemoryFileSystem):
    protocol = "refusing"

    def info(self, path: str, **_: object) -> dict[str, object]:
        return {"name": path, "size": 10, "type": "file"}

    def _open(self, path: str, *_: object, **__: object) -> None:
        raise PermissionError("Forbidden")


def duckdb_reads_a_store_that_refuses(folder: Path) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(Refusing())
        connection.sql("FROM read_parquet('refusing://a/b.parquet')").fetchall()


def a_connection_is_refused(folder: Path) -> None:
    socket.create_connection(("127.0.0.1", free_port()), timeout=1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class limited:  # noqa: N801
    """Files may have 20 kB, as if the disk had no more room."""

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, self.before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


CASES: list[tuple[Callable[[Path], None], tuple[str, ...]]] = [
    (python_opens_what_is_not_there, ("gone: No such file", "check the path")),
    (python_makes_a_folder_where_a_file_is, ("below: Not a directory", "choose another path")),
    (python_writes_a_file_that_is_too_large, ("File too large", "ulimit -f")),
    (delta_opens_a_cut_log, ("check the disk",)),
    (delta_writes_what_is_too_large, ("File too large", "ulimit -f")),
    (delta_asks_a_store_that_is_not_there, ("check the network, the endpoint",)),
    (arrow_reads_what_is_no_parquet, ("Parquet", "check the disk")),
    (duckdb_reads_what_is_not_there, ("gone.parquet", "check the disk")),
    (duckdb_reads_what_is_no_parquet, ("a.parquet", "check the disk")),
    (duckdb_writes_what_is_too_large, ("File too large", "ulimit -f")),
    (duckdb_has_too_little_memory, ("the memory is used up", "more memory")),
    (s3_asks_a_store_that_is_not_there, ("check the network, the endpoint",)),
    (s3_refuses, ("ExpiredToken", "GetObject", "the endpoint and the credentials")),
    (duckdb_reads_a_store_that_refuses, ("Error: Forbidden: check the network, the endpoint",)),
    (a_connection_is_refused, ("refused", "check the network, the endpoint")),
]


@pytest.mark.parametrize(("fail", "parts"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_failure_of_the_surroundings_is_one_sentence(
    fail: Callable[[Path], None], parts: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        fail(tmp_path)
    fault = fault_of(raised.value)
    assert fault is not None, repr(raised.value)
    message = str(fault)
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert "Traceback" not in message
    assert message.endswith(", then run again")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "mount it for writing"),
        (errno.EACCES, "change its owner"),
        (errno.EIO, "the disk or the network file system fails"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ESTALE, "mount it again"),
    ],
)
def test_every_number_of_the_system_says_what_to_do(number: int, remedy: str) -> None:
    of_python = OSError(number, os.strerror(number), "/data/lake/x")
    of_rust = OSError(f"Generic LocalFileSystem error: /data/lake/x (os error {number})\n 0: main")
    for error in (of_python, of_rust):
        message = str(fault_of(error))
        assert "/data/lake/x" in message
        assert remedy in message
        assert "\n" not in message


def test_a_full_disk_without_a_name_is_looked_for(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(tmp_path) in str(fault_of(error, [str(tmp_path)]))


@pytest.mark.parametrize(
    "fail",
    [
        lambda: duckdb.sql("SELECT no_such_column FROM range(1)"),
        lambda: duckdb.sql("SELEC 1"),
        lambda: pa.array(["a"], pa.int64()),
        lambda: {}["a"],
        lambda: int("a"),
        lambda: shutil.copyfile(None, None),  # type: ignore[call-overload]
    ],
)
def test_a_defect_is_no_failure_of_the_surroundings(fail: Callable[[], object]) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        fail()
    assert not is_fault(raised.value)
    assert fault_of(raised.value) is None


def test_errors_for_people_stay_as_they_are() -> None:
    error = ConfigurationError("give another")
    assert fault_of(error) is error
    assert isinstance(fault_of(FileNotFoundError(2, "none", "x")), NightscribeError)
