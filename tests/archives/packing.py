"""Trees of files, packed in every way, and what is read of them."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from nightscribe.archives.entries import Member, PassedOver, Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.errors import Reason
from nightscribe.settings import ArchiveLimits

LIMITS = ArchiveLimits()


MIB = 1024 * 1024


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def write_tree(root: Path, tree: dict[str, bytes]) -> Path:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(
    path: Path, tree: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in tree:
            # A ZipInfo of one's own keeps the name as given.
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = method
            archive.writestr(info, content)
    return path


def write_tar(path: Path, tree: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in tree:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def read_all(
    path: Path, limits: ArchiveLimits = LIMITS
) -> tuple[dict[str, bytes], list[Rejection]]:
    """Contents by member, and rejections, of a container read front to back."""
    contents: dict[str, bytes] = {}
    rejections = []
    for item in read_container(str(path), limits):
        if isinstance(item, Member):
            contents[item.member] = item.file.read()
        elif not isinstance(item, PassedOver):
            rejections.append(item)
    return contents, rejections


def opened(
    sources: list[tuple[str, str]], limits: ArchiveLimits = LIMITS
) -> dict[tuple[str, str], bytes | Rejection]:
    answers: dict[tuple[str, str], bytes | Rejection] = {}
    for source, answer in open_sources(sources, limits):
        assert source not in answers, "answered twice"
        answers[source] = answer if isinstance(answer, Rejection) else answer.read()
    return answers


def reasons(rejections: Iterable[Rejection]) -> dict[str, Reason]:
    return {rejection.uri.partition("!/")[2]: rejection.reason for rejection in rejections}


TREE = {
    "one.wav": noise(3000, 1),
    "sub/two.flac": noise(5, 2),
    "sub/deep/three.mp3": b"3" * 2000,
    "manifest.csv": b"path\none.wav\n",
}
