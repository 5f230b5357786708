"""What a night reads and writes: its order, archives, lake and temporary folder, examined."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from nightscribe.archives.entries import File
from nightscribe.archives.listing import list_files
from nightscribe.credentials import storage_options
from nightscribe.errors import ConfigurationError, LakeError
from nightscribe.lake.location import canonical_lake_uri
from nightscribe.lake.schema import LAKE_FORMAT
from nightscribe.lake.tables import Lake
from nightscribe.settings import GIB, Settings
from nightscribe.stages.findings import Finding, fail, ok, warn
from nightscribe.stages.order import checked_language
from nightscribe.storage import locate
from nightscribe.uris import join_uri
from nightscribe.whisper.official import can_translate
from nightscribe.whisper.options import tasks_of

__all__ = ["archive_findings", "lake_findings", "order_findings", "temporary_findings"]

_FIRST_ENTRIES = 100  # of an archive; the first of these that can be used is opened
_LITTLE_ROOM_BYTES = 2 * GIB


def order_findings(settings: Settings) -> Iterator[Finding]:
    """Whether model, task, language and engine go together, and whether there is an archive.

    Raises `ConfigurationError` if they do not go together.
    """
    if "translate" in tasks_of(settings.task) and not can_translate(settings.model):
        raise ConfigurationError(
            f"model {settings.model} was not trained to translate: choose medium or large-v3, or "
            "the task transcribe"
        )
    if settings.language not in {"auto", "manifest"}:
        checked_language(settings.language)
    if settings.engine == "reference" and settings.precision == "bfloat16":
        raise ConfigurationError(
            "the engine reference has no bfloat16: choose the engine batched, or the precision auto"
        )
    yield ok(
        "settings",
        f"model {settings.model}, task {settings.task}, language {settings.language}, engine "
        f"{settings.engine}",
    )
    if not settings.archives:
        yield fail(
            "archives", "no archive is configured", "set NIGHTSCRIBE_ARCHIVES or give --archives"
        )


def archive_findings(uri: str) -> Iterator[Finding]:
    """Whether an archive can be listed, and its first usable file opened.

    Raises `NightscribeError` if the archive is not there or cannot be read.
    """
    entries = list(islice(list_files(uri), _FIRST_ENTRIES))
    files = [entry for entry in entries if isinstance(entry, File)]
    if not entries:
        yield warn("archive", f"{uri}: reachable, but empty", "check the path")
        return
    if not files:
        yield warn(
            "archive",
            f"{uri}: reachable, but none of its first {len(entries)} entries is audio, a zip, a "
            "tar or a manifest",
            f"nightscribe scan --archives {uri}",
        )
        return
    first = files[0]
    place = locate(first.archive)
    if first.member:
        place = place.child(first.member)
    try:
        with place.open() as file:
            file.read(1)
    except OSError as error:
        yield fail(
            "archive",
            f"{join_uri(first.archive, first.member)} cannot be read: {error.strerror or error}",
            "let this user read the files of the archive",
        )
        return
    more = " or more" if len(entries) == _FIRST_ENTRIES else ""
    yield ok("archive", f"{uri}: listed, {len(files)}{more} files to read; the first one opens")


def lake_findings(uri: str, conn_id: str | None) -> Iterator[Finding]:
    """Whether the lake can be read and written: a file is written into it, read and removed.

    A lake that does not exist yet is not created: its folder is made for the test and removed.

    Raises:
        NightscribeError: the URI, the credentials or the lake cannot be used.
        OSError: the lake cannot be written.
    """
    lake = Lake(canonical_lake_uri(uri), storage_options(conn_id))
    found = _format_of(lake)
    if found is not None and found > LAKE_FORMAT:
        raise LakeError(
            f"lake {lake.uri} has format {found}, written by a newer Nightscribe; this one reads "
            f"formats up to {LAKE_FORMAT}: upgrade it, or choose another lake"
        )
    if found is not None:
        lake.table("transcripts")
    state = f"format {found}" if found is not None else "not created yet"
    with _folder_of(lake) as made_in:
        _probe(lake)
        yield ok("lake", f"{lake.uri}: {state}; written, read back and removed a file")
        if made_in is not None and (free := shutil.disk_usage(made_in).free) < _LITTLE_ROOM_BYTES:
            yield warn("lake", f"only {free / GIB:.1f} GiB free at {made_in}", "make room")


def _format_of(lake: Lake) -> int | None:
    try:
        content = lake.filesystem.cat_file(lake.native_path("lake.json"))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise LakeError(
            f"lake {lake.uri}: a part of this path is a file: choose another path"
        ) from error
    except PermissionError as error:
        raise LakeError(
            f"lake {lake.uri} cannot be read: {error}: check the credentials or the owner"
        ) from error
    try:
        return int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f'{lake.path("lake.json")} is damaged: expected {{"format": 1}}') from error


@contextmanager
def _folder_of(lake: Lake) -> Iterator[Path | None]:
    """The folder of a local lake; one that does not exist is made, and removed after the block.

    Permission bits do not say whether a folder can be written: its disk may be read-only, or belong
    to a server that maps root to nobody.
    """
    if not lake.is_local:
        yield None
        return
    made: list[Path] = []
    try:
        for folder in reversed([Path(lake.uri), *Path(lake.uri).parents]):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield Path(lake.uri)
    except OSError as error:
        raise LakeError(
            f"lake {lake.uri} cannot be written: {error}: change the owner of the folder, or "
            "choose another lake"
        ) from error
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # somebody else has put something into it
                folder.rmdir()


def _probe(lake: Lake) -> None:
    """Write a file into a lake, read it and remove it."""
    name, content = f"doctor-{uuid.uuid4().hex}.probe", uuid.uuid4().bytes
    native = lake.native_path(name)
    try:
        lake.put_file(name, content)
        if lake.filesystem.cat_file(native) != content:
            raise LakeError(f"lake {lake.uri}: a file that was written reads differently")
    finally:
        if lake.exists(name):
            lake.filesystem.rm_file(native)


def temporary_findings() -> Iterator[Finding]:
    """Whether the temporary folder can be written and has room for samples and spools."""
    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 4096)
        file.flush()
    free = shutil.disk_usage(folder).free
    found = f"{folder}: writable, {free / GIB:.1f} GiB free"
    if free < _LITTLE_ROOM_BYTES:
        yield warn("temp", found, "make room, or set TMPDIR to a folder on a larger disk")
    else:
        yield ok("temp", found)
