"""The folder of an index: its generations, and which of them readers see.

A build never changes what readers see. It makes a new folder, a *generation*, and then replaces
`current.json`, which names the generation and says what is in it. A build that is killed leaves a
folder that nothing names, and the next one removes it. Tantivy's files never change once they are
written, so a new generation takes those of the one before as hard links.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nightscribe.errors import ConfigurationError, SearchError
from nightscribe.lake.location import LakeLocation

__all__ = [
    "FORMAT",
    "State",
    "generations",
    "index_folder",
    "new_generation",
    "read_state",
    "sweep",
    "write_state",
]

FORMAT = 1
"""Of the folder, the fields and the words. A higher one lets the next build start anew, so it must
grow with every change of `nightscribe.search.words` and of the fields."""

KNOWN = "transcripts.parquet"
"""File of a generation with the `transcript_id` of all transcripts that are in it."""

_STATE = "current.json"
_PREFIX = "generation-"


class State(BaseModel):
    """What readers see: the content of `current.json`.

    Attributes:
        lake: URI of the lake that the index is made from
        generation: name of the folder
        forgotten: version of the table `forgotten`. Tantivy keeps what it deletes for a time, so
            an index from before recordings were forgotten is made anew
        known_until: when the newest transcript that was looked at was created; None without any
        languages: of the transcripts, the most frequent first, as with `models`
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    lake: str
    generation: str
    known_until: datetime | None
    transcripts: int
    segments: int
    forgotten: int = 0
    languages: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def index_folder(lake: LakeLocation, setting: str = "") -> Path:
    """The folder of a lake's index. `setting` is `Settings().index`.

    Raises:
        ConfigurationError: the lake is not local, and there is no home folder for the cache.
    """
    if setting:
        return Path(setting).expanduser()
    if lake.is_local:
        return Path(lake.uri) / "index"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ConfigurationError(
            f"lake {lake.uri} has no place for its search index on this machine: set "
            "NIGHTSCRIBE_INDEX to a folder"
        ) from error
    return cache / "nightscribe" / "index" / hashlib.sha256(lake.uri.encode()).hexdigest()[:16]


def read_state(folder: Path) -> State | None:
    """What readers see; None if there is no index, or one of another format.

    Raises:
        SearchError: the folder cannot be read.
    """
    try:
        state = State.model_validate_json((folder / _STATE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    except OSError as error:
        raise SearchError(f"search index {folder} cannot be read: {error}") from error
    return state if state.format == FORMAT else None


def write_state(folder: Path, state: State) -> None:
    """Let readers see another generation, from one moment to the next."""
    temporary = folder / f"{_STATE}.tmp"  # one build at a time writes it
    with temporary.open("wb") as file:
        file.write(state.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / _STATE)


def new_generation(folder: Path, before: Path | None) -> Path:
    """Make the folder of a generation, with the files of the one before."""
    made = folder / f"{_PREFIX}{os.urandom(8).hex()}"
    made.mkdir()
    for file in before.iterdir() if before else ():
        if file.suffix in (".lock", ".parquet"):
            continue
        if file.suffix == ".json":  # the two files that Tantivy replaces
            shutil.copyfile(file, made / file.name)
            continue
        try:
            os.link(file, made / file.name)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, made / file.name)
    return made


def sweep(folder: Path, keep: str | None) -> None:
    """Remove all generations but one: those of killed builds, and those that were replaced.

    A reader that has one open keeps its files until it closes them.
    """
    for path in generations(folder):
        if path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def generations(folder: Path) -> list[Path]:
    """The folders of all generations, also of those that nobody sees. Raises `OSError`."""
    try:
        names = os.listdir(folder)  # and not `glob`, which takes a folder it cannot list for empty
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names) if name.startswith(_PREFIX)]
