"""List the audio files, containers and manifests of a collection without opening them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from nightscribe.archives.entries import (
    File,
    PassedOver,
    Rejection,
    rejection,
    unreadable,
    unsupported,
)
from nightscribe.archives.kinds import Kind, kind_of, suffix_of
from nightscribe.archives.names import is_hidden, is_unsafe, unsafe_name
from nightscribe.errors import ConfigurationError, NightscribeError, Reason, Rejected
from nightscribe.storage import Place, Stat, locate, stat_of, stat_of_info
from nightscribe.uris import encode_path, join_uri, places_of, refuse_web_url

__all__ = ["Listed", "list_files", "stat_collection"]

Listed = File | Rejection | PassedOver
"""What becomes of a file below a collection, as far as its name and size tell."""


def list_files(collection_uri: str) -> Iterator[Listed]:
    """List the audio files, containers and manifests of a collection without opening them.

    The order is fixed: the files of a folder by name, then its sub-folders. Memory grows with the
    largest single folder, not with the collection. Hidden files and folders, and other kinds of
    files, are passed over. Empty files, unsafe names, links that lead outside and unreadable
    folders are rejections. A collection may be a single file.

    Raises:
        ConfigurationError: the collection does not exist, access to it is refused, or it is an
            http(s) URL.
        NightscribeError: it cannot be read at the moment.
    """
    refuse_web_url(collection_uri)
    place = locate(collection_uri)
    status = stat_collection(place)
    if not status.is_folder:
        return iter([_single_file(place, status)])
    return _list_folder(place) if place.filesystem is None else _list_prefix(place)


def stat_collection(place: Place) -> Stat:
    """Size, version and kind of a file or folder that a person named.

    Raises:
        ConfigurationError: it does not exist, or access to it is refused.
        NightscribeError: it cannot be read at the moment.
    """
    try:
        return place.stat()
    except FileNotFoundError:
        hint = "check the path, or the bucket and prefix"
        if "," in place.uri:
            hint += (
                ". Did you mean two archives? --archives separates them by spaces, and a comma is "
                "part of a name"
            )
        raise ConfigurationError(f"{place.uri}: no such archive; {hint}") from None
    except Exception as error:
        # Every store has its own exceptions for refused or missing credentials.
        raise _unreadable_collection(place, error) from error


def _unreadable_collection(place: Place, error: Exception) -> NightscribeError:
    message = f"{place.uri}: this archive cannot be read: {type(error).__name__}: {error}; "
    # A refusal is permanent. Other errors, such as a time-out, may be temporary.
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return ConfigurationError(message + "check the credentials, and that they may list it")
    return NightscribeError(message + "check that it can be reached, then run again")


def _single_file(place: Place, status: Stat) -> File | Rejection:
    if kind_of(place.uri) is Kind.CONTAINER:
        return _file(place.uri, place.uri, "", Kind.CONTAINER, status)
    if kind_of(place.uri) is Kind.UNSUPPORTED:
        return rejection(place.uri, "", status.version, unsupported())
    folder, name = places_of(place.uri)[0]
    # The user named this file, so it counts as audio whatever its suffix.
    return _file(place.uri, folder, name, kind_of(name) or Kind.AUDIO, status)


def _file(collection: str, archive: str, member: str, kind: Kind, status: Stat) -> File | Rejection:
    if status.size_bytes == 0:
        uri = join_uri(archive, member)
        return Rejection(uri, status.version, Reason.EMPTY_FILE, "the file has no bytes")
    return File(collection, archive, member, kind, status.size_bytes, status.version)


def _found(root: Place, relative: str, kind: Kind, status: Stat) -> File | Rejection:
    member = encode_path(relative)
    if is_unsafe(relative):
        return rejection(root.uri, member, status.version, unsafe_name())
    if kind is Kind.UNSUPPORTED:
        return rejection(root.uri, member, status.version, unsupported())
    if kind is Kind.CONTAINER:
        return _file(root.uri, root.child(member).uri, "", kind, status)
    return _file(root.uri, root.uri, member, kind, status)


def _list_folder(root: Place) -> Iterator[Listed]:
    real_root = os.path.realpath(root.path)
    pending = [""]  # folders, relative to the root, with a trailing slash
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(os.path.join(root.path, prefix)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise _unreadable_collection(root, error) from error
            member = encode_path(prefix.rstrip("/"))
            yield rejection(root.uri, member, "", unreadable("this folder", error))
            continue
        folders = []
        for entry in entries:
            if is_hidden(entry.name):
                yield PassedOver(root.uri, suffix_of(entry.name))
                continue
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
            except OSError as error:  # some file systems do not tell in the listing
                fault = unreadable("this file or folder", error)
                yield rejection(root.uri, encode_path(prefix + entry.name), "", fault)
                continue
            if is_folder:
                folders.append(f"{prefix}{entry.name}/")
            elif _is_linked_folder(entry):
                linked = Rejected(Reason.LINK_MEMBER, "a link to a folder, which is not followed")
                yield rejection(root.uri, encode_path(prefix + entry.name), "", linked)
            elif (kind := kind_of(entry.name)) is not None:
                relative = prefix + entry.name
                try:
                    yield _found(root, relative, kind, _regular_file(entry, real_root))
                except Rejected as rejected:
                    yield rejection(root.uri, encode_path(relative), "", rejected)
                except OSError as error:
                    fault = unreadable("this file", error)
                    yield rejection(root.uri, encode_path(relative), "", fault)
            else:
                yield PassedOver(root.uri, suffix_of(entry.name))
        pending.extend(reversed(folders))


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _regular_file(entry: os.DirEntry[str], real_root: str) -> Stat:
    """The size and version of a folder's entry. Raises `Rejected` if it is not a file to read."""
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if os.path.commonpath([real_root, target]) != real_root:
            raise Rejected(Reason.LINK_MEMBER, "a link that leads outside the archive")
        try:
            os.stat(target)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            raise Rejected(Reason.LINK_MEMBER, "a link that leads nowhere") from None
    status = entry.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Rejected(Reason.LINK_MEMBER, "a device, pipe or socket, not a file")
    return stat_of(status)


def _folder_with_bytes(root: Place, relative: str, status: Stat) -> Rejection:
    detail = f"the key is that of a folder, but has {status.size_bytes} bytes; rename it"
    fault = Rejected(Reason.UNSAFE_MEMBER_NAME, detail)
    return rejection(root.uri, encode_path(relative.rstrip("/")), status.version, fault)


def _is_of_one_prefix(error: Exception) -> bool:
    """Whether other prefixes may be listed after this error.

    An answer of the store, such as a refusal, is an `OSError`. If it does not answer, every
    further prefix would wait for as long as this one.
    """
    return isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError)


def _list_prefix(root: Place) -> Iterator[Listed]:
    filesystem = root.filesystem
    assert filesystem is not None
    pending = [root.path]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(filesystem.ls(folder, detail=True), key=lambda entry: entry["name"])
        except Exception as error:
            member = encode_path(folder[len(root.path) :].strip("/"))
            if not member or not _is_of_one_prefix(error):
                raise _unreadable_collection(root, error) from error
            yield rejection(root.uri, member, "", unreadable("this prefix", error))
            continue
        finally:
            # Some file systems cache listings. The cache has no limit, and is stale the next night.
            filesystem.invalidate_cache(folder)
        folders = []
        for entry in entries:
            status = stat_of_info(entry)
            relative = entry["name"][len(root.path) :].lstrip("/")
            base = entry["name"].rstrip("/").rpartition("/")[2]
            if entry["name"].rstrip("/") == folder.rstrip("/"):
                # Either the object that stands for the folder itself, or keys with an empty folder
                # name ("a//b.wav"), which cannot be listed level by level.
                if status.is_folder:
                    detail = "keys below it have an empty folder name (`//`); rename them"
                    rejected = Rejected(Reason.UNSAFE_MEMBER_NAME, detail)
                    yield rejection(root.uri, encode_path(relative.rstrip("/")), "", rejected)
                elif status.size_bytes:
                    yield _folder_with_bytes(root, relative, status)
            elif is_hidden(base):
                yield PassedOver(root.uri, suffix_of(base))
            elif status.is_folder:
                folders.append(entry["name"])
            elif relative.endswith("/"):
                # An object that stands for a folder.
                if status.size_bytes:
                    yield _folder_with_bytes(root, relative, status)
            elif (kind := kind_of(base)) is not None:
                yield _found(root, relative, kind, status)
            else:
                yield PassedOver(root.uri, suffix_of(base))
        pending.extend(reversed(folders))
