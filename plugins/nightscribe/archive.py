"""Find the recordings of an archive, and open them where they lie.

An archive is a folder, an object-store prefix, a zip or a tar. A scan is given a
*collection* (any of these); zips and tars inside a folder or prefix are archives of their
own. A recording's place is (archive URI, member path); in writing, `archive!/member`.

Nothing here writes to an archive or unpacks it. A member that can be read in place is;
any other is held in memory up to `ArchiveLimits.spool_bytes` and in an unnamed temporary
file beyond that, one member at a time. What cannot be used becomes a `Rejection`, and the
rest goes on.

Member paths are written as `nightscribe.storage.encode_path` does. When a container holds
a name twice (tar lets a file be added again), no content is lost: the first keeps its
name, `talk.wav`, and the n-th is called `talk%00n.wav`, which no file can be called.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol, cast

from nightscribe import manifest
from nightscribe.errors import ConfigurationError, NightscribeError, Reason, Rejected, told_if_full
from nightscribe.file_slice import open_slice
from nightscribe.settings import MIB, ArchiveLimits
from nightscribe.storage import (
    Place,
    Stat,
    decode_path,
    encode_path,
    locate,
    stat_of,
    stat_of_info,
)

AUDIO_SUFFIXES = frozenset(
    [
        *(".wav", ".flac", ".aiff", ".aif", ".aifc", ".mp3", ".ogg", ".oga", ".opus"),
        *(".m4a", ".aac", ".wma", ".mka", ".mp4", ".m4v", ".mov", ".webm", ".mkv"),
        # From telephones, recorders and broadcasters. Some of these suffixes have other uses
        # (`.ts`, `.au`): such a file is rejected, which is seen; one passed over is not.
        *(".amr", ".awb", ".3gp", ".3g2", ".au", ".snd", ".voc", ".spx", ".caf", ".w64"),
        *(".mp2", ".mpga", ".ac3", ".eac3", ".wv", ".ape", ".tta", ".mpc", ".weba"),
        *(".ts", ".m2ts", ".mts", ".mxf", ".mpg", ".mpeg", ".avi", ".wmv", ".asf", ".flv"),
    ]
)
CONTAINER_SUFFIXES = (
    *(".zip", ".tar", ".tar.gz", ".tgz"),
    *(".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
)

_CHUNK = MIB  # bytes read at a time
_RATIO_GRACE = MIB  # bytes a zip member may expand to before its ratio is looked at
# A compressed tar has no boundary between members to measure a ratio at, so it is measured
# from the container's start, where half an hour of digital silence must not look like a bomb.
_TAR_RATIO_GRACE = 64 * MIB
_ZIP_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_HEADER_LIMIT = MIB  # bytes of one tar header; extended ones hold names and attributes
_ROOTED = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_SEPARATORS = re.compile(r"[/\\]")

# What the readers of zip, tar and compressed streams raise over damaged bytes. Damage also
# shows as an OSError without an errno (gzip, bz2); one with an errno is the disk's.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    NotImplementedError,
    OverflowError,
    RecursionError,
)


class Kind(StrEnum):
    """What a name promises; other names are ignored."""

    AUDIO = "audio"
    CONTAINER = "container"
    MANIFEST = "manifest"


def source_uri(archive: str, member: str) -> str:
    """One string for a place: `archive!/member`, or the archive itself without a member."""
    return f"{archive}!/{member}" if member else archive


@dataclass(frozen=True, slots=True)
class File:
    """A file seen in a collection, not opened.

    An audio file or manifest is a member of the collection's folder. A container is an
    archive of its own: `archive` is its URI and `member` is empty.
    """

    collection: str
    archive: str
    member: str
    kind: Kind
    size_bytes: int
    version: str

    @property
    def uri(self) -> str:
        return source_uri(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input that cannot be used: a row of the `rejected` table, as data."""

    uri: str
    version: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a container; `file` is seekable and lives until the next is asked for."""

    archive: str
    member: str
    position: int
    size_bytes: int
    version: str
    kind: Kind
    file: BinaryIO

    @property
    def uri(self) -> str:
        return source_uri(self.archive, self.member)


def kind_of(name: str) -> Kind | None:
    """What a file of this name is taken for; None for what is not ours."""
    base = name.rpartition("/")[2].lower()
    if os.path.splitext(base)[1] in AUDIO_SUFFIXES:
        return Kind.AUDIO
    if base.endswith(CONTAINER_SUFFIXES):
        return Kind.CONTAINER
    return Kind.MANIFEST if base in manifest.NAMES else None


# --------------------------------------------------------------------------- listing


def list_files(collection_uri: str) -> Iterator[File | Rejection]:
    """Every audio file, container and manifest of a collection, found without opening any.

    Streams in a fixed order: the files of a folder by name, then its sub-folders. Memory
    grows with the largest single folder only. Hidden files and other extensions are
    ignored; empty files, unsafe names, links that lead outside and folders that cannot be
    read are rejections. A collection may also be one file.

    Raises:
        ConfigurationError: the collection does not exist, or access to it is refused.
        NightscribeError: it cannot be read at the moment.
    """
    place = locate(collection_uri)
    try:
        status = place.stat()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{place.uri}: no such archive; check the path, or the bucket and prefix"
        ) from None
    except Exception as error:
        # Each store has its own exceptions for refused or missing credentials.
        raise _unreadable_collection(place, error) from error
    if not status.is_folder:
        return iter([_single_file(place, status)])
    return _list_folder(place) if place.filesystem is None else _list_prefix(place)


def _unreadable_collection(place: Place, error: Exception) -> NightscribeError:
    message = f"{place.uri}: this archive cannot be read: {type(error).__name__}: {error}"
    # What is refused stays refused; anything else, such as a time-out, may pass.
    refused = isinstance(error, PermissionError) or "Credential" in type(error).__name__
    return ConfigurationError(message) if refused else NightscribeError(message)


def _single_file(place: Place, status: Stat) -> File | Rejection:
    folder, _, name = place.uri.rpartition("/")
    if kind_of(name) is Kind.CONTAINER:
        return _file(place.uri, place.uri, "", Kind.CONTAINER, status)
    if place.filesystem is not None:
        name = encode_path(name)
    # Asked for by name, so taken for audio whatever its extension.
    return _file(place.uri, folder, name, kind_of(name) or Kind.AUDIO, status)


def _file(collection: str, archive: str, member: str, kind: Kind, status: Stat) -> File | Rejection:
    if status.size_bytes == 0:
        uri = source_uri(archive, member)
        return Rejection(uri, status.version, Reason.EMPTY_FILE, "the file has no bytes")
    return File(collection, archive, member, kind, status.size_bytes, status.version)


def _found(root: Place, relative: str, kind: Kind, status: Stat) -> File | Rejection:
    member = encode_path(relative)
    if _is_unsafe(relative):
        return _rejection(root.uri, member, status.version, _unsafe())
    if kind is Kind.CONTAINER:
        return _file(root.uri, root.child(member).uri, "", kind, status)
    return _file(root.uri, root.uri, member, kind, status)


def _list_folder(root: Place) -> Iterator[File | Rejection]:
    real_root = os.path.realpath(root.path)
    waiting = [""]  # folders, relative to the root, with a trailing slash
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(os.path.join(root.path, prefix)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise _unreadable_collection(root, error) from error
            member = encode_path(prefix.rstrip("/"))
            yield _rejection(root.uri, member, "", _unreadable("this folder", error))
            continue
        folders = []
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{prefix}{entry.name}/")
            elif (kind := kind_of(entry.name)) is not None:
                relative = prefix + entry.name
                try:
                    if (status := _regular_file(entry, real_root)) is not None:
                        yield _found(root, relative, kind, status)
                except Rejected as rejected:
                    yield _rejection(root.uri, encode_path(relative), "", rejected)
                except OSError as error:
                    fault = _unreadable("this file", error)
                    yield _rejection(root.uri, encode_path(relative), "", fault)
        waiting.extend(reversed(folders))


def _regular_file(entry: os.DirEntry[str], real_root: str) -> Stat | None:
    """What a folder's entry is; None for a link to a folder, which is not followed."""
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if os.path.commonpath([real_root, target]) != real_root:
            raise Rejected(Reason.LINK_MEMBER, "a link that leads outside the archive")
        if not os.path.exists(target):
            raise Rejected(Reason.LINK_MEMBER, "a link that leads nowhere")
    status = entry.stat()
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise Rejected(Reason.LINK_MEMBER, "a device, pipe or socket, not a file")
    return stat_of(status)


def _list_prefix(root: Place) -> Iterator[File | Rejection]:
    filesystem = root.filesystem
    assert filesystem is not None
    waiting = [root.path]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(filesystem.ls(folder, detail=True), key=lambda entry: entry["name"])
        except PermissionError as error:
            member = encode_path(folder[len(root.path) :].strip("/"))
            yield _rejection(root.uri, member, "", _unreadable("this prefix", error))
            continue
        finally:
            # Listings are cached by some file systems: stale by the next night, and unbounded.
            filesystem.invalidate_cache(folder)
        folders = []
        for entry in entries:
            status = stat_of_info(entry)
            relative = entry["name"][len(root.path) :].lstrip("/")
            base = entry["name"].rstrip("/").rpartition("/")[2]
            if entry["name"].rstrip("/") == folder.rstrip("/"):
                # The object that marks the folder itself, or a key with an empty folder name
                # ("a//b.wav"), which cannot be listed one level at a time.
                if status.is_folder:
                    detail = "keys below have an empty folder name (`//`); rename them"
                    rejected = Rejected(Reason.UNSAFE_MEMBER_NAME, detail)
                    yield _rejection(root.uri, encode_path(relative.rstrip("/")), "", rejected)
            elif _is_hidden(base):
                continue
            elif status.is_folder:
                folders.append(entry["name"])
            elif not relative.endswith("/") and (kind := kind_of(base)) is not None:
                yield _found(root, relative, kind, status)
        waiting.extend(reversed(folders))


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name == "__MACOSX"


def _is_unsafe(path: str) -> bool:
    return "\0" in path or _ROOTED.match(path) is not None or ".." in _SEPARATORS.split(path)


def _unsafe() -> Rejected:
    return Rejected(
        Reason.UNSAFE_MEMBER_NAME,
        "the name is absolute, climbs out with `..`, names a drive, or holds a NUL",
    )


def _unreadable(what: str, error: Exception) -> Rejected:
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Rejected(Reason.UNREADABLE, f"{what} cannot be read: {cause or type(error).__name__}")


def _rejection(archive: str, member: str, version: str, rejected: Rejected) -> Rejection:
    return Rejection(source_uri(archive, member), version, rejected.reason, rejected.detail)


# --------------------------------------------------------------------------- opening

Answer = tuple[str, Member | Rejection]
"""(member path, what came of it); an empty path is the container itself."""


def read_container(archive_uri: str, limits: ArchiveLimits) -> Iterator[Member | Rejection]:
    """The recordings and manifests of a zip or tar, in the order in which they lie in it.

    One pass, front to back, also over compressed tars. `position` counts all members, those
    of no interest too. Damage to the container itself is a rejection of its URI, the last
    thing yielded; the members before it are used.
    """
    for _, answer in _read(locate(archive_uri), limits, None):
        yield answer


def open_sources(
    sources: Sequence[tuple[str, str]], limits: ArchiveLimits
) -> Iterator[tuple[tuple[str, str], BinaryIO | Rejection]]:
    """Open many (archive URI, member path); each is answered once, archive by archive.

    Inside an archive the order is the archive's own, so that each container is opened once
    and a compressed tar is read through once. A file lives until the next is asked for. A
    source that is no longer there is a CHANGED rejection.
    """
    by_archive: dict[str, dict[str, None]] = {}
    for archive, member in sources:
        by_archive.setdefault(archive, {})[member] = None
    for archive, members in by_archive.items():
        place = locate(archive)
        if _is_container(place):
            yield from _open_members(archive, place, set(members), limits)
        else:
            for member in members:
                answer = _open_file(archive, place, member, limits)
                try:
                    yield (archive, member), answer
                finally:
                    if not isinstance(answer, Rejection):
                        answer.close()


def _is_container(place: Place) -> bool:
    if kind_of(place.path) is not Kind.CONTAINER:
        return False
    try:
        return not place.stat().is_folder
    except OSError:
        return True


def _open_members(
    archive: str, place: Place, missing: set[str], limits: ArchiveLimits
) -> Iterator[tuple[tuple[str, str], BinaryIO | Rejection]]:
    rest = Rejected(Reason.CHANGED, "the archive no longer holds this member")
    version = ""
    with closing(_read(place, limits, frozenset(missing))) as answers:
        for member, answer in answers:
            if member and member in missing:
                missing.discard(member)
                yield (archive, member), answer.file if isinstance(answer, Member) else answer
            elif isinstance(answer, Rejection):
                rest, version = Rejected(answer.reason, answer.detail), answer.version
            if not missing:
                return
    for member in sorted(missing):
        yield (archive, member), _rejection(archive, member, version, rest)


def _open_file(
    archive: str, folder: Place, member: str, limits: ArchiveLimits
) -> BinaryIO | Rejection:
    place = folder.child(member)
    try:
        if not member or _is_unsafe(decode_path(member)):
            raise _unsafe()
        if place.filesystem is None:
            return _open_local_file(folder.path, place)
        with place.open() as remote:
            # Known from opening it; asking the store again would be one more round trip.
            size_bytes = cast(_Sized, remote).size
            if size_bytes == 0:
                raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
            return _spool(remote, size_bytes, limits)
    except Rejected as rejected:
        return _rejection(archive, member, "", rejected)
    except (FileNotFoundError, NotADirectoryError):
        changed = Rejected(Reason.CHANGED, "the file is no longer there")
        return _rejection(archive, member, "", changed)
    except OSError as error:
        if place.filesystem is not None and not isinstance(error, PermissionError):
            # A store that cannot be reached is no fault of the file's: let it be retried.
            raise
        return _rejection(archive, member, "", _unreadable("this file", error))


class _Sized(Protocol):
    size: int


def _open_local_file(folder: str, place: Place) -> BinaryIO:
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(place.path)]) != root:
        raise Rejected(Reason.LINK_MEMBER, "a link that leads outside the archive")
    status = os.stat(place.path)
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for ever.
        raise Rejected(Reason.LINK_MEMBER, "a folder, device, pipe or socket, not a file")
    if status.st_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    return place.open()


# --------------------------------------------------------------------------- containers


class _ContainerRejected(Rejected):
    """Ends the reading of a container, where `Rejected` sets one member aside."""


def _read(
    place: Place, limits: ArchiveLimits, wanted: frozenset[str] | None
) -> Generator[Answer, None, None]:
    """Answers for the members of a container; only for those `wanted`, unless None."""
    version = ""
    try:
        status = place.stat()
        version = status.version
        if status.size_bytes == 0:
            raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
        with place.open() as raw:
            container = _Container(place, raw, status.size_bytes, limits, wanted)
            if place.path.lower().endswith(".zip"):
                yield from _read_zip(container)
            else:
                yield from _read_tar(container)
        return
    except Rejected as error:
        fault = error
    except FileNotFoundError:
        fault = Rejected(Reason.CHANGED, "the container is no longer there")
    except OSError as error:
        if error.errno is None:
            fault = _damaged(error)
        elif place.filesystem is None or isinstance(error, PermissionError):
            fault = _unreadable("this container", error)
        else:
            # A store that cannot be reached is no fault of the container's: let it be retried.
            raise
    except _DAMAGE as error:
        fault = _damaged(error)
    yield "", _rejection(place.uri, "", version, fault)


def _damaged(error: BaseException) -> Rejected:
    return Rejected(Reason.CORRUPT_ARCHIVE, str(error) or type(error).__name__)


class _Container:
    """A container being read: which of its members are of interest, and what it has cost."""

    def __init__(
        self,
        place: Place,
        raw: BinaryIO,
        size_bytes: int,
        limits: ArchiveLimits,
        wanted: frozenset[str] | None,
    ) -> None:
        self.place = place
        self.raw = raw
        self.size_bytes = size_bytes
        self.limits = limits
        self._wanted = wanted
        self._expanded = 0
        self._seen: Counter[str] = Counter()

    @property
    def descriptor(self) -> int | None:
        """The open file's, if members can be read in place."""
        return self.raw.fileno() if self.place.filesystem is None else None

    def admit(
        self, name: str, position: int, *, is_folder: bool
    ) -> tuple[str, Kind, Rejected | None] | None:
        """(member path, kind, what is wrong with the name) of a member; None to pass it by."""
        if position >= self.limits.max_members:
            raise _ContainerRejected(
                Reason.ARCHIVE_LIMIT, f"more than {self.limits.max_members} members"
            )
        kind = kind_of(name)
        # A folder's name may end like a recording's.
        if is_folder or kind is None:
            return None
        unsafe = _is_unsafe(name)
        if not unsafe:
            parts = [part for part in name.split("/") if part not in ("", ".")]
            if any(map(_is_hidden, parts)):
                return None
            name = "/".join(parts)
        member = encode_path(name)
        self._seen[member] += 1
        if (times := self._seen[member]) > 1:
            stem, suffix = os.path.splitext(member)
            member = f"{stem}%00{times}{suffix}"
        if self._wanted is not None and member not in self._wanted:
            return None
        if unsafe:
            return member, kind, _unsafe()
        if kind is Kind.CONTAINER:
            nested = Rejected(Reason.NESTED_ARCHIVE, "an archive inside an archive; unpack it once")
            return member, kind, nested
        return member, kind, None

    def expand(self, count: int) -> None:
        """Account for bytes that came out of the container."""
        self._expanded += count
        if self._expanded > self.limits.max_expanded_bytes:
            raise _ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"the archive expands to more than {self.limits.max_expanded_bytes} bytes",
            )


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@told_if_full()
def _spool(
    source: _Readable,
    size_bytes: int,
    limits: ArchiveLimits,
    container: _Container | None = None,
    ceiling: int | None = None,
) -> BinaryIO:
    """Copy a stream to where it can be sought in; `size_bytes` is only a hint.

    More bytes than `ceiling`, once past a grace, are taken for a bomb.
    """
    spooled = tempfile.SpooledTemporaryFile(max_size=limits.spool_bytes)  # noqa: SIM115
    target = cast(BinaryIO, spooled)
    done = 0
    try:
        if size_bytes > limits.spool_bytes:
            spooled.rollover()
        while chunk := source.read(_CHUNK):
            done += len(chunk)
            if container is not None:
                container.expand(len(chunk))
            _check_member(done, ceiling, limits)
            target.write(chunk)
        target.seek(0)
    except BaseException:
        with suppress(OSError):  # closing writes what is buffered, and would fail again
            target.close()
        raise
    return target


def _check_member(expanded: int, ceiling: int | None, limits: ArchiveLimits) -> None:
    if expanded > limits.max_member_bytes:
        raise Rejected(
            Reason.ARCHIVE_LIMIT, f"expands to more than {limits.max_member_bytes} bytes"
        )
    if ceiling is not None and expanded > max(ceiling, _RATIO_GRACE):
        raise Rejected(
            Reason.ARCHIVE_LIMIT, f"expands to more than {limits.max_ratio:g} times its size"
        )


# --------------------------------------------------------------------------- zip


def _read_zip(container: _Container) -> Iterator[Answer]:
    with zipfile.ZipFile(container.raw) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        for position, info in enumerate(infos):
            admitted = container.admit(_zip_name(info), position, is_folder=info.is_dir())
            if admitted is None:
                continue
            member, kind, fault = admitted
            version = f"{info.CRC:08x}"
            try:
                if fault is not None:
                    raise fault
                file = _open_zip_member(container, archive, info)
            except _ContainerRejected:
                raise
            except Rejected as rejected:
                yield member, _rejection(container.place.uri, member, version, rejected)
                continue
            except _DAMAGE as error:
                yield member, _rejection(container.place.uri, member, version, _damaged(error))
                continue
            with file:
                yield (
                    member,
                    Member(
                        container.place.uri, member, position, info.file_size, version, kind, file
                    ),
                )


def _zip_name(info: zipfile.ZipInfo) -> str:
    # `filename` ends at the first NUL; `orig_filename` is what the archive says.
    name = info.orig_filename
    if not info.flag_bits & 0x800 and not name.isascii():
        # Not marked as UTF-8, so decoded as CP437. macOS and many others write UTF-8 all the
        # same, and other text is hardly ever valid UTF-8 by chance.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    # Writers on DOS and Windows (system 0) may separate folders as they are used to.
    return name.replace("\\", "/") if info.create_system == 0 else name


def _open_zip_member(
    container: _Container, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> BinaryIO:
    limits = container.limits
    if stat.S_IFMT(info.external_attr >> 16) == stat.S_IFLNK:
        raise Rejected(Reason.LINK_MEMBER, "a symbolic link")
    if info.flag_bits & 0x1:
        raise Rejected(Reason.ENCRYPTED_MEMBER, "needs a password; pack it without one")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The other methods of `zipfile` expand without a bound on memory.
        method = _ZIP_METHODS.get(info.compress_type, "unknown")
        raise Rejected(
            Reason.UNREADABLE,
            f"compression method {info.compress_type} ({method}); pack it stored or deflated",
        )
    if info.file_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the member has no bytes")
    _check_member(info.file_size, None, limits)
    # Overstating the compressed size gains nothing: zipfile reads that many bytes or fails.
    ceiling = int(info.compress_size * limits.max_ratio)
    with archive.open(info) as stream:
        if info.compress_type != zipfile.ZIP_STORED or container.descriptor is None:
            return _spool(stream, info.file_size, limits, container, ceiling)
        # Read through once for the check sum, so that what is handed out is known to be whole.
        while chunk := stream.read(_CHUNK):
            container.expand(len(chunk))
    header = os.pread(container.descriptor, 30, info.header_offset)
    name_length, extra_length = struct.unpack_from("<HH", header, 26)
    start = info.header_offset + len(header) + name_length + extra_length
    return open_slice(container.descriptor, start, info.file_size)


# --------------------------------------------------------------------------- tar


class _TarStream:
    """What tarfile needs of a file, over one that may only go forward; guards what it reads.

    tarfile reads a whole header at once, however long it says it is, and takes damage after
    the first member for the end: `read` refuses the one, `last` lets the other be told.
    """

    def __init__(self, container: _Container) -> None:
        raw = container.raw
        magic = raw.read(6)
        raw.seek(0)
        self._source: _Readable = raw
        self.compressed = True
        if magic.startswith(b"\x1f\x8b"):
            self._source = gzip.GzipFile(fileobj=raw)
        elif magic.startswith(b"BZh"):
            self._source = bz2.BZ2File(raw)
        elif magic.startswith(b"\xfd7zXZ\0"):
            self._source = lzma.LZMAFile(raw)  # noqa: SIM115
        else:
            self.compressed = False
        self._container = container
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if size > _HEADER_LIMIT:
            raise _ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"a header of {size} bytes at byte {self._position}",
            )
        self.last = self._source.read(size)
        self._position += len(self.last)
        if self.compressed:
            self._container.expand(len(self.last))
            self._check_ratio()
        return self.last

    def seek(self, position: int) -> None:
        if not self.compressed:
            self._container.raw.seek(position)
            self._position = position
            return
        if position < self._position:
            raise io.UnsupportedOperation("a compressed tar is read forwards only")
        while self._position < position:
            if not self.read(min(position - self._position, _CHUNK)):
                raise _ContainerRejected(
                    Reason.CORRUPT_ARCHIVE, f"ends at byte {self._position}, inside a member"
                )

    def _check_ratio(self) -> None:
        ratio = self._container.limits.max_ratio
        if self._position > max(_TAR_RATIO_GRACE, ratio * self._container.raw.tell()):
            raise _ContainerRejected(
                Reason.ARCHIVE_LIMIT, f"expands to more than {ratio:g} times its size"
            )


class _TarMember:
    """The next `size` bytes of a tar stream."""

    def __init__(self, stream: _TarStream, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        if self._left == 0:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            raise _ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"ends at byte {self._stream.tell()}, {self._left} bytes before its member does",
            )
        self._left -= len(data)
        return data


def _read_tar(container: _Container) -> Iterator[Answer]:
    stream = _TarStream(container)
    position = 0
    with tarfile.TarFile(
        fileobj=cast(BinaryIO, stream), mode="r", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        while (info := archive.next()) is not None:
            # tarfile remembers every member otherwise, for as long as the archive is open.
            archive.members.clear()  # type: ignore[attr-defined]
            admitted = container.admit(info.name, position, is_folder=info.isdir())
            if admitted is not None:
                yield from _answer_tar_member(container, stream, info, admitted, position)
            position += 1
    if stream.last.strip(b"\0"):
        raise Rejected(
            Reason.CORRUPT_ARCHIVE, f"damaged before byte {stream.tell()}; the rest is unread"
        )
    while stream.compressed and stream.read(_CHUNK):
        # To the end, where the compressed stream keeps its check sum.
        continue


def _answer_tar_member(
    container: _Container,
    stream: _TarStream,
    info: tarfile.TarInfo,
    admitted: tuple[str, Kind, Rejected | None],
    position: int,
) -> Iterator[Answer]:
    member, kind, fault = admitted
    version = str(int(info.mtime))
    try:
        if fault is not None:
            raise fault
        file = _open_tar_member(container, stream, info)
    except _ContainerRejected:
        raise
    except Rejected as rejected:
        yield member, _rejection(container.place.uri, member, version, rejected)
        return
    with file:
        yield (
            member,
            Member(container.place.uri, member, position, info.size, version, kind, file),
        )


def _open_tar_member(container: _Container, stream: _TarStream, info: tarfile.TarInfo) -> BinaryIO:
    if not info.isreg():
        raise Rejected(Reason.LINK_MEMBER, "a link or device, not a file")
    if info.issparse():
        raise Rejected(Reason.UNREADABLE, "a sparse member; pack it without --sparse")
    if info.size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the member has no bytes")
    _check_member(info.size, None, container.limits)
    if container.descriptor is not None and not stream.compressed:
        if info.offset_data + info.size > container.size_bytes:
            raise _ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"ends at byte {container.size_bytes}, inside the member {info.name!r}",
            )
        return open_slice(container.descriptor, info.offset_data, info.size)
    stream.seek(info.offset_data)
    # The stream accounts for what is expanded.
    return _spool(_TarMember(stream, info.size), info.size, container.limits)
