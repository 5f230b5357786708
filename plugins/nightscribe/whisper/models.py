"""Whisper checkpoints: find, fetch, verify, load.

A model is asked for by an official name (`whisper.available_models()`), by the path of a
checkpoint file, or as `demo`. Its identity is the SHA-256 of its file. Official ones are
kept where openai-whisper keeps them, so both use the same files.

Hashing gigabytes takes seconds, so the digests of large files are remembered in
`nightscribe-digests.json` in that folder: path → size, modification time in ns, SHA-256.
A file whose size or time changed is hashed again; a folder that cannot be written to just
means hashing every time; `verify` always hashes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import pickle
import re
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightscribe.errors import ConfigurationError, ModelError
from nightscribe.progress import Progress

if TYPE_CHECKING:
    from whisper.model import Whisper

DEMO = "demo"
DEMO_VARIABLE = "NIGHTSCRIBE_DEMO_MODEL"  # path of the demo checkpoint outside a checkout
DIGESTS = "nightscribe-digests.json"
REMEMBERED_BYTES = 64 << 20  # smaller files are hashed in a moment
CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60.0  # without a byte from the server
PRECISIONS = ("auto", "float32", "float16", "bfloat16")


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


def official_models() -> Mapping[str, str]:
    """openai-whisper's own table: name → URL, whose last folder is the file's SHA-256."""
    from whisper import _MODELS

    table: dict[str, str] = _MODELS
    return table


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
            return _expected_digest(catalog[name])
    return resolve(name, model_dir, fetch=False, catalog=catalog).model_id


def official_name(model_id: str, *, catalog: Mapping[str, str] | None = None) -> str | None:
    """The official model that a file with this SHA-256 is, whatever it is called here."""
    catalog = official_models() if catalog is None else catalog
    names = (name for name, url in catalog.items() if _expected_digest(url) == model_id)
    return next(names, None)


def can_translate(name: str) -> bool:
    """Whether a model of this name knows the task `translate`.

    English-only models do not, nor does turbo, which was fine-tuned on transcription alone
    (openai-whisper's README, "Available models and languages"). Other files are taken to.
    """
    return not name.endswith(".en") and name not in {"turbo", "large-v3-turbo"}


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
        _obtain(name, url, path, fetch=fetch)
    return _checked(name, url, path, _digest(path, folder))


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
        _obtain(name, url, path, fetch=False)
    return _checked(name, url, path, _digest(path, folder, anew=True))


def list_models(
    model_dir: str | None = None, *, catalog: Mapping[str, str] | None = None
) -> list[Entry]:
    """Every official model and `demo`: where it is, or would be. Nothing is hashed or fetched."""
    catalog = official_models() if catalog is None else catalog
    folder = _folder(model_dir)
    places = {name: folder / _file_name(url) for name, url in catalog.items()}
    return [
        Entry(name, path.is_file(), str(path), path.stat().st_size if path.is_file() else None)
        for name, path in {**places, DEMO: _demo_path()}.items()
    ]


def load(checkpoint: Checkpoint, device: str) -> Whisper:
    """Load a checkpoint onto a device, as `whisper.load_model` does.

    Only weights are read: a file that would run code when it is loaded is refused. The file
    is mapped into memory, not read into it, where its format allows.

    Raises:
        ModelError: the file is not a Whisper checkpoint.
    """
    import torch
    from whisper import _ALIGNMENT_HEADS
    from whisper.model import ModelDimensions, Whisper

    try:
        content = torch.load(
            checkpoint.path,
            map_location="cpu",
            weights_only=True,
            mmap=_can_be_mapped(checkpoint.path),
        )
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} instead of a dictionary")
        model = Whisper(ModelDimensions(**content["dims"]))
        model.load_state_dict(content["model_state_dict"])
    except pickle.UnpicklingError:
        # torch's own message advises to load the file without this protection.
        raise ModelError(
            f"{checkpoint.path} is not a Whisper checkpoint: it does not hold plain weights, and "
            "nothing in it was run"
        ) from None
    except (RuntimeError, EOFError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"{checkpoint.path} is not a Whisper checkpoint as openai-whisper saves it: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from None
    except OSError as error:
        raise ModelError(f"the model file {checkpoint.path} cannot be read: {error}") from None
    if checkpoint.official:
        model.set_alignment_heads(_ALIGNMENT_HEADS[checkpoint.name])
    return model.to(device)


def pick_device(device: str) -> str:
    """`auto` is CUDA if there is one, else the CPU; others must be there.

    Raises:
        ConfigurationError: no such device on this machine, or not a device's name.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise ConfigurationError(f"device {device!r}: choose auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise ConfigurationError(
            f"device {device!r}: PyTorch finds no CUDA device on this machine; choose auto or cpu"
        )
    count = torch.cuda.device_count()
    if match[1] is not None and int(match[1]) >= count:
        raise ConfigurationError(
            f"device {device!r}: this machine has {count} CUDA device(s), counted from cuda:0"
        )
    return device


def pick_precision(precision: str, device: str) -> str:
    """Of matrix products: `auto` is `float16` on CUDA and `float32` on a CPU.

    Raises:
        ConfigurationError: no such precision, or one that the device does not compute in.
    """
    import torch

    cuda = device.startswith("cuda")
    if precision == "auto":
        return "float16" if cuda else "float32"
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if precision == "float16" and not cuda:
        raise ConfigurationError(
            "precision 'float16' is for graphics cards: choose auto, float32 or bfloat16 on a CPU"
        )
    if precision == "bfloat16":
        # Without instructions for it, a device imitates it, slower than float32.
        if cuda:
            has_it = torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere
        else:
            known = torch.cpu.get_capabilities()
            has_it = any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        if not has_it:
            raise ConfigurationError(
                f"precision 'bfloat16': the device {device} has no instructions for it; choose auto"
            )
    return precision


def _folder(model_dir: str | None) -> Path:
    """Where official checkpoints are: openai-whisper's own rule, unless told otherwise."""
    if model_dir is not None:
        return Path(model_dir).expanduser()
    cache = os.getenv("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    return Path(cache) / "whisper"


def _demo_path() -> Path:
    given = os.environ.get(DEMO_VARIABLE)
    return Path(given) if given else Path(__file__).resolve().parents[3] / "models" / "demo.pt"


def _file_name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _expected_digest(url: str) -> str:
    return url.split("/")[-2]


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
        return catalog[name], folder / _file_name(catalog[name])
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(
            f"there is no model {name!r}: give the path of a checkpoint file, {DEMO!r}, or one of "
            f"{', '.join(catalog)}"
        )
    return None, path


def _checked(name: str, url: str | None, path: Path, digest: str) -> Checkpoint:
    if url is not None and digest != _expected_digest(url):
        raise ModelError(
            f"{path} is not the official model {name!r}: its SHA-256 is {digest}, not "
            f"{_expected_digest(url)}; delete it, then `nightscribe models fetch {name}` gets it"
        )
    return Checkpoint(name, str(path), digest, official=url is not None)


def _obtain(name: str, url: str, path: Path, *, fetch: bool) -> None:
    """Download to `path`, or say in one sentence why not and what to do."""
    because = ""
    if fetch:
        try:
            with _only_writer(path):
                if not path.is_file():  # another process may just have finished it
                    _download(name, url, path)
            return
        except (OSError, http.client.HTTPException) as error:
            because = (
                f" and could not be downloaded ({str(error).strip('<>') or type(error).__name__})"
            )
    raise ModelError(
        f"the model {name!r} is not at {path}{because}: run `nightscribe models fetch {name}` on a "
        f"connected machine and copy {path.name} to {path.parent}, or set NIGHTSCRIBE_MODEL_DIR to "
        "the folder that has it"
    )


@contextlib.contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Let one process at a time download into the folder, and clear what killed ones left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder. Then two processes may download the
        # same file, each to a name of its own, and nothing is cleared.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in path.parent.glob(f".{path.name}.*.part"):
                left.unlink()
        yield
    finally:
        os.close(handle)


def _download(name: str, url: str, path: Path) -> None:
    """Download to a temporary name; the real name appears with the whole, verified file."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as source, open(part, "xb") as file:
            size = int(source.headers.get("Content-Length") or 0)
            with Progress(f"fetching {name}", 1, size / 1e6, "MB") as progress:
                while chunk := source.read(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    progress.add(len(chunk) / 1e6, items=int(received == size))
            file.flush()
            os.fsync(file.fileno())
        if size and received != size:
            raise OSError(f"the connection ended after {received} of {size} bytes")
        if digest.hexdigest() != _expected_digest(url):
            raise ModelError(
                f"what {url} gave is not the model {name!r}: its SHA-256 is {digest.hexdigest()}; "
                "nothing was kept; try again, or look for a proxy that answers in its place"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _digest(path: Path, folder: Path, *, anew: bool = False) -> str:
    """SHA-256 of a file; unless `anew`, from the known digests if the file is as it was."""
    try:
        state = path.stat()
        key, stamp = str(path.resolve()), [state.st_size, state.st_mtime_ns]
        entry = _known_digests(folder).get(key)
        if not anew and isinstance(entry, list) and entry[:2] == stamp:
            return str(entry[2])
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error}") from None
    if state.st_size >= REMEMBERED_BYTES:
        _remember(folder, key, [*stamp, digest])
    return digest


def _known_digests(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(folder: Path, key: str, entry: list[Any]) -> None:
    known = {**_known_digests(folder), key: entry}
    unfinished = folder / f".{DIGESTS}.{uuid.uuid4().hex}"
    # Remembering saves time and no more: a full or read-only disk is no reason to fail.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(unfinished, folder / DIGESTS)
        finally:
            unfinished.unlink(missing_ok=True)


def _can_be_mapped(path: str) -> bool:
    """Whether the tensors lie in the file as they are: in a zip archive, uncompressed."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no details").splitlines()[0]
