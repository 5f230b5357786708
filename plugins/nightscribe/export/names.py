"""Names of exported files. They follow from the place of a recording alone.

So the file of a recording has the same name whatever else is exported, in every run, and no two
places share one. The parts of a name:

    radio-e9350745 / old.zip / 2024 / talk.wav .translate .srt
    collection       zip       member            task      format

A collection's folder has its name and the first digits of the SHA-256 of its URI. Names are not
shortened: programs could not foresee what a shortened one is.
"""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import PurePosixPath

from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.uris import join_uri

__all__ = ["UnusableName", "name_in_own_folder", "name_of"]

_DIGITS = 8  # of a digest; 32 bits tell collections of one name apart
_NAME_BYTES = 200  # of a name to which more is added, of 255


class UnusableName(Exception):
    """A member's path that no file may have; the message says why."""


def name_of(collection: str, archive: str, member: str, task: str) -> PurePosixPath:
    """The path of a transcript's file below the export folder, without the suffix of the format.

    Raises:
        UnusableName: the path has `..` or control characters

    >>> name_of("s3://a/radio", "s3://a/radio/old.zip", "2024/talk.wav", "translate")
    PurePosixPath('radio-872c9a23/old.zip/2024/talk.wav.translate')
    """
    within = archive == collection or archive.startswith(collection.rstrip("/") + "/")
    # A file that was given alone is a member of its folder, as if the folder were given.
    root = collection if within else archive
    container = archive[len(root) :].strip("/")
    path = f"{container}/{member}" if container else member
    parts = path.split("/")
    if ".." in parts:
        raise UnusableName("its path has a `..`, so its file could lie outside the folder")
    if any(map(_is_control, path)):
        raise UnusableName("its path has control characters, so programs would misread its name")
    shown = [part for part in parts if part not in {"", "."}]
    if not shown:
        raise UnusableName("its path names no file")
    name = shown.pop()
    if _may_be_shared(parts, is_plain=not container, task=task):
        name += f"-{_digest(join_uri(archive, member))}"
    if task == "translate":
        name += ".translate"
    return PurePosixPath(_folder(root), *shown, name)


def name_in_own_folder(name: str, task: str) -> str:
    """The name of a transcript's file in a folder of its recording, without the format's suffix.

    It is the name of the recording's file; or the task, if that name is too long or has control
    characters.

    >>> name_in_own_folder("talk.wav", "translate")
    'talk.wav.translate'
    """
    if len(name.encode()) > _NAME_BYTES or any(map(_is_control, name)):
        return task
    return f"{name}.translate" if task == "translate" else name


def _is_control(character: str) -> bool:
    """Whether a character ends a line or controls a terminal."""
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"}


def _may_be_shared(parts: list[str], *, is_plain: bool, task: str) -> bool:
    """Whether the file of another place could have the same path. Rare outside object stores."""
    # `a//b.wav` beside `a/b.wav`, and a folder `a.zip` beside a zip of this name.
    is_odd = bool({"", "."} & set(parts))
    is_like_a_container = is_plain and any(kind_of(part) is Kind.CONTAINER for part in parts[:-1])
    is_like_a_translation = task != "translate" and parts[-1].endswith(".translate")
    return is_odd or is_like_a_container or is_like_a_translation


def _folder(root: str) -> str:
    name = root.rstrip("/").rpartition("/")[2]
    name = "".join("_" if _is_control(character) else character for character in name)
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{name}-{_digest(root)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
