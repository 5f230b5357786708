"""The nightly job as a whole: orders, replays, and a lake and an archive on an object store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from nightscribe.errors import ConfigurationError, ModelError, NightscribeError
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import lake_exists, open_lake
from nightscribe.lake.reading import connect, count_rows, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.specs import read_spec, write_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.engines import engine_named, model_loader
from tests.nights import SAMPLES, archive_of, assert_same_tables, contents, finish, start

CLIPS = ("english/en-01.flac", "english/en-03.ogg")
CPU = Settings(device="cpu")
ENGINE = engine_named("batched")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(tmp_path_factory.mktemp("pipeline") / "archive", CLIPS)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def order(archive: Path | str, **changes: Any) -> Order:
    return Order((str(archive),), "demo", **{"language": "en", **changes})


# Orders


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"archives": ()}, ConfigurationError, "NIGHTSCRIBE_ARCHIVES"),
        ({"limit": 0}, ConfigurationError, "limit 0"),
        ({"task": "sing"}, ConfigurationError, "task 'sing'"),
        ({"language": "klingon"}, ConfigurationError, "language 'klingon'"),
        ({"options": {"beam": 5}}, ConfigurationError, "unknown option 'beam'"),
        ({"options": {"language": "en"}}, ConfigurationError, "as the run's `language`"),
        (
            {"options": {"suppress_tokens": "99999"}},
            ConfigurationError,
            "option suppress_tokens '99999': no Whisper checkpoint has a token 99999",
        ),
        ({"model": "gigantic"}, ModelError, "'gigantic'"),
        ({"archives": ("/no/such/folder",)}, ConfigurationError, "no such archive"),
    ],
    ids=str,
)
def test_mistake_in_an_order_is_one_clear_error_before_anything_is_written(
    lake: Lake, archive: Path, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    mistaken = Order(**{"archives": (str(archive),), "model": "demo", **given})
    with pytest.raises(error, match=said):
        run(lake, mistaken, CPU)
    assert {int(lake.table(name).version()) for name in SCHEMAS} == {0}


def test_language_may_be_given_by_name_or_code(archive: Path) -> None:
    by_name = order(archive, language="Spanish").wanted(CPU)
    assert by_name.options == order(archive, language="es").wanted(CPU).options
    assert by_name.options.language == "es"
    assert order(archive, language="auto").wanted(CPU).options.language is None
    assert order(archive, language="manifest").wanted(CPU).hints


def test_specs_of_two_runs_never_lie_in_one_folder() -> None:
    runs = ["manual__2025-01-01T00:00:00+00:00", "manual__2025-01-01T00:00:00-00:00", "../../x", ""]
    folders = [work_folder(run_id) for run_id in runs]
    assert len(set(folders)) == len(runs)
    for folder in folders:
        assert folder.startswith("_plans/")
        assert ".." not in folder.split("/")


# Runs


def test_run_says_what_it_does_stage_by_stage_and_the_second_does_nothing(
    lake: Lake, archive: Path
) -> None:
    said: list[str] = []
    night = run(lake, order(archive, task="both"), CPU, say=said.append)
    assert [line.partition(" ")[0] for line in said] == [
        "scan:",
        "ingest:",
        "plan:",
        "batch",
        "account:",
        "index:",
    ]
    assert "2 files new or changed" in said[0]
    assert "4 transcripts" in said[3]
    assert night.catalog == f"{lake.uri}/catalog.duckdb"
    assert count_rows(lake) == {
        "recordings": 2,
        "sources": 2,
        "rejected": 0,
        "transcripts": 4,
        "segments": read(lake, "SELECT sum(segment_count)::BIGINT AS n FROM transcripts")["n"][
            0
        ].as_py(),
    }
    assert said[-2].endswith("found 2 = 2 used + 0 rejected + 0 passed over")
    tables = SCHEMAS.keys() - {"account_parts"}  # every run has an account
    versions = {name: int(lake.table(name).version()) for name in tables}
    again = run(lake, order(archive, task="both"), CPU, say=said.append)
    assert "nothing to transcribe, 4 transcripts exist already" in said[-3]
    assert said[-2].endswith("found 2 = 2 known + 0 rejected + 0 passed over")
    assert said[-1].startswith("index: 0 segments added, 0 removed")
    assert again.transcribed == []
    assert {name: int(lake.table(name).version()) for name in tables} == versions


def test_forced_run_replaces_transcripts_and_a_replay_of_its_batch_does_not(
    lake: Lake, archive: Path
) -> None:
    run(lake, order(archive), CPU)
    before = contents(lake.uri)
    ids = set(read(lake, "SELECT transcript_id FROM transcripts")["transcript_id"].to_pylist())
    night = run(lake, order(archive, force=True), CPU, run_id="forced")
    assert [batch.transcripts for batch in night.transcribed] == [2]
    after = set(read(lake, "SELECT transcript_id FROM transcripts")["transcript_id"].to_pylist())
    assert len(after) == 2
    assert not after & ids
    assert_same_tables(contents(lake.uri), before)

    replay = transcribe_batch(
        lake, night.plan.specs[0], "forced", model_loader(CPU), ENGINE, settings=CPU
    )
    assert (replay.transcripts, replay.skipped) == (0, 2)
    assert after == set(
        read(lake, "SELECT transcript_id FROM transcripts")["transcript_id"].to_pylist()
    )


def test_batch_planned_with_another_checkpoint_is_refused(lake: Lake, archive: Path) -> None:
    found = scan(lake, [str(archive)], "r", settings=CPU, folder=work_folder("r"))
    for spec in found.specs:
        ingest(lake, spec, "r", settings=CPU)
    [spec] = plan_run(lake, order(archive), "r", CPU, 10).specs
    rows = read_spec(lake, spec).to_pylist()
    write_spec(lake, spec, pa.Table.from_pylist([{**row, "model_id": "0" * 64} for row in rows]))
    with pytest.raises(NightscribeError, match="give every worker the same file"):
        transcribe_batch(lake, spec, "r", model_loader(CPU), ENGINE, settings=CPU)
    assert count_rows(lake)["transcripts"] == 0


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_token_that_the_checkpoint_lacks_stops_the_batch_before_it_transcribes(
    lake: Lake, archive: Path, engine: str
) -> None:
    """Larger checkpoints have it, so that only the loaded model knows."""
    wanted = order(archive, options={"suppress_tokens": "-1,51865"})
    said = "option suppress_tokens '-1,51865': the checkpoint has 51865 tokens and no token 51865"
    with pytest.raises(ConfigurationError, match=said):
        run(lake, wanted, Settings(device="cpu", engine=engine))
    tables = ("recordings", "batches", "transcripts", "rejected")
    assert count_rows(lake, tables) == dict(zip(tables, (2, 0, 0, 0), strict=True))


def test_limited_runs_finish_the_archive_together(lake: Lake, archive: Path) -> None:
    made = [run(lake, order(archive, limit=1), CPU).transcribed for _ in range(3)]
    assert [sum(batch.transcripts for batch in batches) for batches in made] == [1, 1, 0]


# An archive and a lake on S3

BUCKET = "nightly"
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """An S3 server with a bucket that holds an archive; the environment that leads to it.

    The server is a process of its own: delta-rs keeps Python's lock while it waits for answers.
    """
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install 'nightscribe[s3]'")
    # fsspec keeps file systems by their arguments, and other tests had another server.
    s3fs.S3FileSystem.clear_instance_cache()
    boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'nightscribe[s3]'")
    pytest.importorskip("moto.server", reason="needs moto: pip install 'nightscribe[dev]'")
    with (
        subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert server.stdout is not None
        environment = {
            "AWS_ENDPOINT_URL": server.stdout.readline().strip(),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        for clip in CLIPS:
            client.upload_file(str(SAMPLES / clip), BUCKET, f"archive/{clip}")
        yield environment
        s3fs.S3FileSystem.clear_instance_cache()
        # Its standard input is closed on the way out, which ends the server.


@pytest.fixture(scope="module")
def cloud_lake(cloud: dict[str, str], nights: ForkServerContext) -> Lake:
    """A lake on S3 that two nights, started together, have filled from an archive on S3."""
    together = nights.Barrier(2)
    uri = f"s3://{BUCKET}/lake"
    both = [
        start(
            nights,
            uri,
            f"s3://{BUCKET}/archive",
            order={"language": "en"},
            environment=cloud,
            meet=together,
        )
        for _ in range(2)
    ]
    finish(*both, timeout_s=240)
    return open_lake(uri)


def test_two_nights_that_race_on_s3_leave_one_transcript_per_key(cloud_lake: Lake) -> None:
    tables = contents(cloud_lake.uri)
    assert [row["member"] for row in tables["sources"].to_pylist()] == list(CLIPS)
    assert tables["recordings"].num_rows == 2
    assert tables["transcripts"].num_rows == 2
    texts = tables["transcripts"]["text"].to_pylist()
    assert any("The doctor is looking" in text for text in texts)
    with connect(cloud_lake) as connection:
        [(attempts,)] = connection.execute("SELECT count(*) FROM files.batches").fetchall()
    assert attempts == 2, "the nights did not race"


def test_next_night_on_s3_does_nothing(cloud_lake: Lake, cloud: dict[str, str]) -> None:
    night = run(cloud_lake, order(f"s3://{BUCKET}/archive"), CPU)
    assert (night.scanned.new_files, night.transcribed) == (0, [])
    assert lake_exists(cloud_lake.uri)
    assert not lake_exists(f"s3://{BUCKET}/archive")


def test_lake_on_s3_is_read_by_duckdb_without_any_extension(cloud_lake: Lake) -> None:
    with connect(cloud_lake) as connection:
        rows = connection.execute(
            "SELECT member, text FROM search ORDER BY member LIMIT 1"
        ).fetchall()
        # Nor could it load one: its configuration keeps it from all other files.
        with pytest.raises(duckdb.PermissionException):
            connection.execute("LOAD httpfs")
    assert rows[0][0] == CLIPS[0]
    assert "The doctor" in rows[0][1]


def test_catalog_on_s3_can_be_fetched_and_read(cloud_lake: Lake, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.duckdb"
    cloud_lake.filesystem.get_file(f"{BUCKET}/lake/catalog.duckdb", str(catalog))
    with duckdb.connect(str(catalog), read_only=True) as connection:
        connection.register_filesystem(cloud_lake.filesystem)
        for view in ("transcripts", "segments", "sources", "batches", "search", "scores"):
            rows = connection.execute(f"SELECT count(*) FROM {view}").fetchall()
            assert (rows == [(0,)]) == (view == "scores")


def insert_on_s3(uri: str, start: int, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    opened = open_lake(uri)
    for first in range(start, start + 9, 3):
        rows = [
            {
                "recording_id": f"{key:03}",
                "task": "transcribe",
                "dataset": "d",
                "language": "en",
                "text": str(start),
            }
            for key in range(first, first + 6)
        ]
        opened.insert_new(
            "reference_texts", rows_of("reference_texts", rows, "r"), KEYS["reference_texts"]
        )


def test_processes_that_insert_the_same_keys_on_s3_leave_each_once_and_lose_none(
    cloud_lake: Lake, cloud: dict[str, str], nights: ForkServerContext
) -> None:
    processes = [
        nights.Process(target=insert_on_s3, args=(cloud_lake.uri, number, cloud), daemon=True)
        for number in (0, 2, 4)
    ]
    for process in processes:
        process.start()
    finish(*processes)
    keys = read(cloud_lake, "SELECT recording_id FROM reference_texts ORDER BY 1")
    assert keys["recording_id"].to_pylist() == [f"{key:03}" for key in range(4 + 6 + 6)]


def test_bucket_that_is_not_there_is_one_clear_error(cloud: dict[str, str]) -> None:
    with pytest.raises(NightscribeError, match="cannot be opened"):
        open_lake("s3://no-such-bucket-here/lake")
