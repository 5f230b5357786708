"""Whisper checkpoints: find, fetch, verify.

A model is asked for by an official name (`whisper.available_models()`), by the path of a
checkpoint file, or as `demo`. Its identity is the SHA-256 of its file. Official ones are
kept where openai-whisper keeps them, so both use the same files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightscribe.errors import ModelError
from nightscribe.whisper.digests import digest_of
from nightscribe.whisper.downloads import obtain
from nightscribe.whisper.official import expected_digest, file_name_of, official_models

if TYPE_CHECKING:
    pass
DEMO = "demo"


DEMO_VARIABLE = "NIGHTSCRIBE_DEMO_MODEL"  # path of the demo checkpoint outside a checkout


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file that is there, and whose digest was right where one is known."""

    name: str  # as it was asked for
    path: str
    model_id: str  # SHA-256 of the file
    official: bool


@dataclass(frozen=True)
class Entry:
    """One line of the list of models."""

    name: str
    cached: bool
    path: str  # where it is, or would be
    size_bytes: int | None  # of the file, if it is there


def model_id_of(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> str:
    """The model's id without fetching anything: official ones are named by their checksum.

    For planning on workers that do not hold the checkpoint.

    Raises `ModelError` for a name that is neither official nor a file.
    """
    if name != DEMO:
        catalog = official_models() if catalog is None else catalog
        if name in catalog:
            return expected_digest(catalog[name])
    return resolve(name, model_dir, fetch=False, catalog=catalog).model_id


def resolve(
    name: str,
    model_dir: str | None = None,
    *,
    fetch: bool = True,
    catalog: Mapping[str, str] | None = None,
) -> Checkpoint:
    """Find a checkpoint, and download an official one that is not there unless `fetch` is False.

    `model_dir` replaces openai-whisper's cache, `catalog` its table of names and URLs.

    Raises:
        ModelError: unknown name, not there and not to be had, or a file of that name that is
            not the official one.
    """
    folder = _folder(model_dir)
    url, path = _locate(name, folder, catalog)
    if url is not None and not path.is_file():
        obtain(name, url, path, fetch=fetch)
    return _checked(name, url, path, digest_of(path, folder))


def verify(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> Checkpoint:
    """Hash the model's file from end to end; an official one must have the right digest.

    Raises:
        ModelError: as `resolve` without fetching.
    """
    folder = _folder(model_dir)
    url, path = _locate(name, folder, catalog)
    if url is not None and not path.is_file():
        obtain(name, url, path, fetch=False)
    return _checked(name, url, path, digest_of(path, folder, anew=True))


def list_models(
    model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> list[Entry]:
    """Every official model and `demo`: where it is, or would be. Nothing is hashed or fetched."""
    catalog = official_models() if catalog is None else catalog
    folder = _folder(model_dir)
    places = {name: folder / file_name_of(url) for name, url in catalog.items()}
    return [
        Entry(name, path.is_file(), str(path), path.stat().st_size if path.is_file() else None)
        for name, path in {**places, DEMO: _demo_path()}.items()
    ]


def _folder(model_dir: str | None) -> Path:
    """Where official checkpoints are: openai-whisper's own rule, unless told otherwise."""
    if model_dir is not None:
        return Path(model_dir).expanduser()
    cache = os.getenv("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    return Path(cache) / "whisper"


def _demo_path() -> Path:
    given = os.environ.get(DEMO_VARIABLE)
    return Path(given) if given else Path(__file__).resolve().parents[3] / "models" / "demo.pt"


def _locate(name: str, folder: Path, catalog: Mapping[str, str] | None) -> tuple[str | None, Path]:
    """The URL of an official model, else None, and its file, which may be missing if official."""
    if name == DEMO:
        path = _demo_path()
        if not path.is_file():
            raise ModelError(
                f"the demo model is not at {path}: run from a checkout of the repository, or set "
                f"{DEMO_VARIABLE} to the path of demo.pt"
            )
        return None, path
    catalog = official_models() if catalog is None else catalog
    if name in catalog:
        return catalog[name], folder / file_name_of(catalog[name])
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(
            f"there is no model {name!r}: give the path of a checkpoint file, {DEMO!r}, or one of "
            f"{', '.join(catalog)}"
        )
    return None, path


def _checked(name: str, url: str | None, path: Path, digest: str) -> Checkpoint:
    if url is not None and digest != expected_digest(url):
        raise ModelError(
            f"{path} is not the official model {name!r}: its SHA-256 is {digest}, not "
            f"{expected_digest(url)}; delete it, then `nightscribe models fetch {name}` gets it"
        )
    return Checkpoint(name, str(path), digest, official=url is not None)
