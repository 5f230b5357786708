"""Whisper checkpoints: find, download, verify.

A model is named by an official name (`whisper.available_models()`), by the path of a checkpoint
(a file, or a folder of Transformers or CTranslate2), or as `demo`. Its identity is the SHA-256 of
its content. Official checkpoints are kept where
openai-whisper keeps them, so both use the same files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nightscribe.errors import ModelError
from nightscribe.nearest import did_you_mean
from nightscribe.whisper.digests import digest_of
from nightscribe.whisper.downloads import check_download, download, missing_checkpoint
from nightscribe.whisper.formats.files import files_of
from nightscribe.whisper.official import expected_digest, file_name_of, official_models

__all__ = [
    "DEMO",
    "DEMO_VARIABLE",
    "Checkpoint",
    "ListedModel",
    "check_available",
    "list_models",
    "locate_model",
    "model_id_of",
    "resolve",
    "verify",
]

DEMO = "demo"
DEMO_VARIABLE = "NIGHTSCRIBE_DEMO_MODEL"  # path of the demo checkpoint outside a checkout


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that exists, and has the right digest if that is known."""

    name: str  # as it was asked for
    path: str  # of a file or folder
    model_id: str  # SHA-256 of the content
    official: bool


@dataclass(frozen=True)
class ListedModel:
    """A model and its file or folder, which may be missing."""

    name: str
    cached: bool
    path: str  # where it is, or would be
    size_bytes: int | None  # of its files, if they exist


def model_id_of(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> str:
    """The model's id, without a download: the name of an official model gives its checksum.

    So workers that do not have the checkpoint can plan.

    Raises:
        ModelError: the name is neither official nor a file.
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
    """Find a checkpoint. A missing official one is downloaded, unless `fetch` is False.

    `model_dir` replaces openai-whisper's cache, `catalog` its table of names and URLs.

    Raises:
        ModelError: the name is unknown, the file is missing and cannot be downloaded, or a file
            of that name is not the official one.
    """
    folder = _folder(model_dir)
    url, path = _locate(name, folder, catalog)
    if url is not None and not path.is_file():
        if not fetch:
            raise missing_checkpoint(name, path)
        download(name, url, path)
    return _verified(name, url, path, digest_of(path, folder))


def check_available(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> None:
    """Check that `resolve` will find a checkpoint on this machine. Nothing is downloaded.

    Raises:
        ModelError: as `resolve`, as far as the server of a missing file tells beforehand.
    """
    folder = _folder(model_dir)
    url, path = _locate(name, folder, catalog)
    if url is not None and not path.is_file():
        check_download(name, url, path)
    else:
        _verified(name, url, path, digest_of(path, folder))


def verify(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> Checkpoint:
    """Hash the whole file of a model; that of an official model must have the right digest.

    Raises:
        ModelError: as `resolve` without `fetch`.
    """
    folder = _folder(model_dir)
    url, path = _locate(name, folder, catalog)
    if url is not None and not path.is_file():
        raise missing_checkpoint(name, path)
    return _verified(name, url, path, digest_of(path, folder, rehash=True))


def locate_model(
    name: str, model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> ListedModel:
    """Where the file of a model is, or would be downloaded to. Nothing is hashed or downloaded.

    Raises:
        ModelError: the name is neither official nor a file.
    """
    _, path = _locate(name, _folder(model_dir), catalog)
    return _listed(name, path)


def list_models(
    model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> list[ListedModel]:
    """All official models and `demo`, and where they are. Nothing is hashed or downloaded."""
    catalog = official_models() if catalog is None else catalog
    folder = _folder(model_dir)
    paths = {name: folder / file_name_of(url) for name, url in catalog.items()}
    return [_listed(name, path) for name, path in {**paths, DEMO: _demo_path()}.items()]


def _listed(name: str, path: Path) -> ListedModel:
    if not path.exists():
        return ListedModel(name, False, str(path), None)
    return ListedModel(name, True, str(path), sum(one.stat().st_size for one in files_of(path)))


def _folder(model_dir: str | None) -> Path:
    """The folder of official checkpoints; by default that of openai-whisper, by its own rule."""
    if model_dir is not None:
        return Path(model_dir).expanduser()
    cache = os.getenv("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "whisper"


def _demo_path() -> Path:
    given = os.environ.get(DEMO_VARIABLE, "").strip()
    if given:
        return Path(given)
    here = Path(__file__).resolve()
    installed = here.parents[1] / "demo_model" / "demo.pt"
    return installed if installed.is_file() else here.parents[3] / "models" / "demo.pt"


def _locate(name: str, folder: Path, catalog: Mapping[str, str] | None) -> tuple[str | None, Path]:
    """The URL of an official model, else None, and its file. Only an official one may be missing.

    Raises:
        ModelError: the demo model, or a model that is not official, has no file.
    """
    if name == DEMO:
        path = _demo_path()
        if not path.is_file():
            raise ModelError(
                f"the demo model is not at {path}: install Nightscribe again, or set "
                f"{DEMO_VARIABLE} to the path of demo.pt"
            )
        return None, path
    catalog = official_models() if catalog is None else catalog
    if name in catalog:
        return catalog[name], folder / file_name_of(catalog[name])
    path = Path(name).expanduser()
    if not path.exists():
        raise ModelError(
            f"there is no model {name!r}: give the path of a checkpoint, {DEMO!r}, or one of "
            f"{', '.join(catalog)}{did_you_mean(name, [*catalog, DEMO])}"
        )
    return None, path


def _verified(name: str, url: str | None, path: Path, digest: str) -> Checkpoint:
    if url is not None and digest != expected_digest(url):
        raise ModelError(
            f"{path} is not the official model {name!r}: its SHA-256 is {digest}, not "
            f"{expected_digest(url)}; delete it, then run `nightscribe models fetch {name}`"
        )
    return Checkpoint(name, str(path), digest, official=url is not None)
