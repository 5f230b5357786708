"""Take away from a worker process what decoding does not need: files, network, programs, memory.

Three mechanisms of Linux that need no root's rights. Landlock denies every file that is not open
yet, TCP, and signals to other processes. A seccomp filter denies the system calls that open files
and sockets, start programs and processes, or look into other processes. Resource limits bound the
memory and the number of open files. What is open already (the socket to the parent, standard
error, the files of a job) stays usable. A worker may still ask whether a path exists (`stat`).

The calls are made through `ctypes`: the structures and numbers are those of the kernel's
`include/uapi/linux/landlock.h`, `seccomp.h`, `filter.h`, `prctl.h` and the system call tables.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import stat
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MEMORY_BYTES", "Confined", "confine", "confine_to", "confined"]

MEMORY_BYTES = 2 * 1024**3
"""Address space of a worker. One that has started takes 0.25 GiB."""

_DESCRIPTORS = 16  # open files: the standard ones, the socket, two per job

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1

# Rights of Landlock by the ABI that added them: file system, network, scopes.
_RIGHTS = {
    1: ((1 << 13) - 1, 0, 0),
    2: (1 << 13, 0, 0),  # moving files between folders
    3: (1 << 14, 0, 0),  # truncation
    4: (0, 0b11, 0),  # TCP: bind, connect
    5: (1 << 15, 0, 0),  # ioctl on devices
    6: (0, 0, 0b11),  # abstract sockets, signals
}

_READ = 0b1100  # files, folders
_EXECUTE = 0b1
_OF_FILES = 0b1100_0000_0000_0111  # rights that a rule for a file may name

# System calls that are denied, by their numbers on x86_64 and aarch64; None where there is none.
_DENIED: dict[str, tuple[int, int | None]] = {
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "truncate": (76, 45),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchownat": (260, 54),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
}
_FILE_CALLS = {
    *("open", "openat", "creat", "truncate", "mkdir", "mkdirat", "rmdir"),
    *("unlink", "unlinkat", "rename", "renameat", "renameat2"),
}
"""Calls that a process needs which may use some folders. Landlock bounds these."""

_THREAD_CALLS = {"clone", "socketpair"}
"""Calls with which thread pools start. A filter lets `clone` make threads only."""

_CLONE3 = 435
# Allowed for this process only. `abort` uses the first, `setrlimit` the second (as process 0).
_TGKILL, _PRLIMIT = (234, 131), (302, 261)
_CLONE, _CLONE_THREAD = (56, 220), 0x10000
# AUDIT_ARCH, and the column of the tables above.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = (
    0x20,
    0x15,
    0x35,
    0x45,
    0x06,
)  # instructions of the filter
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in `struct seccomp_data`
_X32 = 0x40000000  # numbers from here on are a second table on x86_64


@dataclass(frozen=True)
class Confined:
    """What the kernel denies this process; with the reason where it has no such mechanism."""

    landlock_abi: int | None
    landlock_error: str
    seccomp: bool
    seccomp_error: str


_confined: Confined | None = None


def confine() -> Confined:
    """Confine this process for good. All modules must be imported by then.

    A mechanism that the kernel does not have is left out; the result says so.
    """
    global _confined
    os.environ.clear()
    for kind, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_NOFILE, _DESCRIPTORS)):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    abi, landlock_error = _landlock(libc)
    seccomp_error = _seccomp(libc, _DENIED)
    _confined = Confined(abi, landlock_error, not seccomp_error, seccomp_error)
    return _confined


def confine_to(*, read: Iterable[Path], write: Iterable[Path]) -> Confined:
    """Confine this process, and the threads that it starts from now on, to some folders and files.

    It keeps its environment and limits. It has no network and starts no programs; where the kernel
    lacks Landlock, it may use other files. No other thread may run yet: it would not be confined.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    folders = dict.fromkeys(read, _READ) | dict.fromkeys(write, ~_EXECUTE)
    abi, landlock_error = _landlock(libc, folders)
    kept = _FILE_CALLS | _THREAD_CALLS
    denied = {name: numbers for name, numbers in _DENIED.items() if name not in kept}
    seccomp_error = _seccomp(libc, denied)
    return Confined(abi, landlock_error, not seccomp_error, seccomp_error)


def confined() -> Confined | None:
    """What `confine` has done in this process; None before it is called."""
    return _confined


def _landlock(
    libc: ctypes.CDLL, folders: Mapping[Path, int] | None = None
) -> tuple[int | None, str]:
    """The ABI that is in force, or None and why. `folders` have rights that stay."""
    abi = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if abi < 1:
        return None, _refusal()
    rights = [added for version, added in _RIGHTS.items() if version <= abi]
    handled = [sum(column) for column in zip(*rights, strict=True)]
    ruleset = struct.pack("=QQQ", *handled)
    size = 8 if abi < 4 else 16 if abi < 6 else 24  # older kernels know fewer fields
    descriptor = libc.syscall(_LANDLOCK_CREATE_RULESET, ruleset, ctypes.c_size_t(size), 0)
    if descriptor < 0:
        return None, _refusal()
    try:
        for folder, wanted in (folders or {}).items():
            opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            try:
                if not stat.S_ISDIR(os.fstat(opened).st_mode):
                    wanted &= _OF_FILES
                rule = struct.pack("=Qi", wanted & handled[0], opened)
                if libc.syscall(
                    _LANDLOCK_ADD_RULE, descriptor, _LANDLOCK_PATH_BENEATH, rule, ctypes.c_uint(0)
                ):
                    return None, _refusal()
            finally:
                os.close(opened)
        if libc.syscall(_LANDLOCK_RESTRICT_SELF, descriptor, 0):
            return None, _refusal()
    finally:
        os.close(descriptor)
    return abi, ""


def _seccomp(libc: ctypes.CDLL, calls: Mapping[str, tuple[int, int | None]]) -> str:
    """Install the filter; returns why it could not be installed, or nothing."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        return f"no filter for {machine}"
    program = _filter(*_ARCHITECTURES[machine], calls)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    return _refusal() if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) else ""


def _filter(architecture: int, column: int, calls: Mapping[str, tuple[int, int | None]]) -> bytes:
    """The filter: instructions of 8 bytes each, run by the kernel before every system call."""
    denied, own = _ERROR | errno.EPERM, os.getpid()
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, denied),
        # Its arguments are in memory that a filter cannot read; the C library falls back to clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    for numbers in calls.values():
        number = numbers[column]
        if number is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    for number, allowed in ((_TGKILL[column], own), (_PRLIMIT[column], 0)):
        steps += [
            (_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_EQUAL, 0, 1, allowed),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, denied),
        ]
    if "clone" not in calls:
        steps += [
            (_EQUAL, 0, 3, _CLONE[column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_ANY_BIT, 1, 0, _CLONE_THREAD),
            (_RETURN, 0, 0, denied),
        ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _refusal() -> str:
    return os.strerror(ctypes.get_errno())
