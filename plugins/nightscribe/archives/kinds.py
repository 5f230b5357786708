"""The kind of a file by its name: audio, container, manifest, or none of these."""

from __future__ import annotations

import os
import re
from enum import StrEnum

from nightscribe.archives.names import is_hidden

__all__ = [
    "AUDIO_SUFFIXES",
    "CONTAINER_SUFFIXES",
    "MANIFEST_NAMES",
    "Kind",
    "compressed_name",
    "kind_of",
    "suffix_of",
]

AUDIO_SUFFIXES = frozenset(
    [
        *(".wav", ".flac", ".aiff", ".aif", ".aifc", ".mp3", ".ogg", ".oga", ".opus"),
        *(".m4a", ".aac", ".wma", ".mka", ".mp4", ".m4v", ".mov", ".webm", ".mkv"),
        # From telephones, recorders and broadcasters. Some of these suffixes have other uses
        # (`.ts`, `.au`). A file that is not audio is then rejected, which people see; a file that
        # is ignored leaves no trace.
        *(".amr", ".awb", ".3gp", ".3g2", ".au", ".snd", ".voc", ".spx", ".caf", ".w64"),
        *(".mp2", ".mpga", ".ac3", ".eac3", ".wv", ".ape", ".tta", ".mpc", ".weba"),
        *(".ts", ".m2ts", ".mts", ".mxf", ".mpg", ".mpeg", ".avi", ".wmv", ".asf", ".flv"),
        *(".wave", ".bwf", ".rf64", ".gsm", ".dts", ".dtshd", ".3gpp", ".3gpp2", ".m4b", ".m4r"),
        *(".m4p", ".f4v", ".f4a", ".mj2", ".psp", ".ism", ".isma", ".ismv", ".qt"),
        *(".ogv", ".ogx", ".m2t", ".m2p", ".vob", ".evo", ".mpa", ".m2a", ".mp1", ".ec3", ".adts"),
        *(".ra", ".rm", ".rmvb", ".apl", ".mac", ".mk3d", ".mks", ".tak", ".thd", ".nut", ".dsf"),
        *(".oma", ".aa3", ".omg", ".xwma", ".divx", ".afc"),
    ]
)
CONTAINER_SUFFIXES = (
    *(".zip", ".tar", ".tar.gz", ".tgz"),
    *(".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"),
)
UNSUPPORTED_SUFFIXES = (
    *(".7z", ".rar", ".tar.lz", ".tlz", ".tar.lz4", ".tar.lzma", ".tar.z"),
    *(".cab", ".iso", ".lzh", ".lha", ".ace", ".arj", ".cpio", ".rpm", ".deb", ".z01", ".zipx"),
)
_EXPANDED = re.compile(r"\.(gz|bz2|xz|zst)$")
_COMPRESSED = re.compile(r"\.(gz|bz2|xz|zst|lz|lz4|lzma|z)$")
# What is put behind a name: the query of an address, the number of a rotated or split file.
_APPENDED = re.compile(r"(\?.*|(\.[0-9]{1,3}){1,2})$", re.DOTALL)
MANIFEST_NAMES = frozenset({"manifest.csv", "manifest.tsv", "manifest.jsonl"})


class Kind(StrEnum):
    """The kind of a file. Files of no kind are passed over."""

    AUDIO = "audio"
    CONTAINER = "container"
    MANIFEST = "manifest"
    UNSUPPORTED = "unsupported"  # an archive or a compression that is not read


def suffix_of(name: str) -> str:
    """The suffix under which a file that is passed over is counted.

    >>> suffix_of("radio/Notes.TXT"), suffix_of("README"), suffix_of(".cache/a.wav")
    ('.txt', '(none)', '(hidden)')
    """
    if any(map(is_hidden, name.split("/"))):
        return "(hidden)"
    return os.path.splitext(name.rpartition("/")[2].lower())[1] or "(none)"


def kind_of(name: str) -> Kind | None:
    """The kind of a file by its name or path; None for other files.

    >>> kind_of("radio/talk.WAV"), kind_of("radio/2024.tar.gz"), kind_of("notes.txt")
    (<Kind.AUDIO: 'audio'>, <Kind.CONTAINER: 'container'>, None)
    """
    base = name.rpartition("/")[2].lower()
    if os.path.splitext(base)[1] in AUDIO_SUFFIXES:
        return Kind.AUDIO
    if base.endswith(CONTAINER_SUFFIXES) or compressed_name(base) is not None:
        return Kind.CONTAINER
    if base in MANIFEST_NAMES:
        return Kind.MANIFEST
    if _is_unsupported(base):
        return Kind.UNSUPPORTED
    stem = _APPENDED.sub("", base)
    if stem == base:
        return None
    if os.path.splitext(stem)[1] in AUDIO_SUFFIXES:
        return Kind.AUDIO
    # A part of a split archive, or an archive with a query behind its name.
    archive = stem.endswith(CONTAINER_SUFFIXES) or _is_unsupported(stem)
    return Kind.UNSUPPORTED if archive else None


def _is_unsupported(base: str) -> bool:
    if base.endswith(UNSUPPORTED_SUFFIXES):
        return True
    stem = _COMPRESSED.sub("", base)
    return stem != base and kind_of(stem) is not None


def compressed_name(name: str) -> str | None:
    """The name of the recording in a file that holds this one recording, compressed; else None.

    >>> compressed_name("radio/Talk.WAV.gz"), compressed_name("radio/2024.tar.gz")
    ('Talk.WAV', None)
    """
    base = name.rpartition("/")[2]
    ending = _EXPANDED.search(base.lower())
    stem = base[: ending.start()] if ending else ""
    return stem if stem and kind_of(stem) is Kind.AUDIO else None
