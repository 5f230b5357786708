"""What the pages need from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeAlias

from fastapi import Depends, Request

from nightscribe.lake.tables import Lake
from nightscribe.search.generations import index_folder
from nightscribe.search.reading import SearchIndex
from nightscribe.settings import Settings
from nightscribe.web.access import Access
from nightscribe.web.audio_files import AudioFiles
from nightscribe.web.console.console import Console
from nightscribe.web.console.limits import QueryLimits
from nightscribe.web.snapshot import Snapshots

__all__ = ["Runs", "Site", "SiteHere", "Upload", "UploadState"]


@dataclass(frozen=True)
class Upload:
    """A file to transcribe, and how. None stands for what is configured."""

    path: str  # below the folder of uploads
    model: str | None = None
    task: str | None = None
    language: str | None = None
    options: Mapping[str, Any] | None = None  # for decoding


@dataclass(frozen=True)
class UploadState:
    """How far the run for an upload is.

    Attributes:
        state: `queued`, `running`, `success` or `failed`
        step: the task that runs, such as `transcribe`; empty if none does
        detail: why it failed, or waits
        uri: the file
        link: address of the run in Airflow
    """

    state: str
    step: str
    detail: str
    uri: str
    link: str


class Runs(Protocol):
    """Runs of DAGs: starts them, and says where one is, as the person who asks."""

    async def start(self, request: Request, upload: Upload) -> str:
        """Start a run. Returns its id. Raises `HTTPException`."""
        ...

    async def state(self, request: Request, run_id: str) -> UploadState | None:
        """How far a run is; None if there is none."""
        ...

    async def commit_reviews(self, request: Request) -> None:
        """See to it that the decisions of reviewers are in the lake soon.

        Raises `HTTPException` if no run can be started.
        """
        ...

    def may_have(self, run_id: str) -> bool:
        """Whether a run may be one of a DAG, by its id."""
        ...

    async def link(self, request: Request, run_id: str) -> str | None:
        """The address of a run's page; None if there is no such run, or not for this person."""
        ...

    async def batches(
        self, request: Request, dag_id: str, run_id: str, task_id: str, map_index: int
    ) -> list[str]:
        """The batches that a task instance has worked on; empty if that is not known."""
        ...


@dataclass(frozen=True)
class Site:
    """The pages' surroundings.

    Attributes:
        lake: opens the lake; raises `NightscribeError`
        prefix: path of the pages in the server, such as `/nightscribe`, without a slash at its end
        query_limits: what a query of a person may use
    """

    settings: Settings
    lake: Callable[[], Lake]
    access: Access
    runs: Runs
    prefix: str = ""
    query_limits: QueryLimits = field(default_factory=QueryLimits)
    snapshots: Snapshots = field(init=False)
    audio: AudioFiles = field(init=False)
    index: SearchIndex = field(init=False)
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "snapshots", Snapshots(self.lake))
        object.__setattr__(self, "audio", AudioFiles(self.settings.limits))
        folder = self.settings.index
        index = SearchIndex(lambda: index_folder(self.snapshots.lake, folder))
        object.__setattr__(self, "index", index)
        console = Console(lambda: self.snapshots.lake, self.query_limits)
        object.__setattr__(self, "console", console)


def _site_of(request: Request) -> Site:
    """The site of a request: a dependency of routes."""
    site: Site = request.app.state.site
    return site


SiteHere: TypeAlias = Annotated[Site, Depends(_site_of)]
"""The site of a request, as a parameter of a route."""
