"""Pages over a small lake, as somebody with given rights sees them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from nightscribe.lake.opening import open_lake, open_to_read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.web.access import Person, Right
from nightscribe.web.app import create_app
from nightscribe.web.site import Site, Upload, UploadState
from tests.nights import SAMPLES, write_noise

PREFIX = "/nightscribe"
HOSTILE = "<script>alert(1)</script>\u202e'\"&amp;.wav".replace("/", "\u2215")
OWN = {"sec-fetch-site": "same-origin", "accept": "text/html"}


class Runs:
    """Notes what is started."""

    def __init__(self) -> None:
        self.started: list[Upload] = []
        self.commits = 0
        self.made: dict[tuple[str, str, int], list[str]] = {}  # batches by task instance

    async def start(self, request: Request, upload: Upload) -> str:
        self.started.append(upload)
        return f"run {len(self.started)}"

    async def state(self, request: Request, run_id: str) -> UploadState | None:
        if not run_id.startswith("run "):
            return None
        number = int(run_id.removeprefix("run "))
        if number > len(self.started):
            return None
        path = self.started[number - 1].path
        return UploadState("running", "transcribe", "", path, "/dags/x")

    async def commit_reviews(self, request: Request) -> None:
        self.commits += 1

    def may_have(self, run_id: str) -> bool:
        return run_id.startswith("manual__")

    async def link(self, request: Request, run_id: str) -> str | None:
        return "/dags/x/runs/y" if run_id == "manual__1" else None

    async def batches(
        self, request: Request, dag_id: str, run_id: str, task_id: str, map_index: int
    ) -> list[str]:
        return self.made.get((run_id, task_id, map_index), [])


class Pages:
    """The application of a site, and a browser in front of it."""

    def __init__(self, folder: Path, lake: str) -> None:
        self.rights: frozenset[Right] | None = frozenset(Right)
        self.runs = Runs()
        self.settings = Settings(lake=lake, model="demo", uploads=str(folder / "uploads"))

        async def access(request: Request) -> Person | None:
            return None if self.rights is None else Person("somebody", self.rights)

        self.site = Site(
            settings=self.settings,
            lake=lambda: open_to_read(lake),
            access=access,
            runs=self.runs,
            prefix=PREFIX,
        )
        self.app = create_app(self.site)
        outer = FastAPI()
        outer.mount(PREFIX, self.app)
        self.client = TestClient(
            outer, base_url=f"http://127.0.0.1{PREFIX}", headers=OWN, follow_redirects=False
        )


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake after a night over recordings in two languages, one with a hostile name."""
    folder = tmp_path_factory.mktemp("pages")
    archive = folder / "archive"
    (archive / "sub").mkdir(parents=True)
    for name in ("english/en-01.flac", "english/en-02.mp3", "german/de-01.flac"):
        shutil.copy(SAMPLES / name, archive / name.rpartition("/")[2])
    write_noise(archive / "sub" / HOSTILE, 3)
    (archive / "notes.mp3").write_text("no audio")
    (archive / "manifest.csv").write_text(
        'path,language,text\nen-01.flac,en,"<img src=x onerror=alert(1)> spoken"\n'
    )
    made = open_lake(str(folder / "lake"))
    order = Order((str(archive),), "demo", task="both")
    run(made, order, Settings(device="cpu"))
    return made


@pytest.fixture
def pages(lake: Lake, tmp_path: Path) -> Pages:
    """Pages over that lake, for somebody with all rights."""
    return Pages(tmp_path, lake.uri)


@pytest.fixture
def pages_over(tmp_path: Path) -> Callable[[str], Pages]:
    """Makes pages over another lake."""
    return lambda uri: Pages(tmp_path, uri)
