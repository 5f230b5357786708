"""A scan of an object store that fails amid the listing: a real S3 server behind a faulty proxy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from nightscribe.archives.listing import list_files
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from tests.stages.test_account import run_night, wav

s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install 'nightscribe[s3]'")
boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'nightscribe[s3]'")
moto_server = pytest.importorskip(
    "moto.server", reason="needs moto: pip install 'nightscribe[dev]'"
)

ARCHIVE = "s3://radio/shows"
MEMBERS = ("a/1.wav", "b/2.wav", "c/3.wav")


@dataclass
class Store:
    """An S3 server and what its proxy answers in place of it."""

    client: Any
    prefix: str = "nothing"
    """A listing of this prefix fails."""
    code: str = ""
    """The error of the answer; if empty, the proxy hangs up."""

    @contextmanager
    def failing(self, prefix: str, code: str) -> Iterator[None]:
        self.prefix, self.code = prefix, code
        yield
        self.prefix = "nothing"


STATUS = {"AccessDenied": 403, "InternalError": 500}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    upstream = "http://{}:{}".format(*server.get_host_and_port())
    store: Store

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if asked.get("prefix") == [store.prefix]:
                if store.code:
                    body = f"<Error><Code>{store.code}</Code><Message>no</Message></Error>"
                    self._send(STATUS[store.code], {}, body.encode())
                else:
                    self.connection.close()
                return
            headers = {**self.headers, "Host": upstream.removeprefix("http://")}
            answer = httpx.request(self.command, upstream + self.path, headers=headers)
            self._send(answer.status_code, dict(answer.headers), answer.content)

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=proxy.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setattr(s3fs.S3FileSystem, "retries", 1)
        client = boto3.client("s3", endpoint_url=upstream)
        client.create_bucket(Bucket="radio")
        for number, member in enumerate(MEMBERS, 1):
            client.put_object(Bucket="radio", Key=f"shows/{member}", Body=wav(number))
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
        store = Store(client)
        s3fs.S3FileSystem.clear_instance_cache()
        yield store
        s3fs.S3FileSystem.clear_instance_cache()
    proxy.shutdown()
    server.stop()


def test_a_prefix_that_cannot_be_listed_costs_a_night_and_no_other_prefix(
    store: Store, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    with store.failing("shows/b/", "AccessDenied"):
        [account] = run_night(lake, [ARCHIVE], "faulty")[1].values()
    assert (account.found, account.used, account.rejected) == (3, 2, 1)
    [row] = read(lake, "SELECT uri, reason, detail FROM rejected").to_pylist()
    assert (row["uri"], row["reason"]) == (f"{ARCHIVE}!/b", "unreadable")
    assert row["detail"].startswith("this prefix cannot be read: ")
    [account] = run_night(lake, [ARCHIVE], "repaired")[1].values()
    assert (account.found, account.known, account.used) == (3, 2, 1)
    with store.failing("shows/a/", "InternalError"):
        scanned, _ = run_night(lake, [ARCHIVE], "faulty again")
    assert (scanned.new_files, scanned.changes.gone) == (0, 0)
    assert read(lake, "FROM disappeared").num_rows == 0


def test_a_store_that_stops_answering_amid_the_listing_is_named(
    store: Store, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    run_night(lake, [ARCHIVE], "before")
    message = rf"{re.escape(ARCHIVE)}: this archive cannot be read: \w+: .*; check that it can be"
    with store.failing("shows/b/", ""), pytest.raises(NightscribeError, match=message) as raised:
        run_night(lake, [ARCHIVE], "faulty")
    assert not isinstance(raised.value, ConfigurationError)
    assert read(lake, "FROM disappeared").num_rows == 0
    assert run_night(lake, [ARCHIVE], "after")[0].new_files == 0


def test_an_archive_whose_listing_is_refused_is_named(store: Store) -> None:
    found = list_files(ARCHIVE)
    message = f"{ARCHIVE}: this archive cannot be read: .*; check the credentials"
    with (
        store.failing("shows/", "AccessDenied"),
        pytest.raises(ConfigurationError, match=message),
    ):
        list(found)
